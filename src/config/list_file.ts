/**
 * Long files of lines, read piece by piece: who goes through ten million lines holds a quarter of a megabyte of them at
 * a time. What is wrong with the file is a rejection with the system's error.
 */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

const PIECE_BYTES = 262_144;
/** In a folder: who has more splits it otherwise. */
const FILES_MAX = 10_000;

/** The file, or the plain files of the folder in the order of their names, dot files left out. */
export async function listFiles(path: string): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  if (names.length > FILES_MAX)
    throw Object.assign(new Error('too many files'), { code: `more than ${FILES_MAX} files` });
  return names.sort().map((name) => join(path, name));
}

export async function* pieces(path: string): AsyncGenerator<Buffer> {
  const stream = createReadStream(path, { highWaterMark: PIECE_BYTES });
  try {
    for await (const piece of stream) yield piece as Buffer;
  } finally {
    stream.destroy();
  }
}
