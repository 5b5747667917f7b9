/** Whatever comes and goes, a number leads to its rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RowTable } from '../../../src/spool/row_table.ts';
import { Rows } from '../../../src/spool/rows.ts';
import { envelopeOf } from './ledger.ts';
import { chance } from './workload.ts';

/** Of a wrong one, only what shows. */
function assertSame(byKey: RowTable, twin: ReadonlyMap<number, number>, keys: Iterable<number>): void {
  for (const key of keys)
    if (byKey.get(key) !== twin.get(key)) assert.equal(byKey.get(key), twin.get(key), `key ${key}`);
}

test('a key leads to its row as long as it is there', () => {
  const index = new Rows();
  const byKey = new RowTable([], (row) => index.key(row));
  const twin = new Map<number, number>();
  const goes = chance(7, 0.4);
  for (let key = 1; key < 60_000; key++) {
    const row = index.add(key, envelopeOf(1), null, null);
    byKey.add(row);
    twin.set(key, row);
    const other = key - 1 - (key % 977);
    const leaving = goes() ? twin.get(other) : undefined;
    if (leaving !== undefined) {
      byKey.delete(leaving);
      twin.delete(other);
      index.end(leaving);
    }
    if (key % 5000 === 0)
      assertSame(
        byKey,
        twin,
        Array.from({ length: key }, (_, at) => at),
      );
  }
  assertSame(new RowTable(index.rows(), (row) => index.key(row)), twin, twin.keys());
});

test('keys in runs that are powers of two apart are found in a few steps', () => {
  const index = new Rows();
  let steps = 0;
  const runs = [0, 2 ** 17, 2 ** 20, 2 ** 33, 2 ** 40];
  for (const from of runs) for (let at = 1; at <= 4000; at++) index.add(from + at, envelopeOf(1), null, null);
  const byKey = new RowTable(index.rows(), (row) => {
    steps++;
    return index.key(row);
  });
  steps = 0;
  for (const row of index.rows()) assert.equal(byKey.get(index.key(row)), row);
  assert.ok(steps < 4 * 20_000, `${steps} steps for 20,000 keys`);
});

test('rows of the same number are all found, whoever of them goes', () => {
  const rows = Array.from({ length: 3000 }, (_, row) => row);
  const table = new RowTable(rows, (row) => row % 10);
  for (const row of rows) if (row % 3 === 0) table.delete(row);
  for (let number = 0; number < 10; number++) {
    const expected = rows.filter((row) => row % 10 === number && row % 3 !== 0);
    assert.deepEqual(
      [...table.all(number)].sort((one, other) => one - other),
      expected,
    );
  }
  assert.deepEqual([...table.all(11)], []);
});
