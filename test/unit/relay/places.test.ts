import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, Places } from '../../../src/relay/places.ts';

function leave(places: Places, line: Line): string {
  const first = `${places.row(line)} ${places.recipient(line)} ${places.sinceSeconds(line)}`;
  places.drop(line);
  return first;
}

test('lines of one pool do not mix, and places are used again', () => {
  const places = new Places();
  const [one, two] = [new Line(), new Line()];
  for (let n = 0; n < 10_000; n++) {
    places.push(n % 2 === 0 ? one : two, n, n % 100, n * 7);
    if (n % 3 === 2)
      assert.equal(leave(places, one), `${((n - 2) / 3) * 2} ${(((n - 2) / 3) * 2) % 100} ${((n - 2) / 3) * 14}`);
  }
  assert.equal(places.size, one.size + two.size);
  for (let n = 1; two.size > 0; n += 2) assert.equal(leave(places, two), `${n} ${n % 100} ${n * 7}`);
  while (one.size > 0) leave(places, one);
  assert.equal(places.size, 0);
  places.push(one, 1, 2, 3);
  assert.equal(leave(places, one), '1 2 3');
});

test('recipients of one row that stand together leave together', () => {
  const places = new Places();
  const line = new Line();
  for (const [row, recipient] of [
    [5, 1],
    [5, 4],
    [6, 0],
    [5, 2],
  ] as const)
    places.push(line, row, recipient, 0);
  assert.deepEqual([places.takeRow(line), places.takeRow(line), places.takeRow(line)], [[1, 4], [0], [2]]);
  assert.equal(places.size, 0);
});

test('nobody leaves an empty line', () => {
  assert.throws(() => new Places().drop(new Line()), /empty/);
});

test('after a wave its memory is given back, and a small one does not move it', () => {
  const places = new Places();
  const line = new Line();
  const before = places.capacity;
  for (let wave = 0; wave < 3; wave++) {
    for (let n = 0; n < 100_000; n++) places.push(line, n, 0, 0);
    assert.ok(places.capacity < 200_000);
    while (line.size > 0) places.drop(line);
    assert.equal(places.capacity, before);
  }
});
