/**
 * What a disk does when nothing else is asked of it: the same 4 KiB write and fdatasync that a small commit comes down
 * to, one after the other, into space that was written before.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Latency, LatencyHistogram } from '../load/latency.ts';
import { nowUs } from '../load/stamp.ts';

const BLOCK = Buffer.alloc(4096, 'x');
const BLOCKS = 4096;

/** Blocks this process for `seconds`. */
export function bareSyncs(folder: string, seconds: number): Latency {
  const path = join(folder, 'bare-syncs');
  const file = openSync(path, 'w');
  try {
    for (let block = 0; block < BLOCKS; block++) writeSync(file, BLOCK);
    fsyncSync(file);
    const histogram = new LatencyHistogram();
    const endUs = nowUs() + seconds * 1e6;
    let fromUs = nowUs();
    for (let block = 0; fromUs < endUs; block++) {
      writeSync(file, BLOCK, 0, BLOCK.length, (block % BLOCKS) * BLOCK.length);
      fdatasyncSync(file);
      const us = nowUs();
      histogram.record(us - fromUs);
      fromUs = us;
    }
    return histogram.summary();
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
