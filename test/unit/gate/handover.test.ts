import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { Handover, take } from '../../../src/gate/handover.ts';

const MEMBERS = [11, 12, 13, 14];

test('what was not taken is called back, in order, and once', () => {
  const handover = new Handover();
  for (const descriptor of MEMBERS) handover.give(descriptor);
  assert.deepEqual([take(handover.memory, 11), take(handover.memory, 12)], [true, true]);
  assert.deepEqual(handover.recall(), [13, 14]);
  assert.deepEqual(handover.recall(), []);
});

test('what was called back is not taken any more', () => {
  const handover = new Handover();
  for (const descriptor of MEMBERS) handover.give(descriptor);
  take(handover.memory, 11);
  handover.recall();
  assert.deepEqual([take(handover.memory, 12), take(handover.memory, 13)], [false, false]);
});

test('what was taken is forgotten while more is given', () => {
  const handover = new Handover();
  for (let round = 0; round < 100; round++) {
    handover.give(round);
    if (round < 98) assert.equal(take(handover.memory, round), true);
  }
  assert.deepEqual(handover.recall(), [98, 99]);
});

test('the count goes round, and is never the seal', () => {
  const handover = new Handover();
  handover.memory[0] = 0x7ffffffe; // as after so many connections
  for (const descriptor of MEMBERS) handover.give(descriptor);
  for (const descriptor of [11, 12, 13]) assert.equal(take(handover.memory, descriptor), true);
  assert.equal(handover.memory[0], 1);
  handover.give(15);
  assert.deepEqual(handover.recall(), [14, 15]);
});

test('sockets are transferred, and need no handover', () => {
  const handover = new Handover();
  const socket = new net.Socket();
  handover.give(socket);
  assert.equal(take(handover.memory, socket), true);
  assert.deepEqual(handover.recall(), []);
  assert.equal(handover.memory[0], -1);
});
