/**
 * A fixed story that takes the spool through all it can do, in few operations, so that each of them can be made to
 * fail in its turn. The same operations in the same order every time, as long as nothing fails.
 *
 *   shard 1 of 2 ─► shard 0 of 1, which adopts what the first left, rolls, retires, copies forward, fills up, heals
 *   ─► shard 0 once more
 *
 * Whatever is refused is noted in the ledger, and the story goes on without it.
 */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { openSpool, SpoolFolderError } from '../../../src/spool/index.ts';
import { SPOOL_LIMITS } from '../../../src/spool/limits.ts';
import type { Change, Spool, Stored } from '../../../src/spool/spool.ts';
import { SpoolFailure } from '../../../src/spool/spool.ts';
import type { Report } from './ledger.ts';
import { contentOf, delivered, Ledger, optionsFor, writeAll } from './ledger.ts';
import type { Fault, Op } from './simulated_disk.ts';
import { SimulatedDisk } from './simulated_disk.ts';

const DIRECTORY = '/spool';
/** As small as segments are. */
export const SEGMENT_BYTES = SPOOL_LIMITS.segmentBytesMin;
export const ALONE = { shard: 0, workers: 1 };
const SECOND_OF_TWO = { shard: 1, workers: 2 };
const LARGE_BYTES = 100_000;
const ROLLING_BYTES = 60_000;
const TURNS_IDLE = 30;
const TICKS_IDLE_MAX = 20;
const HEALING_TRIES_MAX = 5;

/** A fault that was injected, and where the spool was by then. */
export type Struck = { readonly op: Op; readonly path: string; readonly fault: Fault; readonly opening: boolean };

export class World {
  disk: SimulatedDisk;
  ledger: Ledger;
  reports: Report[] = [];
  struck: Struck | null = null;
  opening = false;

  constructor(disk = new SimulatedDisk(), ledger = new Ledger()) {
    this.disk = disk;
    this.ledger = ledger;
  }

  /** The operation of this number has a fault. */
  strike(number: number, fault: Fault): void {
    this.disk.plan = (op, path, at) => {
      if (at !== number) return null;
      this.struck = { op, path, fault, opening: this.opening };
      return fault;
    };
  }

  reported(event: Report['event']): readonly Report[] {
    return this.reports.filter((report) => report.event === event);
  }
}

/**
 * Resolves when the work is done, or the disk has lost its power. Time goes on when nothing else does; work that
 * neither asks the disk nor waits for time any more hangs.
 */
export async function bounded(disk: SimulatedDisk, work: Promise<unknown>): Promise<void> {
  let outcome: { readonly error: unknown } | null = null;
  work.then(
    () => {
      outcome = { error: null };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  let [ops, turns, ticks] = [disk.ops, 0, 0];
  while (outcome === null && !disk.dead) {
    await new Promise((resolve) => setImmediate(resolve));
    if (disk.ops !== ops) [ops, turns, ticks] = [disk.ops, 0, 0];
    else if (++turns === TURNS_IDLE) {
      turns = 0;
      assert.ok(++ticks <= TICKS_IDLE_MAX, `something waits for what never comes, after operation ${ops}`);
      mock.timers.tick(SPOOL_LIMITS.fullRetryMs);
    }
  }
  const { error } = (outcome ?? { error: null }) as { readonly error: unknown };
  if (error !== null) throw error;
}

/** True in so many of cases, by chance but the same chance for the same seed. */
export function chance(seed: number, share: number): () => boolean {
  let state = (seed ^ 0x5bd1e995) >>> 0;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24 < share;
  };
}

export const openIn = (world: World, which = ALONE): Promise<Spool> =>
  openSpool(
    optionsFor(DIRECTORY, world.reports, { ...which, segmentBytes: SEGMENT_BYTES, companyMs: SPOOL_LIMITS.companyMs }),
    world.disk,
  );

/** Where a fault meets the start it says so and leaves nothing open, and the next start finds all. */
async function start(world: World, which: typeof ALONE): Promise<Spool> {
  world.opening = true;
  try {
    try {
      const spool = await openIn(world, which);
      // For want of space the rest of an adoption waits for the next start, and the log says so.
      if (!world.reports.some(({ event, fields }) => event === 'spool-full' && 'folder' in fields)) return spool;
      world.reports.length = 0;
      await spool.close();
      return await openIn(world, which);
    } catch (error) {
      if (world.struck === null) throw error;
      const told = error instanceof SpoolFailure || error instanceof SpoolFolderError;
      assert.ok(told, `a start that fails says why: ${String((error as Error).stack)}`);
      assert.equal(world.disk.filesOpen, 0, 'a start that fails leaves no file open');
      return await openIn(world, which);
    }
  } finally {
    world.opening = false;
  }
}

/** A read may fail once; what it could not read is there the next time. */
async function hold(world: World, spool: Spool): Promise<void> {
  const before = world.struck;
  try {
    await world.ledger.check(spool);
  } catch (error) {
    const once = before === null && world.struck !== null && error instanceof SpoolFailure;
    if (!once || error.reason !== 'unreadable') throw error;
    await world.ledger.check(spool);
  }
}

async function live(
  world: World,
  which: typeof ALONE,
  play: (world: World, spool: Spool) => Promise<void>,
): Promise<void> {
  const before = world.struck;
  const spool = await start(world, which);
  await hold(world, spool);
  await play(world, spool);
  if (world.struck !== null && before === null && !world.struck.opening) await judge(world, spool);
  await spool.close();
  assert.equal(world.disk.filesOpen, 0, 'all files are closed');
}

/** The whole story. */
export async function workload(world: World): Promise<void> {
  await live(world, SECOND_OF_TWO, leaveSomething);
  await live(world, ALONE, longLife);
  await live(world, ALONE, lastLife);
}

/** What it takes to see that a spool is in order: all promises, and another message. */
export async function checkUp(world: World): Promise<void> {
  const spool = await openIn(world);
  await world.ledger.check(spool);
  assert.ok((await commit(world, spool, 3000, 1)) !== null, 'a spool that was opened takes mail');
  await spool.close();
  assert.equal(world.disk.filesOpen, 0, 'all files are closed');
}

// --- lives ---

async function leaveSomething(world: World, spool: Spool): Promise<void> {
  const small = await commit(world, spool, 700, 2);
  await commit(world, spool, LARGE_BYTES, 1);
  await mark(world, spool, small, delivered(1));
}

async function longLife(world: World, spool: Spool): Promise<void> {
  const [one, two, three] = await Promise.all([
    commit(world, spool, 1200, 2),
    commit(world, spool, 5000, 3),
    commit(world, spool, LARGE_BYTES + 1, 1),
    commit(world, spool, 0, 1),
  ]);
  await discardDrafts(spool);
  await Promise.all([
    mark(world, spool, one, [waits(0, 1, 5000, 'mx.example'), ...delivered(1)]),
    mark(world, spool, two, [waits(2, 3, Number.POSITIVE_INFINITY, 'mx.example')]),
    mark(world, spool, two, [{ recipient: 0, state: { tag: 'failed' } }]),
  ]);
  // Stragglers hold old segments while others come and go: they are copied forward.
  for (let round = 0; round < 7; round++) {
    const [passing] = await Promise.all([commit(world, spool, ROLLING_BYTES, 1), commit(world, spool, 900, 1)]);
    await mark(world, spool, passing, delivered(0));
  }
  await mark(world, spool, three, delivered(0));
  await fillUp(world, spool);
}

/** New mail is refused, marks go on, and what they free is used again. */
async function fillUp(world: World, spool: Spool): Promise<void> {
  const { disk } = world;
  disk.capacityBytes = disk.usedBytes;
  const held: Stored[] = [];
  for (let more = 0; more < 8; more++) {
    const message = await commit(world, spool, ROLLING_BYTES, 1);
    if (message === null) break;
    held.push(message);
  }
  assert.ok(world.ledger.lastRefusal !== null, 'a full disk takes no mail');
  const large = await commit(world, spool, LARGE_BYTES, 1);
  assert.ok(large === null || world.struck !== null, 'and no large content');
  for (const message of held.slice(1)) await mark(world, spool, message, delivered(0));
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await heal(world, spool);
}

async function lastLife(world: World, spool: Spool): Promise<void> {
  for (const row of [...spool.index.rows()].slice(0, 2)) {
    const message = await spool.wake(row);
    spool.rest(message);
    const changes = [...message.envelope.recipients.keys()].filter((at) => message.state(at).tag === 'waiting');
    await mark(world, spool, message, delivered(...changes));
  }
  await commit(world, spool, 2000, 1);
}

async function heal(world: World, spool: Spool): Promise<void> {
  for (let tries = 0; tries < HEALING_TRIES_MAX; tries++) {
    if ((await commit(world, spool, 1500, 1)) !== null || spool.stats.broken) return;
    // It is looked again when the spool's timer says so, and `bounded` moves the time when nothing else happens.
    await new Promise((resolve) => setTimeout(resolve, SPOOL_LIMITS.fullRetryMs));
  }
  assert.fail('space is there again, and the spool does not find it');
}

/** After a fault in this life: broken for good and said so, or healed with nothing left behind. */
async function judge(world: World, spool: Spool): Promise<void> {
  const { op, path, fault } = world.struck!;
  await settle(world);
  const code = typeof fault === 'object' ? fault.code : '';
  // A checkpoint that is not written is given up, and nothing else.
  const sync = op === 'syncFolder' || (op === 'datasync' && !path.endsWith('/checkpoint.new'));
  if (code !== '' && (op === 'append' || (sync && code === 'EIO')))
    assert.ok(spool.stats.broken, 'a failed sync is final');
  if (SHORTAGES.has(code) && op !== 'append') assert.ok(!spool.stats.broken, 'a shortage passes');
  if (fault === 'short') assert.ok(!spool.stats.broken, 'the rest of a short write follows');
  assert.equal(world.reported('spool-broken').length, spool.stats.broken ? 1 : 0, 'it is said once');
  if (spool.stats.broken) {
    assert.equal(await commit(world, spool, 100, 1), null);
    assert.equal(world.ledger.lastRefusal, 'broken');
    return;
  }
  await heal(world, spool);
  assert.ok(!spool.stats.broken);
  await settle(world);
  const names = world.disk.paths().filter((name) => /\/shard-0\d\/[^/]*\.(seg|new)$/.test(name));
  // One that cannot be removed is left to the next start.
  const left = op === 'unlink' ? 1 : 0;
  assert.ok(names.length <= spool.stats.segments + left, `no file is left behind: ${names}`);
}

const SHORTAGES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE']);

/** Until the disk has not been asked for a while. */
async function settle({ disk }: World): Promise<void> {
  for (let ops = disk.ops, turns = 0; turns < TURNS_IDLE - 1; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (disk.ops !== ops) [ops, turns] = [disk.ops, 0];
  }
}

// --- steps ---

let seeds = 0;
async function commit({ ledger }: World, spool: Spool, bytes: number, recipients: number): Promise<Stored | null> {
  const message = await ledger.commit(spool, contentOf(bytes, ++seeds), recipients);
  if (message !== null) spool.rest(message);
  return message;
}

async function mark({ ledger }: World, spool: Spool, message: Stored | null, changes: readonly Change[]) {
  if (message !== null && spool.index.key(message.row) === message.key) await ledger.mark(spool, message, changes);
}

const waits = (recipient: number, attempts: number, nextMs: number, site: string): Change => ({
  recipient,
  state: { tag: 'waiting', attempts, nextMs, site, detail: '451 4.3.0 later', warned: attempts > 2 },
});

async function discardDrafts(spool: Spool): Promise<void> {
  const [small, large] = [spool.begin(0), spool.begin(LARGE_BYTES)];
  await writeAll(small, contentOf(300, 1));
  await writeAll(large, contentOf(LARGE_BYTES + 70_000, 1));
  small.discard();
  large.discard();
  // Never begun on disk, and begun but committed to nobody.
  spool.begin(0).discard();
}
