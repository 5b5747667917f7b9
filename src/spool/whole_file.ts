/**
 * A file that is replaced as a whole or not at all: written beside, synced, renamed. Its last four bytes are the CRC of
 * all before, so that what is read is what was written.
 */
import { crc32 } from '../scanner/crc32.ts';
import type { Disk } from './disk.ts';
import { readFully, writeFully } from './disk.ts';

const CRC_BYTES = 4;
const PIECE_BYTES = 262_144;

/** Resolves when it is durable under its name; rejects with the disk's error, and then the old one still stands. */
export async function replaceFile(disk: Disk, folder: string, name: string, pieces: Iterable<Buffer>): Promise<void> {
  const unfinished = `${folder}/${name}.new`;
  await disk.unlink(unfinished).catch(() => {});
  const file = await disk.open(unfinished, 'create');
  try {
    let at = 0;
    let crc = 0;
    for (const piece of pieces) {
      await writeFully(file, piece, 0, piece.length, at);
      at += piece.length;
      crc = crc32(piece, crc);
    }
    const end = Buffer.alloc(CRC_BYTES);
    end.writeUInt32LE(crc);
    await writeFully(file, end, 0, CRC_BYTES, at);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.rename(unfinished, `${folder}/${name}`);
  await disk.syncFolder(folder);
}

/** Null: there is none. Rejects where it is damaged (EBADMSG), larger than it may be (EFBIG), or cannot be read. */
export async function readWholeFile(disk: Disk, path: string, bytesMax: number): Promise<Buffer | null> {
  const entry = await disk.stat(path);
  if (entry === null) return null;
  if (entry.tag !== 'file' || entry.bytes > bytesMax + CRC_BYTES) throw failure('EFBIG');
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.alloc(entry.bytes);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const to = Math.min(at + PIECE_BYTES, bytes.length);
      if ((await readFully(file, bytes, at, to, at)) < to - at) throw failure('EBADMSG');
    }
    const content = bytes.subarray(0, Math.max(bytes.length - CRC_BYTES, 0));
    if (bytes.length < CRC_BYTES || bytes.readUInt32LE(content.length) !== crc32(content)) throw failure('EBADMSG');
    return content;
  } finally {
    await file.close();
  }
}

const failure = (code: string): Error => Object.assign(new Error(code), { code });
