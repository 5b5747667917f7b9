/** What follows from an attempt: marks, times, and notices, for each way that it can go. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Envelope, Recipient } from '../../../src/message/envelope.ts';
import type { Attempt, Settlement } from '../../../src/relay/settlement.ts';
import { settle } from '../../../src/relay/settlement.ts';
import type { Outcome } from '../../../src/smtp/client.ts';
import type { RecipientState } from '../../../src/spool/spool.ts';
import type { Waiting } from '../../support/waiting.ts';
import { waiting } from '../../support/waiting.ts';

const ACCEPTED_MS = 1_000_000;
const HOUR_MS = 3_600_000;
const RULES = {
  retrySeconds: [60, 7200, 14_400],
  queueSecondsMax: 432_000,
  delayWarningSeconds: 14_400,
  doubleBounces: 'drop',
  hostname: 'relay.example',
  postmaster: 'postmaster@here.example',
} as const;

const outcome = (tag: Outcome['tag'], code: number, enhanced: string, text: string): Outcome => ({
  tag,
  code,
  enhanced,
  text,
});
const OK = outcome('delivered', 250, '2.0.0', 'taken');
const GONE = outcome('failed', 550, '5.1.1', 'gone');
const LATER = outcome('deferred', 451, '4.7.1', 'later');
const AGAIN = outcome('again', 421, '4.3.2', 'bye');

type Case = {
  readonly sender?: string;
  readonly to?: readonly Partial<Recipient>[];
  readonly states?: readonly RecipientState[];
  readonly rules?: Partial<Parameters<typeof settle>[3]>;
} & Partial<Attempt>;

function settled(outcomes: readonly Outcome[], given: Case = {}): Settlement {
  const to = given.to ?? outcomes.map(() => ({}));
  const envelope: Envelope = {
    id: 'one',
    origin: 'outside',
    acceptedMs: ACCEPTED_MS,
    sender: given.sender ?? 'alice@far.example',
    smtpUtf8: false,
    recipients: to.map((each, at) => ({ address: `r${at}@here.example`, ...each })),
    content: { bytes: 0, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: 0 },
    edits: [],
  };
  const states = given.states ?? to.map(() => waiting());
  const attempt = {
    site: 'inside',
    recipients: to.map((_, at) => at),
    outcomes,
    peer: { host: 'mx.here.example', handover: 'silent' },
    nowMs: ACCEPTED_MS + 1000,
    chance: 0.5,
    ...given,
  } as const;
  return settle(envelope, (recipient) => states[recipient]!, attempt, { ...RULES, ...given.rules });
}

const DELIVERED: RecipientState = { tag: 'delivered' };
const FAILED: RecipientState = { tag: 'failed' };

/** kind, recipients, and what is marked behind it. */
const notices = ({ notices: written }: Settlement) =>
  written.map(({ kind, to, recipients, changes }) => [
    to === 'sender' ? kind : `${kind} to ${to}`,
    recipients.map(({ recipient }) => recipient),
    changes.map(({ recipient, state }) => `${recipient} ${state.tag}`),
  ]);

test('delivered, and nobody asked: a mark and nothing else', () => {
  const { changes, delivered, retryMs, notices: written } = settled([OK, OK]);
  assert.deepEqual(changes, [
    { recipient: 0, state: DELIVERED },
    { recipient: 1, state: DELIVERED },
  ]);
  assert.deepEqual([delivered, retryMs.size, written.length], [2, 0, 0]);
});

test('delivered, and somebody asked: the notice is durable before the mark', () => {
  const to = [{ notify: ['success'] }, {}, { notify: ['success', 'delay'] }, { notify: 'never' }] as const;
  const four = [OK, OK, OK, OK];
  const silent = settled(four, { to });
  assert.deepEqual(notices(silent), [['relayed', [0, 2], ['0 delivered', '2 delivered']]]);
  assert.deepEqual(
    silent.changes.map(({ recipient }) => recipient),
    [1, 3],
  );
  const kept = settled(four, { to, peer: { host: 'lmtp.here.example', handover: 'kept' } });
  assert.deepEqual(notices(kept), [['delivered', [0, 2], ['0 delivered', '2 delivered']]]);
  const reported = settled(four, { to, peer: { host: 'mx.here.example', handover: 'reported' } });
  assert.deepEqual([reported.notices.length, reported.changes.length], [0, 4]);
});

test('refused: told in one notice, failed behind it; who wants no notice leaves a reason', () => {
  const to = [{}, { notify: 'never' }, { notify: ['failure'] }, { notify: ['delay'] }] as const;
  const settlement = settled([GONE, GONE, GONE, GONE], { to });
  assert.deepEqual(notices(settlement), [['failed', [0, 2], ['0 failed', '2 failed']]]);
  assert.deepEqual([...settlement.unreported], [['not-wanted', [1, 3]]]);
  assert.deepEqual(settlement.changes, [
    { recipient: 1, state: FAILED },
    { recipient: 3, state: FAILED },
  ]);
  assert.equal(settlement.notices[0]?.host, 'mx.here.example');
});

test('the null sender: dropped, or one report to the postmaster, which ends there', () => {
  const dropped = settled([GONE], { sender: '' });
  assert.deepEqual([...dropped.unreported], [['null-sender', [0]]]);
  assert.deepEqual(dropped.changes, [{ recipient: 0, state: FAILED }]);
  const rules = { doubleBounces: 'postmaster' } as const;
  assert.deepEqual(notices(settled([GONE], { sender: '', rules })), [['failed to postmaster', [0], ['0 failed']]]);
  const third = settled([GONE], { sender: '', rules, to: [{ address: RULES.postmaster }] });
  assert.deepEqual([third.notices.length, [...third.unreported]], [0, [['double-bounce', [0]]]]);
});

test('deferred: they wait together, with what was said and where', () => {
  const { changes, retryMs, notices: written } = settled([LATER, LATER]);
  const nextMs = ACCEPTED_MS + 61_000;
  const state = waiting({ attempts: 1, nextMs, site: 'inside', detail: '451 4.7.1 later' });
  assert.deepEqual(changes, [
    { recipient: 0, state },
    { recipient: 1, state },
  ]);
  assert.deepEqual([...retryMs], [nextMs]);
  assert.equal(written.length, 0);
});

test('deferred when its time is over: failed, as expired', () => {
  const settlement = settled([LATER], { nowMs: ACCEPTED_MS + RULES.queueSecondsMax * 1000 });
  assert.deepEqual(notices(settlement), [['failed', [0], ['0 failed']]]);
  assert.deepEqual([settlement.notices[0]?.recipients[0]?.expired, settlement.expired], [true, 1]);
});

test('of a parcel that went every way, each recipient has its own end', () => {
  const settlement = settled([OK, GONE, LATER, AGAIN, OK], {
    states: [waiting(), waiting(), waiting(), waiting(), FAILED],
  });
  assert.deepEqual(
    settlement.changes.map(({ recipient, state }) => `${recipient} ${state.tag}`),
    ['0 delivered', '2 waiting'],
  );
  assert.deepEqual(notices(settlement), [['failed', [1], ['1 failed']]]);
  assert.equal(settlement.delivered, 1, 'an answer about a final recipient changes nothing');
});

test('more recipients than one notice takes are told of in a further one', () => {
  const many = Array.from({ length: LIMITS.noticeRecipientsMax + 1 }, () => GONE);
  assert.deepEqual(
    settled(many).notices.map(({ recipients, changes }) => [recipients.length, changes.length]),
    [
      [LIMITS.noticeRecipientsMax, LIMITS.noticeRecipientsMax],
      [1, 1],
    ],
  );
});

describe('a delay', () => {
  const LATE_MS = ACCEPTED_MS + 4 * HOUR_MS;
  const stateAfter = (given: Case): Waiting => {
    const state = settled([LATER], given).changes[0]?.state;
    assert.ok(state?.tag === 'waiting');
    return state;
  };

  test('is told once, at the first attempt in vain after its time, and the mark does not wait for it', () => {
    const settlement = settled([LATER], { nowMs: LATE_MS, states: [waiting({ attempts: 2 })] });
    assert.deepEqual(notices(settlement), [['delayed', [0], []]]);
    assert.equal(settlement.notices[0]?.untilMs, ACCEPTED_MS + RULES.queueSecondsMax * 1000);
    const [change] = settlement.changes;
    assert.ok(change?.state.tag === 'waiting' && change.state.warned);
    const next = settled([LATER], { nowMs: change.state.nextMs, states: [change.state] });
    assert.equal(next.notices.length, 0);
    assert.ok(next.changes[0]?.state.tag === 'waiting' && next.changes[0].state.warned);
  });

  test('is not told before its time', () => {
    const early = settled([LATER], { nowMs: LATE_MS - 1 });
    assert.equal(early.notices.length, 0);
    assert.equal(stateAfter({ nowMs: LATE_MS - 1 }).warned, false);
  });

  test('has an attempt at its very time, though the waits have grown beyond', () => {
    const nowMs = LATE_MS - HOUR_MS;
    const states = [waiting({ attempts: 2 })];
    assert.equal(stateAfter({ nowMs, states }).nextMs, LATE_MS);
    assert.equal(stateAfter({ nowMs, states, rules: { delayWarningSeconds: 0 } }).nextMs, nowMs + 4 * HOUR_MS);
    assert.equal(stateAfter({ nowMs, states, to: [{ notify: ['failure'] }] }).nextMs, nowMs + 4 * HOUR_MS);
    assert.equal(stateAfter({ nowMs, states, sender: '' }).nextMs, nowMs + 4 * HOUR_MS);
    assert.equal(stateAfter({ nowMs, states: [waiting({ attempts: 2, warned: true })] }).nextMs, nowMs + 4 * HOUR_MS);
  });

  test('is told to those who want it, in one notice', () => {
    const to = [{}, { notify: ['failure'] }, { notify: ['delay'] }, { notify: 'never' }] as const;
    const settlement = settled([LATER, LATER, LATER, LATER], { to, nowMs: LATE_MS });
    assert.deepEqual(notices(settlement), [['delayed', [0, 2], []]]);
    assert.equal(settlement.unreported.size, 0);
    assert.equal(settlement.changes.length, 4);
  });

  test('of the null sender is nobody’s news', () => {
    assert.equal(settled([LATER], { sender: '', nowMs: LATE_MS }).notices.length, 0);
  });
});
