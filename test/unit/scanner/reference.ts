/** What a scanner must do, written on strings and without a thought for speed: one char per byte. */
import { FLAGS } from '../../../src/scanner/scanner.ts';

export type Mode = 'data' | 'bdat';

export type Expected = {
  readonly content: string;
  /** What follows the end of data. */
  readonly rest: string;
  readonly flags: number;
  readonly lineBytes: number;
  readonly lineBytesMax: number;
  readonly dottedLines: number;
  readonly headerBytes: number;
  readonly headerFields: number;
  readonly receivedFields: number;
};

/** `wire` is everything that came; DATA that is not over yet keeps back what cannot be judged. */
export function reference(wire: string, mode: Mode): Expected {
  let content = '';
  let flags = 0;
  let at = 0;
  let atStart = true;
  let rest = '';
  while (at < wire.length) {
    if (mode === 'data' && atStart && wire[at] === '.') {
      const next = wire.slice(at + 1, at + 3);
      if (next === '\r\n') {
        flags |= FLAGS.endOfData;
        rest = wire.slice(at + 3);
        break;
      }
      if (next === '' || next === '\r') break;
      at += 1;
    } else if (wire.startsWith('\r\n', at)) {
      content += '\r\n';
      at += 2;
      atStart = true;
      continue;
    } else if (wire[at] === '\r') {
      if (mode === 'data' && at + 1 === wire.length) break;
      content += '\r\n';
      flags |= FLAGS.bareCr;
      at += 1;
    } else if (wire[at] === '\n') {
      content += '\r\n';
      flags |= FLAGS.bareLf;
      at += 1;
    } else {
      if (wire[at] === '\0') flags |= FLAGS.nul;
      if (wire.charCodeAt(at) > 127) flags |= FLAGS.eightBit;
      content += wire[at++];
    }
    atStart = false;
  }
  return { content, rest, flags, ...linesOf(content) };
}

function linesOf(content: string) {
  const lines = content.split('\r\n');
  const ended = lines.slice(0, -1);
  const empty = ended.indexOf('');
  const header = empty === -1 ? lines : lines.slice(0, empty);
  const fields = header.filter((line) => line !== '' && !/^[ \t]/.test(line));
  return {
    lineBytes: lines.at(-1)!.length,
    lineBytesMax: Math.max(0, ...ended.map((line) => line.length)),
    dottedLines: lines.filter((line) => line.startsWith('.')).length,
    headerBytes: empty === -1 ? 0 : header.reduce((sum, line) => sum + line.length + 2, 2),
    headerFields: fields.length,
    receivedFields: fields.filter((line) => /^received[ \t]*:/i.test(line)).length,
  };
}
