/**
 * A message out of a file, or standard input, piece by piece, as a client would send it: a file whose lines end in LF
 * alone, as Unix has them, gets CRLF; one with CRLF is left as it is, and so is what is wrong in it.
 */
import { constants, createReadStream } from 'node:fs';
import { access, stat } from 'node:fs/promises';

const STANDARD_INPUT = 0;
const CR = 13;
const LF = 10;
const CRLF = Buffer.from('\r\n');

/** `-` is standard input. A text: why it cannot be read. */
export async function openMessage(path: string): Promise<AsyncIterable<Buffer> | string> {
  if (path === '-') return withCrlf(createReadStream('', { fd: STANDARD_INPUT, autoClose: false }));
  try {
    if ((await stat(path)).isDirectory()) return `${path}: a folder, not a message`;
    await access(path, constants.R_OK);
  } catch (error) {
    return `${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
  return withCrlf(createReadStream(path));
}

export async function* withCrlf(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let unix: boolean | null = null;
  let before = 0;
  for await (const piece of pieces) {
    const first: number = unix === null ? piece.indexOf(LF) : -1;
    if (first !== -1) unix = (first === 0 ? before : piece[first - 1]) !== CR;
    yield unix === true ? mended(piece, before) : piece;
    before = piece.at(-1) ?? before;
  }
}

function mended(piece: Buffer, before: number): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = piece.indexOf(LF); at !== -1; at = piece.indexOf(LF, at + 1)) {
    if ((at === 0 ? before : piece[at - 1]) === CR) continue;
    parts.push(piece.subarray(from, at), CRLF);
    from = at + 1;
  }
  return Buffer.concat([...parts, piece.subarray(from)]);
}
