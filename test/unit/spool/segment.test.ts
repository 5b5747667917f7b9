import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SPOOL_LIMITS } from '../../../src/spool/limits.ts';
import { SegmentSupply } from '../../../src/spool/segment.ts';
import { SimulatedDisk } from './simulated_disk.ts';

const ignore = (): void => {};

test('a file that begins another life has another number and another salt', async () => {
  const disk = new SimulatedDisk();
  await disk.mkdir('/shard');
  const events = { ready: ignore, full: ignore, failed: assert.ifError };
  const supply = new SegmentSupply(disk, '/shard', SPOOL_LIMITS.segmentBytesMin, 1, events);
  supply.want();
  await supply.idle();
  const segment = supply.take()!;
  const { generation, salt } = segment;
  await supply.retire(segment);
  assert.equal(supply.take(), segment, 'it is used again');
  assert.ok(segment.generation > generation);
  assert.notEqual(segment.salt, salt);
  await segment.close();
  await supply.close();
});
