/** A folder of .eml files as texts to send, in the order of their names. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TEXTS_BYTES_MAX, type Texts } from './text_sizes.ts';

const FILES_MAX = 100_000;
const CR = 13;
const LF = 10;

export const emlNames = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => name.toLowerCase().endsWith('.eml'))
    .sort();

export function emlFolder(folder: string): Texts {
  const names = emlNames(folder);
  if (names.length === 0) throw new Error(`${folder} has no .eml file`);
  if (names.length > FILES_MAX) throw new Error(`${folder} has more than ${FILES_MAX} .eml files`);
  const texts: Buffer[] = [];
  let bytes = 0;
  for (const name of names) {
    const text = withLineEnds(readFileSync(join(folder, name)));
    bytes += text.length;
    if (bytes > TEXTS_BYTES_MAX) throw new Error(`${folder} has more than ${TEXTS_BYTES_MAX} bytes of .eml files`);
    texts.push(text);
  }
  return { texts, choose: (index) => index % texts.length };
}

/**
 * Every line ends with CRLF, the last one included (RFC 5321 §2.3.8): files have LF alone, and a bare CR is no better.
 */
export function withLineEnds(text: Buffer): Buffer {
  const out = Buffer.allocUnsafe(text.length * 2 + 2);
  let to = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at]!;
    if (byte === CR && text[at + 1] === LF) continue;
    if (byte === CR || byte === LF) out[to++] = CR;
    out[to++] = byte === CR ? LF : byte;
  }
  if (to === 0 || out[to - 1] !== LF) to += out.write('\r\n', to, 'latin1');
  return Buffer.from(out.subarray(0, to)); // not twice its size for the whole run
}
