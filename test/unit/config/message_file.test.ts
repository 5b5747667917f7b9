/** Line ends of a message file, whole and cut into pieces at every place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCrlf } from '../../../src/config/message_file.ts';

async function* cut(text: string, at: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < text.length; from += at) yield Buffer.from(text.slice(from, from + at), 'latin1');
}

async function read(text: string, at: number): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of withCrlf(cut(text, at))) parts.push(part);
  return Buffer.concat(parts).toString('latin1');
}

const CASES: readonly [title: string, text: string, read: string][] = [
  ['Unix lines get CRLF', 'a: b\n\nx\n', 'a: b\r\n\r\nx\r\n'],
  ['a first line that is empty', '\nx\n', '\r\nx\r\n'],
  ['a CRLF among Unix lines stays one', 'a\nb\r\nc\n', 'a\r\nb\r\nc\r\n'],
  ['what came with CRLF keeps its lone LF and CR, which the policy is to see', 'a\r\nb\nc\rd\r\n', 'a\r\nb\nc\rd\r\n'],
  ['no line end at all', 'abc', 'abc'],
  ['no bytes', '', ''],
  ['the last line without an end', 'a\nb', 'a\r\nb'],
];

for (const [title, text, expected] of CASES) {
  test(title, async () => {
    for (let at = 1; at <= text.length + 1; at++) assert.equal(await read(text, at), expected, `pieces of ${at}`);
  });
}
