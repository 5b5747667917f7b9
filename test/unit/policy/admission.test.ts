import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission } from '../../../src/policy/admission.ts';

const LIMITS = {
  connectionsMax: 1000,
  clientConnectionsMax: 1000,
  clientConnectionsPerMinuteMax: 0,
  clientsTrackedMax: 10,
};
const T = 60_000_000; // the beginning of a minute

test('sessions in all are bounded, and a closed one makes room', () => {
  const admission = new Admission({ ...LIMITS, connectionsMax: 2 });
  assert.equal(admission.admit('a', T), null);
  assert.equal(admission.admit('b', T), null);
  assert.equal(admission.admit('c', T), 'tooManyConnections');
  assert.equal(admission.connections, 2);
  admission.release('a', T);
  assert.equal(admission.admit('c', T), null);
});

test('sessions of one client are bounded, those of others are not touched', () => {
  const admission = new Admission({ ...LIMITS, clientConnectionsMax: 2 });
  assert.equal(admission.admit('a', T), null);
  assert.equal(admission.admit('a', T), null);
  assert.equal(admission.admit('a', T), 'tooManyFromClient');
  assert.equal(admission.admit('b', T), null);
  admission.release('a', T);
  assert.equal(admission.admit('a', T), null);
});

test('new sessions within a minute are bounded, refused ones are not counted', () => {
  const admission = new Admission({ ...LIMITS, clientConnectionsPerMinuteMax: 3 });
  for (let n = 0; n < 3; n++) {
    assert.equal(admission.admit('a', T), null);
    admission.release('a', T);
  }
  for (let n = 0; n < 50; n++) assert.equal(admission.admit('a', T + 30_000), 'tooFastFromClient');
  assert.equal(admission.admit('b', T + 30_000), null);
  assert.equal(admission.admit('a', T + 60_000), 'tooFastFromClient', 'all of the last minute still counts');
  assert.equal(admission.admit('a', T + 60_001), null, 'and then less than all of it');
  assert.equal(admission.admit('a', T + 60_002), 'tooFastFromClient');
  assert.equal(admission.admit('a', T + 180_000), null, 'two minutes later it is a new client');
});

test('a rate of zero is off, and then nobody is remembered', () => {
  const admission = new Admission(LIMITS);
  for (let n = 0; n < 500; n++) {
    assert.equal(admission.admit('a', T), null);
    admission.release('a', T);
  }
  assert.equal(admission.clients, 0);
});

test('a million clients one after the other do not grow it beyond its bound', () => {
  const admission = new Admission({ ...LIMITS, clientConnectionsPerMinuteMax: 5, clientsTrackedMax: 100 });
  for (let n = 0; n < 1_000_000; n++) {
    const key = `client-${n}`;
    assert.equal(admission.admit(key, T), null);
    admission.release(key, T);
    if (n % 10_000 === 0) assert.ok(admission.clients <= 101);
  }
  assert.equal(admission.connections, 0);
});

test('clients with sessions are never forgotten, whatever comes', () => {
  const admission = new Admission({ ...LIMITS, clientConnectionsMax: 1, clientConnectionsPerMinuteMax: 5 });
  for (let n = 0; n < 50; n++) assert.equal(admission.admit(`stays-${n}`, T), null);
  for (let n = 0; n < 1000; n++) {
    assert.equal(admission.admit(`goes-${n}`, T), null);
    admission.release(`goes-${n}`, T);
  }
  for (let n = 0; n < 50; n++) assert.equal(admission.admit(`stays-${n}`, T), 'tooManyFromClient');
});

test('the idle are forgotten after two minutes, and the one that came back is not', () => {
  const admission = new Admission({ ...LIMITS, clientConnectionsPerMinuteMax: 5 });
  for (const key of ['a', 'b', 'c']) {
    admission.admit(key, T);
    admission.release(key, T);
  }
  assert.equal(admission.clients, 3);
  admission.admit('a', T + 100_000);
  admission.admit('d', T + 120_000);
  assert.equal(admission.clients, 2);
});

test('releasing what was never admitted is a defect', () => {
  assert.throws(() => new Admission(LIMITS).release('a', T), /released once/);
});
