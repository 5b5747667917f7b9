/** What the file system of the spool has left, for the watch over it. Nothing here is the journal's. */
import { statfs } from 'node:fs/promises';

export type SpoolSpace = {
  /** For us: what is reserved for root does not count. */
  readonly freeBytes: number;
  /** Null where the file system makes inodes as it needs them (Btrfs, for one) and counts none. */
  readonly freeInodes: number | null;
};

/** Rejects with the system's error. */
export async function readSpoolSpace(directory: string): Promise<SpoolSpace> {
  const { bavail, bsize, files, ffree } = await statfs(directory);
  return { freeBytes: bavail * bsize, freeInodes: files === 0 ? null : ffree };
}
