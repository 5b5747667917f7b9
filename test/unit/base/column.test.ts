import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnOf, grown, resized } from '../../../src/base/column.ts';

test('a column grows where it is, with zeros', () => {
  let column = columnOf(Uint32Array, 1000).fill(7);
  const first = column;
  while (column.length < 300_000) column = resized(column, grown(column.length));
  assert.equal(column, first, 'nothing was copied');
  assert.deepEqual([...new Set(column.subarray(0, 1000))], [7]);
  assert.deepEqual([...new Set(column.subarray(1000))], [0]);
});

test('what is given back comes again as zeros', () => {
  const column = columnOf(Float64Array, 50_000).fill(3);
  resized(column, 10);
  assert.equal(column.byteLength, 80);
  resized(column, 50_000);
  assert.deepEqual([column[9], column[10], column[49_999]], [3, 0, 0]);
});

test('a column that outgrows its addresses goes on in others', () => {
  let column = columnOf(Uint16Array, 1);
  column[0] = 5;
  const first = column;
  column = resized(column, 2 ** 22 + 1);
  assert.notEqual(column, first);
  assert.deepEqual([column[0], column[2 ** 22], column.length], [5, 0, 2 ** 22 + 1]);
});
