/** CRC-32 (zlib's) of content and records: by the addon where it was built and the processor has it, else by zlib. */
import { crc32 as zlibs } from 'node:zlib';
import { loadAddon } from '../base/addon.ts';

type Crc32 = (bytes: Uint8Array, before: number) => number;

/** The addon's; null where there is none. */
export function nativeCrc32(): Crc32 | null {
  const loaded = loadAddon<{ readonly crc32?: Crc32 }>();
  return 'addon' in loaded ? (loaded.addon.crc32 ?? null) : null;
}

const sum: Crc32 = nativeCrc32() ?? zlibs;

/** Goes on from the CRC-32 of the bytes before. */
export const crc32 = (bytes: Uint8Array, before = 0): number => sum(bytes, before);
