/** A stored message: its record, and large content, checked before the last of it is handed out. */

import type { BufferPool } from '../base/buffer_pool.ts';
import { crc32 } from '../scanner/crc32.ts';
import { unpackMessage } from './bodies.ts';
import type { Disk } from './disk.ts';
import { codeOf, readTwice } from './disk.ts';
import type { Copy } from './entries.ts';
import type { ContentFile, Place } from './message.ts';
import { decodeFrame, FRAME_HEADER_BYTES, peekRecord } from './record.ts';
import type { Segment } from './segment.ts';
import { SpoolFailure } from './spool.ts';

const unreadable = (what: string, why: string, cause?: unknown): SpoolFailure =>
  new SpoolFailure('unreadable', `${what} cannot be read: ${why}`, { cause });

export const gone = (key: number): SpoolFailure => new SpoolFailure('unreadable', `message ${key} is gone`);
export const senseless = (key: number, cause: unknown): SpoolFailure =>
  new SpoolFailure('unreadable', `message ${key} makes no sense: ${String(cause)}`, { cause });

/** A record as it is in the journal; both are views of one buffer. */
export type RecordRead = { readonly meta: Buffer; readonly content: Buffer };

/** Throws SpoolFailure where the record is not there, whole. */
export async function readRecord(segment: Segment, { at, frameBytes }: Place): Promise<RecordRead> {
  const what = `record ${segment.generation}/${at}`;
  const bytes = Buffer.allocUnsafeSlow(frameBytes);
  let read: number;
  try {
    read = await segment.reading((file) => readTwice(file, bytes, 0, frameBytes, at));
  } catch (error) {
    throw unreadable(what, codeOf(error), error);
  }
  if (read < frameBytes) throw unreadable(what, `${read} bytes of ${frameBytes}`);
  const frame = peekRecord(bytes, 0, segment) === 0 ? null : decodeFrame(bytes, 0);
  if (frame === null) throw unreadable(what, 'checksum');
  const contentAt = FRAME_HEADER_BYTES + frame.metaBytes;
  return {
    meta: bytes.subarray(FRAME_HEADER_BYTES, contentAt),
    content: bytes.subarray(contentAt, contentAt + frame.contentBytes),
  };
}

/** A message as its record has it. Throws SpoolFailure, or whatever unpacking finds wrong. */
export async function readCopy(segment: Segment, place: Place): Promise<Copy> {
  const { meta, content } = await readRecord(segment, place);
  const { envelope, file } = unpackMessage(meta);
  return { envelope, file, content: file === null ? content : null };
}

/**
 * Chunks as large as the pool's buffers, each there until the next one is asked for or the reader returns; the last one
 * only after the checksum of all held. Throws SpoolFailure.
 */
export async function* readFile(
  disk: Disk,
  folder: string,
  content: ContentFile,
  pool: BufferPool,
): AsyncGenerator<Buffer> {
  const what = `content file ${content.name}`;
  try {
    const file = await disk.open(`${folder}/${content.name}`, 'read');
    const buffer = pool.take();
    try {
      let crc = 0;
      for (let at = 0; at < content.bytes; ) {
        const chunk = buffer.subarray(0, content.bytes - at);
        const read = await readTwice(file, chunk, 0, chunk.length, at);
        if (read < chunk.length) throw unreadable(what, `${at + read} bytes of ${content.bytes}`);
        crc = crc32(chunk, crc);
        at += chunk.length;
        if (at === content.bytes && crc !== content.crc) throw unreadable(what, 'checksum');
        yield chunk;
      }
    } finally {
      pool.give(buffer);
      await file.close();
    }
  } catch (error) {
    throw error instanceof SpoolFailure ? error : unreadable(what, codeOf(error), error);
  }
}
