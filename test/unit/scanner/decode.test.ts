import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyCuts } from '../../../src/scanner/decode.ts';
import { INSERT, STATE } from '../../../src/scanner/scanner.ts';
import { newCuts, newState } from './run.ts';

type Cut = readonly [offset: number, drop: number, insert: number];

/** What a sink is given, in order, and what applyCuts makes of the promises that it gives back. */
function applied(from: number, to: number, all: readonly Cut[], waits: readonly (Promise<void> | undefined)[] = []) {
  const state = newState();
  const cuts = newCuts();
  state[STATE.cuts] = all.length;
  cuts.set(all.flatMap(([offset, drop, insert]) => [offset, (drop << 8) | insert]));
  const chunk = new Uint8Array(100);
  const given: (string | readonly [number, number])[] = [];
  let writes = 0;
  const wait = applyCuts(chunk, from, to, state, cuts, {
    write(bytes, start, end) {
      assert.equal(bytes, chunk, 'the chunk itself, not a copy');
      given.push([start, end]);
      return waits[writes++];
    },
    writeText(text) {
      given.push(text);
    },
  });
  return { given, wait };
}

test('a range without cuts is one span', () => {
  assert.deepEqual(applied(10, 30, []).given, [[10, 30]]);
});

test('an empty range is nothing at all', () => {
  assert.deepEqual(applied(10, 10, []).given, []);
});

test('cuts part the range into spans and literals, none of them empty', () => {
  const { given } = applied(10, 30, [
    [10, 0, INSERT.crlf],
    [12, 1, INSERT.nothing],
    [13, 0, INSERT.lf],
    [20, 2, INSERT.crlf],
    [29, 1, INSERT.nothing],
  ]);
  assert.deepEqual(given, ['\r\n', [10, 12], '\n', [13, 20], '\r\n', [22, 29]]);
});

test('cuts of an earlier call, further up in the array, are not applied again', () => {
  const state = newState();
  const cuts = newCuts().fill(1);
  const given: unknown[] = [];
  applyCuts(new Uint8Array(9), 0, 9, state, cuts, {
    write: (_, from, to) => void given.push([from, to]),
    writeText: (text) => given.push(text),
  });
  assert.deepEqual(given, [[0, 9]]);
});

test('the last promise of the sink is passed on, also where the span after it asks for no wait', () => {
  const first = Promise.resolve();
  const second = Promise.resolve();
  const cuts: Cut[] = [
    [2, 1, INSERT.nothing],
    [5, 1, INSERT.nothing],
  ];
  assert.equal(applied(0, 9, cuts).wait, undefined);
  assert.equal(applied(0, 9, cuts, [first]).wait, first);
  assert.equal(applied(0, 9, cuts, [first, second]).wait, second);
  assert.equal(applied(0, 9, cuts, [undefined, undefined, second]).wait, second);
});
