/** One message through a scanner, in chunks, as the inbound path does it. */
import assert from 'node:assert/strict';
import { applyCuts } from '../../../src/scanner/decode.ts';
import type { Scanner } from '../../../src/scanner/scanner.ts';
import {
  CUT_SLOTS,
  CUTS_MAX,
  FLAGS,
  INSERTS,
  MODE_BDAT,
  MODE_DATA,
  STATE,
  STATE_SLOTS,
} from '../../../src/scanner/scanner.ts';
import type { Expected, Mode } from './reference.ts';

/** `match` and `phase` as well, so that a split shows that leaves the scanner elsewhere. */
export type Seen = { readonly said: Expected; readonly state: readonly number[] };

export const bytesOf = (wire: string): Buffer => Buffer.from(wire, 'latin1');

export const newState = (): Int32Array => new Int32Array(STATE_SLOTS);
export const newCuts = (): Int32Array => new Int32Array(CUTS_MAX * CUT_SLOTS);

export function run(scanner: Scanner, chunks: readonly Buffer[], mode: Mode): Seen {
  const state = newState();
  state[STATE.mode] = mode === 'data' ? MODE_DATA : MODE_BDAT;
  const cuts = newCuts();
  const of = (slot: keyof typeof STATE): number => state[STATE[slot]]!;
  const ended = (): boolean => (of('flags') & FLAGS.endOfData) !== 0;
  let content = '';
  let rest = '';
  const sink = {
    write(chunk: Uint8Array, from: number, to: number): undefined {
      content += Buffer.from(chunk.subarray(from, to)).toString('latin1');
    },
    writeText(text: string): void {
      content += text;
    },
  };
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length && !ended()) {
      const next = scanner.scan(chunk, at, chunk.length, state, cuts);
      assert.ok(next > at && next <= chunk.length, 'a call gets on, and not beyond its range');
      inOrder(cuts, of('cuts'), at, next);
      applyCuts(chunk, at, next, state, cuts, sink);
      assert.equal(of('contentBytes'), content.length, 'contentBytes is what the cuts make, at every time');
      at = next;
    }
    rest += chunk.toString('latin1', at);
  }
  if (mode === 'bdat') content += INSERTS[scanner.finish(state)]!;
  assert.equal(of('contentBytes'), content.length);
  const said: Expected = {
    content,
    rest,
    flags: of('flags'),
    lineBytes: of('lineBytes'),
    lineBytesMax: of('lineBytesMax'),
    dottedLines: of('dottedLines'),
    headerBytes: of('headerBytes'),
    headerFields: of('headerFields'),
    receivedFields: of('receivedFields'),
  };
  return { said, state: [...state].filter((_, slot) => slot !== STATE.cuts) }; // `cuts` is of the last call only
}

function inOrder(cuts: Int32Array, count: number, from: number, to: number): void {
  assert.ok(count <= CUTS_MAX);
  let at = from;
  for (let slot = 0; slot < count * CUT_SLOTS; slot += CUT_SLOTS) {
    const [offset, code] = [cuts[slot]!, cuts[slot + 1]!];
    assert.ok(offset >= at && (code & 0xff) < INSERTS.length, 'cuts are in order');
    at = offset + (code >> 8);
  }
  assert.ok(at <= to, 'cuts lie in what was read');
}
