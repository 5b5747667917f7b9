/**
 * Question: what does the checksum of content cost?
 *
 * Bound by the processor. It would surprise us if the addon's were not several times as fast from 4 KiB on, or slower
 * at any length of a record.
 */
import { crc32 as zlibs } from 'node:zlib';
import { nativeCrc32 } from '../../src/scanner/crc32.ts';
import { measure } from '../measure/micro.ts';

const native = nativeCrc32();

for (const length of [64, 256, 4096, 262_144]) {
  const bytes = Buffer.alloc(length, 'abcdefg');
  await measure(`CRC-32 of ${length} bytes`, {
    "zlib's": { run: () => zlibs(bytes, 1), bytes: length },
    ...(native !== null && { "the addon's": { run: () => native(bytes, 1), bytes: length } }),
  });
}
