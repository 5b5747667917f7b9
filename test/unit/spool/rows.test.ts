import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashOf } from '../../../src/base/hash.ts';
import { SPOOL_LIMITS } from '../../../src/spool/limits.ts';
import { Rows } from '../../../src/spool/rows.ts';
import type { RecipientState, Row } from '../../../src/spool/spool.ts';
import { waiting } from '../../support/waiting.ts';
import { envelopeOf } from './ledger.ts';

test('what is known of a message at rest is what its envelope said', () => {
  const rows = new Rows();
  const envelope = { ...envelopeOf(2048, 2), acceptedMs: 1_700_000_123_456 };
  const row = rows.add(7, envelope, null, null);
  assert.equal(rows.key(row), 7);
  assert.equal(rows.acceptedMs(row), 1_700_000_123_000);
  assert.equal(rows.contentBytes(row), 2048);
  assert.equal(rows.recipients(row), 2);
  assert.equal(rows.idHash(row), hashOf(envelope.id));
  assert.equal(rows.senderHash(row), hashOf('sender@example.org'));
  assert.equal(rows.addressHash(row, 1), hashOf('rcpt1@example.com'));
  assert.equal(rows.domain(row, 1), 'example.com');
  assert.equal(rows.destination(row, 0), 'example.com');
  assert.equal(rows.destination(row, 1), 'example.com smtp://q2.example:25');
  assert.deepEqual(rows.state(row, 0), waiting());
  assert.ok(rows.fresh(row));
});

test('states come back as they were given, and final is final', () => {
  const rows = new Rows();
  const row = rows.add(1, envelopeOf(1, 3), null, null);
  const state = waiting({
    attempts: 9,
    nextMs: 1_800_000_000_123,
    site: 'mx a',
    detail: '451 4.7.1 later',
    warned: true,
  });
  rows.apply(row, [
    { recipient: 0, state },
    { recipient: 1, state: waiting({ nextMs: Number.POSITIVE_INFINITY }) },
    { recipient: 2, state: { tag: 'delivered' } },
    { recipient: 2, state },
  ]);
  assert.deepEqual(rows.state(row, 0), state);
  assert.equal(rows.site(row, 0), 'mx a');
  assert.equal(rows.dueMs(row, 1), Number.POSITIVE_INFINITY);
  assert.deepEqual(rows.state(row, 2), { tag: 'delivered' });
  assert.equal(rows.dueMs(row, 2), null);
  assert.equal(rows.recipientsWaiting, 2);
  assert.ok(!rows.fresh(row));
});

test('a row is not used again while somebody claims a recipient of it', () => {
  const rows = new Rows();
  const row = rows.add(1, envelopeOf(1, 2), null, null);
  rows.claim(row, 0);
  rows.claim(row, 1);
  rows.lose(row);
  rows.end(row);
  assert.notEqual(rows.add(2, envelopeOf(1), null, null), row);
  rows.unclaim(row, 0);
  assert.notEqual(rows.add(3, envelopeOf(1), null, null), row);
  rows.unclaim(row, 1);
  assert.equal(rows.add(4, envelopeOf(1), null, null), row);
});

test('a final state ends the claim', () => {
  const rows = new Rows();
  const row = rows.add(1, envelopeOf(1), null, null);
  rows.claim(row, 0);
  rows.apply(row, [{ recipient: 0, state: waiting({ attempts: 1 }) }]);
  assert.ok(rows.claimed(row, 0));
  rows.apply(row, [{ recipient: 0, state: { tag: 'failed' } }]);
  rows.end(row);
  assert.equal(rows.key(row), 0);
});

test('answers that are all different are kept by their codes beyond a bound', () => {
  const rows = new Rows();
  const row = rows.add(1, envelopeOf(1), null, null);
  const others = SPOOL_LIMITS.detailTextsMax;
  for (let at = 0; at < others; at++) {
    const each = rows.add(2 + at, envelopeOf(1), null, null);
    rows.apply(each, [{ recipient: 0, state: waiting({ detail: `451 4.7.1 queue number ${at}` }) }]);
  }
  rows.apply(row, [{ recipient: 0, state: waiting({ detail: '451 4.7.1 one too many' }) }]);
  const state = rows.state(row, 0);
  assert.equal(state.tag === 'waiting' && state.detail, '451 4.7.1');
});

/** Whatever comes and goes, each live message has its own states: checked against plain objects. */
test('rows and slots are used again without mixing messages up', () => {
  type Model = { readonly row: Row; readonly key: number; readonly states: RecipientState[] };
  const step = fc.record({
    add: fc.boolean(),
    recipients: fc.integer({ min: 1, max: 9 }),
    which: fc.nat(),
    attempts: fc.nat(1000),
    final: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 400, size: 'max' }), (steps) => {
      const rows = new Rows();
      const model: Model[] = [];
      let key = 0;
      for (const { add, recipients, which, attempts, final } of steps) {
        const at = which % Math.max(model.length, 1);
        const message = model[at];
        if (add || message === undefined) {
          const row = rows.add(++key, envelopeOf(1, recipients), null, null);
          model.push({ row, key, states: Array.from({ length: recipients }, () => waiting()) });
        } else {
          const recipient = attempts % message.states.length;
          const state: RecipientState = final ? { tag: 'delivered' } : waiting({ attempts, detail: `${attempts % 7}` });
          rows.apply(message.row, [{ recipient, state }]);
          if (message.states[recipient]!.tag === 'waiting') message.states[recipient] = state;
          if (rows.final(message.row)) {
            rows.end(message.row);
            model.splice(at, 1);
          }
        }
      }
      assert.deepEqual([...rows.rows()].sort(), model.map(({ row }) => row).sort());
      for (const { row, key: expected, states } of model) {
        assert.equal(rows.key(row), expected);
        assert.deepEqual(
          states,
          states.map((_, recipient) => rows.state(row, recipient)),
        );
      }
      assert.equal(rows.messages, model.length);
      const left = model.flatMap(({ states }) => states).filter(({ tag }) => tag === 'waiting').length;
      assert.equal(rows.recipientsWaiting, left);
    }),
  );
});
