import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { applyCuts } from '../../../src/scanner/decode.ts';
import { chooseScanner } from '../../../src/scanner/index.ts';
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
import { twin } from '../../../src/scanner/twin.ts';
import type { Expected } from './reference.ts';
import { reference } from './reference.ts';

const SCANNERS = [...new Set<Scanner>([twin, chooseScanner().scanner])];

type Mode = 'data' | 'bdat';
type Seen = Expected & { readonly state: readonly number[] };

function run(scanner: Scanner, chunks: readonly Buffer[], mode: Mode): Seen {
  const state = new Int32Array(STATE_SLOTS);
  state[STATE.mode] = mode === 'data' ? MODE_DATA : MODE_BDAT;
  const cuts = new Int32Array(CUTS_MAX * CUT_SLOTS);
  const ended = () => (state[STATE.flags]! & FLAGS.endOfData) !== 0;
  let content = '';
  let rest = '';
  const sink = {
    write(chunk: Uint8Array, from: number, to: number) {
      content += Buffer.from(chunk).toString('latin1', from, to);
      return undefined;
    },
    writeText(text: string) {
      content += text;
    },
  };
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length && !ended()) {
      const next = scanner.scan(chunk, at, chunk.length, state, cuts);
      assert.ok(next > at && next <= chunk.length, 'every call gets on');
      applyCuts(chunk, at, next, state, cuts, sink);
      at = next;
    }
    rest += chunk.toString('latin1', at);
  }
  if (mode === 'bdat') content += INSERTS[scanner.finish(state)]!;
  assert.equal(state[STATE.contentBytes], content.length, 'contentBytes is what the cuts make');
  const of = (slot: keyof typeof STATE) => state[STATE[slot]]!;
  return {
    content,
    rest,
    flags: of('flags'),
    dottedLines: of('dottedLines'),
    headerBytes: of('headerBytes'),
    headerFields: of('headerFields'),
    receivedFields: of('receivedFields'),
    // Without `cuts`, which is of the last call only.
    state: [...state].filter((_, slot) => slot !== STATE.cuts),
  };
}

const bytes = (wire: string): Buffer => Buffer.from(wire, 'latin1');
const everyByte = (wire: string): Buffer[] => [...wire].map((char) => bytes(char));

function holds(scanner: Scanner, wire: string, mode: Mode): void {
  const whole = run(scanner, [bytes(wire)], mode);
  const { state, ...seen } = whole;
  assert.deepEqual(seen, reference(wire, mode), JSON.stringify(wire));
  assert.deepEqual(run(scanner, everyByte(wire), mode), whole, `split at every byte: ${JSON.stringify(wire)}`);
  if (wire.length > 24) return;
  for (let one = 0; one <= wire.length; one++) {
    for (let two = one; two <= wire.length; two++) {
      const chunks = [wire.slice(0, one), wire.slice(one, two), wire.slice(two)].map(bytes);
      assert.deepEqual(run(scanner, chunks, mode), whole, `split at ${one} and ${two}: ${JSON.stringify(wire)}`);
    }
  }
}

const CASES = {
  'an empty message': '.\r\nQUIT\r\n',
  'a line and the end': 'one\r\n.\r\n',
  'what follows the end is not content': 'one\r\n.\r\nMAIL FROM:<a@b>\r\n',
  'a stuffed dot is left out': '..one\r\n..\r\n...\r\n.\r\n',
  'a dot before text is stuffing, too': '.one\r\n.\r\n',
  'a dot within a line stays': 'a.b\r\n .\r\n.\r\n',
  'LF . LF is no end': 'a\n.\nb\r\n.\r\n',
  'CR . CR is no end': 'a\r.\rb\r\n.\r\n',
  'LF . CRLF is no end': 'a\n.\r\nb\r\n.\r\n',
  'CRLF . LF is no end': 'a\r\n.\nb\r\n.\r\n',
  'CRLF . CR is no end': 'a\r\n.\rb\r\n.\r\n',
  'CRLF . CR CR LF is no end': 'a\r\n.\r\r\nb\r\n.\r\n',
  'CR CRLF . CRLF is one': 'a\r\r\n.\r\nb',
  'a dot after a bare LF is content': 'a\n..b\r\n.\r\n',
  'NUL and high bytes are seen': 'a\0b\xff\r\n.\r\n',
  'header, empty line, body': 'A: b\r\nC: d\r\n\r\nbody\r\n.\r\n',
  'a folded line is no field': 'A: b\r\n c\r\n\td\r\n\r\n.\r\n',
  'Received in any case, with blanks, and not its likes':
    'Received: a\r\nRECEIVED \t: b\r\nReceived-SPF: c\r\n received: d\r\nXReceived: e\r\n\r\nReceived: f\r\n.\r\n',
  'a bare LF ends a header line as well': 'Received: a\nReceived: b\n\nbody\r\n.\r\n',
};

for (const scanner of SCANNERS) {
  describe(`scanner: ${scanner.name}`, () => {
    for (const [name, wire] of Object.entries(CASES)) {
      test(name, () => {
        holds(scanner, wire, 'data');
        holds(scanner, wire, 'bdat');
      });
    }

    test('a pending CR at the end of BDAT is a bare one', () => {
      assert.equal(run(scanner, [bytes('a\r')], 'bdat').content, 'a\r\n');
    });

    test('more cuts than fit in one call lose nothing', () => {
      holds(scanner, `${'..a\r\n'.repeat(CUTS_MAX * 2)}.\r\n`, 'data');
      holds(scanner, '\n'.repeat(CUTS_MAX * 3), 'data');
      holds(scanner, '\r'.repeat(CUTS_MAX * 3), 'bdat');
    });

    test('the longest line is measured without its line end', () => {
      const seen = run(scanner, [bytes(`${'x'.repeat(5000)}\r\nyy\r\n.\r\n`)], 'data');
      assert.equal(seen.state[STATE.lineBytesMax - 1], 5000);
    });

    test('whatever comes, however it is split, it is what the reference says', () => {
      const piece = fc.oneof(
        fc.constantFrom(
          '\r',
          '\n',
          '.',
          '\r\n',
          '\r\n.\r\n',
          '\r\n.',
          'Received',
          ':',
          ' ',
          '\0',
          '\xff',
          'x'.repeat(70),
        ),
        fc.string({ maxLength: 8 }).map((text) => Buffer.from(text).toString('latin1')),
      );
      const wires = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
      const property = fc.property(
        wires,
        fc.array(fc.nat(300), { maxLength: 6 }),
        fc.boolean(),
        (wire, splits, data) => {
          const mode = data ? 'data' : 'bdat';
          const offsets = [0, ...splits.filter((at) => at < wire.length).sort((a, b) => a - b), wire.length];
          const chunks = offsets.slice(1).map((to, at) => bytes(wire.slice(offsets[at], to)));
          const { state, ...seen } = run(scanner, chunks, mode);
          assert.deepEqual(seen, reference(wire, mode));
          assert.deepEqual(state, run(twin, [bytes(wire)], mode).state);
        },
      );
      fc.assert(property, { numRuns: 5000 });
    });
  });
}
