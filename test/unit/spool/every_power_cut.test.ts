/**
 * The process dies, or the power goes, before each operation of a fixed story and while it is under way: whatever the
 * disk has kept of what was not synced, promises are kept. `POSTERN_TEST_SEEDS=20` tries more of what it may keep, and
 * a second end in more of the starts that follow.
 */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { SimulatedDisk } from './simulated_disk.ts';
import { SimulatedDisk as Disk } from './simulated_disk.ts';
import { bounded, chance, checkUp, World, workload } from './workload.ts';

mock.timers.enable({ apis: ['setTimeout'] });

const SEEDS = Number(process.env.POSTERN_TEST_SEEDS ?? 2);
/** How much of what is uncertain survives: nothing, some of it, all. Seeds go round. */
const SHARES = [0.5, 0, 0.9, 1, 0.1] as const;
const SECTORS = [512, 4096] as const;
/** Of the starts after an end, each so many-th is ended again, at each of its operations. */
const TWICE_EACH = Math.max(1, Math.floor(100 / SEEDS));

let points = 0;
let reopenings = 0;

type Cut = 'cut' | 'power';

/** The story up to its end at this operation. Null: it has fewer operations. */
async function endAt(number: number, cut: Cut, sectorBytes: number): Promise<World | null> {
  const world = new World(new Disk(sectorBytes));
  world.strike(number, cut);
  await bounded(world.disk, workload(world));
  return world.struck === null ? null : world;
}

/** All that the disk may hold then, or as much of it as the seeds say. The first is a killed process. */
function survivors({ disk }: World, number: number, seeds: number): SimulatedDisk[] {
  const cuts = Array.from({ length: seeds }, (_, at) => {
    const seed = number * 31 + at;
    return disk.afterPowerCut(chance(seed, SHARES[seed % SHARES.length]!));
  });
  return [disk.afterKill(), ...cuts];
}

/** Nothing is corrupt: what a power cut leaves is a torn tail at worst. */
function assertCalm({ reports }: World): void {
  const loud = reports.filter(({ event }) => LOUD.has(event));
  assert.deepEqual(loud, []);
}
const LOUD: ReadonlySet<string> = new Set(['spool-corrupt', 'spool-broken', 'spool-lost']);

async function reopen(before: World, disk: SimulatedDisk): Promise<void> {
  reopenings++;
  const world = new World(disk, before.ledger.fork());
  await bounded(disk, checkUp(world));
  assertCalm(world);
}

/** The start that follows ends as well, at each operation in turn. */
async function reopenTwice(before: World, survivor: () => SimulatedDisk, cut: Cut): Promise<void> {
  for (let number = 1; ; number++) {
    const world = new World(survivor(), before.ledger.fork());
    world.strike(number, cut);
    await bounded(world.disk, checkUp(world));
    if (world.struck === null) return;
    points++;
    const again = number % 2 === 0 ? world.disk.afterKill() : world.disk.afterPowerCut(chance(number, 0.5));
    await reopen(world, again);
  }
}

async function tryAll(cut: Cut, sectorBytes: number): Promise<void> {
  const failures: string[] = [];
  let world: World | null = null;
  for (let number = 1; ; number++) {
    world = await endAt(number, cut, sectorBytes);
    if (world === null) break;
    points++;
    const at = world;
    const what = `${cut} at ${number} (${at.struck!.op} ${at.struck!.path}), sectors of ${sectorBytes}`;
    const attempt = async (how: string, run: () => Promise<void>): Promise<void> => {
      try {
        await run();
      } catch (error) {
        failures.push(`${what}, ${how}: ${(error as Error).stack}`);
      }
    };
    const disks = survivors(at, number, SEEDS);
    for (const [which, disk] of disks.entries()) {
      await attempt(which === 0 ? 'killed' : `seed ${which - 1}`, () => reopen(at, disk));
    }
    if (number % TWICE_EACH === 0) {
      const seed = number * 7;
      await attempt('again', () => reopenTwice(at, () => at.disk.afterPowerCut(chance(seed, 0.6)), cut));
    }
  }
  assert.ok(failures.length === 0, `${failures.length} points fail\n${failures.slice(0, 5).join('\n')}`);
}

for (const cut of ['cut', 'power'] as const) {
  for (const sectorBytes of SECTORS) {
    const when = cut === 'cut' ? 'before' : 'during';
    test(`an end ${when} each operation, sectors of ${sectorBytes} bytes`, async () => {
      await tryAll(cut, sectorBytes);
    });
  }
}

test('how many', () => {
  console.log(`${points} fault points, ${reopenings} reopenings`);
  assert.ok(points > 1000);
});
