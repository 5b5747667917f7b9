/**
 * Each operation of a fixed story fails once, in each way that disks fail: promises are kept, what can heal heals, and
 * what cannot says so. `POSTERN_TEST_ONLY=<kind>:<operation>` tries one point alone.
 */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { Fault, Op } from './simulated_disk.ts';
import { bounded, chance, checkUp, World, workload } from './workload.ts';

mock.timers.enable({ apis: ['setTimeout'] });

/** Shortages are met by whatever makes something or needs a descriptor; the rest of an operation number's are alike. */
const KINDS: Readonly<Record<string, { readonly fault: Fault; readonly ops: readonly Op[] | null }>> = {
  ENOSPC: { fault: { code: 'ENOSPC' }, ops: ['open', 'append', 'write', 'datasync', 'rename', 'link', 'mkdir'] },
  EDQUOT: { fault: { code: 'EDQUOT' }, ops: ['open', 'append', 'write', 'datasync', 'rename', 'link', 'mkdir'] },
  EMFILE: { fault: { code: 'EMFILE' }, ops: ['open', 'list', 'syncFolder'] },
  EIO: { fault: { code: 'EIO' }, ops: null },
  'EIO after it was done': {
    fault: { code: 'EIO', done: true },
    ops: ['append', 'write', 'open', 'rename', 'link', 'unlink', 'mkdir', 'rmdir', 'datasync', 'syncFolder', 'close'],
  },
  'a short write': { fault: 'short', ops: ['append', 'write'] },
};

async function operations(): Promise<readonly Op[]> {
  const world = new World();
  const ops: Op[] = [];
  world.disk.plan = (op) => {
    ops.push(op);
    return null;
  };
  await bounded(world.disk, workload(world));
  return ops;
}

/** Then the process dies, or the power goes, and the next start finds what was promised. */
async function tryPoint(fault: Fault, number: number): Promise<void> {
  const world = new World();
  world.strike(number, fault);
  await bounded(world.disk, workload(world));
  assert.ok(world.struck !== null, 'the story came to the operation');
  const { disk } = world;
  world.disk = number % 2 === 0 ? disk.afterKill() : disk.afterPowerCut(chance(number, 0.5));
  await bounded(world.disk, checkUp(world));
  assert.deepEqual(world.reported('spool-lost'), [], 'one fault loses nothing');
}

const ops = await operations();
const only = process.env.POSTERN_TEST_ONLY?.split(':');
let points = 0;
for (const [name, { fault, ops: concerned }] of Object.entries(KINDS)) {
  test(`${name}, at each operation in turn`, async () => {
    const failures: string[] = [];
    for (const [at, op] of ops.entries()) {
      if (concerned?.includes(op) === false) continue;
      if (only !== undefined && (only[0] !== name || Number(only[1]) !== at + 1)) continue;
      points++;
      try {
        await tryPoint(fault, at + 1);
      } catch (error) {
        failures.push(`${name}:${at + 1} (${op}): ${(error as Error).stack}`);
      }
    }
    assert.ok(
      failures.length === 0,
      `${failures.length} points fail\n${failures.slice(0, process.env.ALL_POINTS ? 999 : 5).join('\n')}`,
    );
  });
}

test('how many', () => {
  console.log(`${points} fault points, ${points} reopenings`);
  assert.ok(only !== undefined || points > 900);
});
