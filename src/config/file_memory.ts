/** A binary file as memory that all threads share: read once, never copied again. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Rejects with the system's error, or with EFBIG; `code` says which. */
export async function readShared(path: string, bytesMax: number): Promise<SharedArrayBuffer> {
  const { size } = await stat(path);
  if (size > bytesMax) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
  const memory = new SharedArrayBuffer(size);
  const bytes = new Uint8Array(memory);
  let at = 0;
  for await (const piece of createReadStream(path)) {
    const chunk = piece as Buffer;
    // It grows while it is read: somebody is writing it, and renames it when it is whole.
    if (at + chunk.length > size) throw Object.assign(new Error('grows'), { code: 'EAGAIN' });
    bytes.set(chunk, at);
    at += chunk.length;
  }
  if (at < size) throw Object.assign(new Error('shrinks'), { code: 'EAGAIN' });
  return memory;
}
