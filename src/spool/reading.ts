/** Content of a stored message, from wherever it is, checked before the last of it is handed out. */
import { crc32 } from 'node:zlib';
import type { Disk } from './disk.ts';
import { codeOf, readFully } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { ContentFile, Message, Place } from './message.ts';
import { SpoolFailure } from './spool.ts';

const unreadable = (message: Message, why: string, cause?: unknown): SpoolFailure =>
  new SpoolFailure('broken', `content of ${message.envelope.id} cannot be read: ${why}`, { cause });

/** The content of a record, at most contentInlineBytesMax. Throws SpoolFailure. */
export async function readInline(message: Message): Promise<Buffer> {
  for (;;) {
    const { content, place } = message;
    if (content !== null) return content;
    if (place === null) throw unreadable(message, 'it is gone');
    let fault: unknown;
    try {
      const bytes = await readPlace(place, message.envelope.content.bytes);
      if (bytes !== null && crc32(bytes) === message.contentCrc) return bytes;
      fault = 'checksum';
    } catch (error) {
      fault = error;
    }
    // Copied forward meanwhile, and its old segment is in use again: read where it is now.
    if (message.place !== place) continue;
    throw unreadable(message, fault === 'checksum' ? fault : codeOf(fault), fault);
  }
}

async function readPlace(place: Place, contentBytes: number): Promise<Buffer | null> {
  const bytes = Buffer.allocUnsafeSlow(contentBytes);
  const read = await place.segment.reading((file) => readFully(file, bytes, 0, contentBytes, place.contentAt));
  return read === contentBytes ? bytes : null;
}

/** Chunks of at most readBytesMax; the last one only after the checksum of all held. Throws SpoolFailure. */
export async function* readFile(
  disk: Disk,
  folder: string,
  message: Message,
  content: ContentFile,
): AsyncGenerator<Buffer> {
  try {
    const file = await disk.open(`${folder}/${content.name}`, 'read');
    try {
      let crc = 0;
      for (let at = 0; at < content.bytes; ) {
        const chunk = Buffer.allocUnsafeSlow(Math.min(SPOOL_LIMITS.readBytesMax, content.bytes - at));
        const read = await readFully(file, chunk, 0, chunk.length, at);
        if (read < chunk.length) throw unreadable(message, `${at + read} bytes of ${content.bytes}`);
        crc = crc32(chunk, crc);
        at += chunk.length;
        if (at === content.bytes && crc !== content.crc) throw unreadable(message, 'checksum');
        yield chunk;
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof SpoolFailure ? error : unreadable(message, codeOf(error), error);
  }
}
