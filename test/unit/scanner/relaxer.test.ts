/** Relaxed canonicalisation and the hashes over it: native and twin, whole and split, against lines as text. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { WantedHash } from '../../../src/scanner/body_hasher.ts';
import { BodyHasher } from '../../../src/scanner/body_hasher.ts';
import { chooseScanner } from '../../../src/scanner/index.ts';
import { HELD, RELAXED, RELAXED_OUT_BYTES_MIN, RELAXED_SLOTS, type Relaxer } from '../../../src/scanner/relaxer.ts';
import { relaxerTwin } from '../../../src/scanner/relaxer_twin.ts';

const RELAXERS = [...new Set<Relaxer>([relaxerTwin, chooseScanner().relaxer])];
const X62 = 'x'.repeat(62);

/** RFC 6376 §3.4.4 and §3.4.3, read as they stand. */
function relaxed(body: string): string {
  const lines = body.split('\r\n').map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''));
  while (lines.at(-1) === '') lines.pop();
  return lines.map((line) => `${line}\r\n`).join('');
}
const simple = (body: string): string => `${body.replace(/(?:\r\n)+$/, '')}\r\n`;

function run(relaxer: Relaxer, chunks: readonly Buffer[], outBytes = RELAXED_OUT_BYTES_MIN) {
  const state = new Int32Array(RELAXED_SLOTS);
  const out = new Uint8Array(outBytes);
  let text = '';
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const next = relaxer.relax(chunk, at, chunk.length, state, out);
      const written = state[RELAXED.written]!;
      assert.ok(next > at || written > 0, 'a call gets on');
      text += Buffer.from(out.subarray(0, written)).toString('latin1');
      at = next;
    }
  }
  assert.equal(state[RELAXED.begun], text === '' ? 0 : 1);
  const held = [state[RELAXED.lines], state[RELAXED.held]];
  return { text: text === '' ? '' : `${text}\r\n`, held };
}

const CASES: readonly [name: string, body: string, expected: string][] = [
  ['nothing', '', ''],
  ['a line', 'Hello\r\n', 'Hello\r\n'],
  ['a line without its end', 'Hello', 'Hello\r\n'],
  ['RFC 6376 §3.4.5', ' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
  ['empty lines only', '\r\n\r\n\r\n', ''],
  ['blanks only', ' \t\r\n  \r\n', ''],
  ['empty lines at the start and within', '\r\n\r\na\r\n\r\n\r\nb\r\n', '\r\n\r\na\r\n\r\n\r\nb\r\n'],
  ['lines of blanks within', 'a\r\n \t \r\nb\r\n', 'a\r\n\r\nb\r\n'],
  ['a tab alone is a blank', 'a\tb\r\n', 'a b\r\n'],
  ['blanks at the start of a line', '\t\t a\r\n', ' a\r\n'],
  ['a block that ends in a blank', `${X62}x \r\n`, `${X62}x\r\n`],
  ['a block that ends in a blank, and text', `${X62}x a\r\n`, `${X62}x a\r\n`],
  ['a block that ends in CR', `${X62}x\r\ny\r\n`, `${X62}x\r\ny\r\n`],
  ['a block that ends in CRLF', `${X62}\r\ny\r\n`, `${X62}\r\ny\r\n`],
  ['a block that ends in CRLF, and no more', `${X62}\r\n\r\n`, `${X62}\r\n`],
  ['a blank and a CR at the end of a block', `${X62} \r\ny\r\n`, `${X62}\r\ny\r\n`],
  ['a bare CR is a byte', 'a \rb\r\n', 'a \rb\r\n'],
  ['a bare LF is a byte', 'a \nb\r\n', 'a \nb\r\n'],
  ['high bytes and NUL', '\xff\0\xa0 \x80\r\n', '\xff\0\xa0 \x80\r\n'],
  ['more line ends than a call has room for', `a${'\r\n'.repeat(1000)}b`, `a${'\r\n'.repeat(1000)}b\r\n`],
];

for (const relaxer of RELAXERS) {
  describe(`relaxed: ${relaxer === relaxerTwin ? 'twin' : 'native'}`, () => {
    for (const [name, body, expected] of CASES) {
      test(name, () => {
        const bytes = Buffer.from(body, 'latin1');
        assert.equal(run(relaxer, [bytes]).text, expected);
        assert.equal(
          run(
            relaxer,
            [...body].map((char) => Buffer.from(char, 'latin1')),
          ).text,
          expected,
        );
        for (let at = 0; at <= Math.min(bytes.length, 300); at++) {
          assert.equal(run(relaxer, [bytes.subarray(0, at), bytes.subarray(at)]).text, expected, `split at ${at}`);
        }
      });
    }

    test('whatever comes, however it is split, it is what the lines say, and the state is that of the twin', () => {
      const piece = fc.constantFrom(
        '\r\n',
        ' ',
        '\t',
        'a',
        'bc',
        '\r\n\r\n',
        '  ',
        X62,
        `${X62}x`,
        `${X62}xx`,
        'word ',
      );
      const body = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
      fc.assert(
        fc.property(body, fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 4 }), (text, sizes) => {
          const chunks: Buffer[] = [];
          for (let at = 0; at < text.length; at += chunks.at(-1)!.length)
            chunks.push(Buffer.from(text.slice(at, at + sizes[chunks.length % sizes.length]!), 'latin1'));
          const seen = run(relaxer, chunks);
          assert.equal(seen.text, relaxed(text));
          assert.deepEqual(seen, run(relaxerTwin, [Buffer.from(text, 'latin1')], 4096));
        }),
        { numRuns: 1000 },
      );
    });

    test('arguments that do not fit are refused', () => {
      const state = new Int32Array(RELAXED_SLOTS);
      const out = new Uint8Array(RELAXED_OUT_BYTES_MIN);
      const bytes = Buffer.from('abc');
      const refused = (...args: unknown[]): void => {
        assert.throws(() => (relaxer.relax as (...all: unknown[]) => number)(...args));
      };
      refused(bytes, 0, 4, state, out);
      refused(bytes, 2, 1, state, out);
      refused(bytes, -1, 1, state, out);
      refused(bytes, 0.5, 1, state, out);
      refused(bytes, 0, 3, new Int32Array(RELAXED_SLOTS - 1), out);
      refused(bytes, 0, 3, state, out.subarray(1));
    });

    test('what a state that nobody left behind says is nonsense, but stays within its arguments', () => {
      const out = new Uint8Array(RELAXED_OUT_BYTES_MIN + 64);
      for (const lines of [-5, 2 ** 31 - 1])
        for (const held of [HELD.blank | HELD.cr, -1]) {
          const state = Int32Array.of(lines, held, 7, 7);
          const guarded = out.subarray(0, RELAXED_OUT_BYTES_MIN);
          out.fill(0x55);
          relaxer.relax(Buffer.from(`x${X62}yy`), 0, 65, state, guarded);
          assert.ok(state[RELAXED.written]! <= RELAXED_OUT_BYTES_MIN);
          assert.ok(out.subarray(RELAXED_OUT_BYTES_MIN).every((byte) => byte === 0x55));
        }
    });
  });
}

describe('body hashes', () => {
  const hashOf = (text: string): string => createHash('sha256').update(Buffer.from(text, 'latin1')).digest('base64');
  const hashes = (body: string, wanted: readonly WantedHash[], sizes: readonly number[]) => {
    const hasher = new BodyHasher(relaxerTwin, wanted);
    for (let at = 0, turn = 0; at < body.length; turn++) {
      const chunk = Buffer.from(body.slice(at, at + sizes[turn % sizes.length]!), 'latin1');
      hasher.write(chunk, 0, chunk.length);
      at += chunk.length;
    }
    const found = hasher.end();
    return wanted.map(found);
  };
  const ALL = Number.POSITIVE_INFINITY;

  test('of both canonicalisations and several lengths at once, whatever the pieces', () => {
    const piece = fc.constantFrom('\r\n', ' ', 'a', '\r\n\r\n', '  ', 'x'.repeat(2000), `${'\r\n'.repeat(3000)}y`);
    const body = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(body, sizes, fc.nat(3000), (text, chunks, bytesMax) => {
        const wanted = [
          { body: 'simple', bytesMax: ALL },
          { body: 'relaxed', bytesMax: ALL },
          { body: 'simple', bytesMax },
          { body: 'relaxed', bytesMax },
        ] as const;
        const expected = [
          simple(text),
          relaxed(text),
          simple(text).slice(0, bytesMax),
          relaxed(text).slice(0, bytesMax),
        ];
        assert.deepEqual(
          hashes(text, wanted, chunks).map(({ digest }) => digest),
          expected.map(hashOf),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('a length is reached, passed, or beyond the body', () => {
    const of = (bytesMax: number) => hashes('abc\r\n', [{ body: 'simple', bytesMax }], [2])[0]!.covers;
    assert.deepEqual([0, 4, 5, 6, ALL].map(of), ['part', 'part', 'all', 'short', 'all']);
  });

  test('what was not wanted is not asked for', () => {
    const found = new BodyHasher(relaxerTwin, []).end();
    assert.throws(() => found({ body: 'simple', bytesMax: ALL }));
  });
});
