/** Who is told what: the whole table of RFC 3461 §5.2, and the two ways of a double bounce. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Envelope, Notify } from '../../../src/message/envelope.ts';
import type { Due, Happening, NoticeRules } from '../../../src/policy/notice.ts';
import { doubleBounceEnvid, handoverTo, lateFromMs, noticeDue, noticeFacts } from '../../../src/policy/notice.ts';

const RULES: NoticeRules = { doubleBounces: 'drop', delayWarningSeconds: 14_400 };
const TOLD: NoticeRules = { ...RULES, doubleBounces: 'postmaster' };
const OURS = { hostname: 'relay.example', postmaster: 'postmaster@here.example' };

const word = (due: Due): string =>
  due.tag === 'notice' ? `${due.kind}${due.to === 'sender' ? '' : ` to ${due.to}`}` : due.tag === 'none' ? '' : due.why;

const HAPPENINGS: readonly Happening[] = ['kept', 'reported', 'silent', 'failed', 'late'];
const NOTIFY: readonly (readonly [notify: Notify | undefined, ...due: readonly string[]])[] = [
  //                                 kept         reported  silent     failed        late
  [undefined, '', '', '', 'failed', 'delayed'],
  ['never', '', '', '', 'not-wanted', ''],
  [['success'], 'delivered', '', 'relayed', 'not-wanted', ''],
  [['failure'], '', '', '', 'failed', ''],
  [['delay'], '', '', '', 'not-wanted', 'delayed'],
  [['success', 'failure'], 'delivered', '', 'relayed', 'failed', ''],
  [['success', 'delay'], 'delivered', '', 'relayed', 'not-wanted', 'delayed'],
  [['failure', 'delay'], '', '', '', 'failed', 'delayed'],
  [['success', 'failure', 'delay'], 'delivered', '', 'relayed', 'failed', 'delayed'],
];

describe('somebody is told what he asked for', () => {
  for (const [notify, ...expected] of NOTIFY) {
    test(`NOTIFY=${notify ?? '(absent)'}`, () => {
      for (const rules of [RULES, TOLD]) {
        const facts = { notify, nobody: false, lastResort: false };
        const due = HAPPENINGS.map((happening) => word(noticeDue(happening, facts, rules)));
        assert.deepEqual(due, expected);
      }
    });
  }
});

describe('the null sender is told nothing, whatever it asked for', () => {
  for (const [notify] of NOTIFY) {
    test(`NOTIFY=${notify ?? '(absent)'}`, () => {
      const facts = { notify, nobody: true, lastResort: false };
      const due = (rules: NoticeRules, lastResort: boolean) =>
        HAPPENINGS.map((happening) => word(noticeDue(happening, { ...facts, lastResort }, rules)));
      assert.deepEqual(due(RULES, false), ['', '', '', 'null-sender', '']);
      assert.deepEqual(due(TOLD, false), ['', '', '', 'failed to postmaster', '']);
      assert.deepEqual(due(RULES, true), ['', '', '', 'double-bounce', '']);
      assert.deepEqual(due(TOLD, true), ['', '', '', 'double-bounce', ''], 'there is no third bounce');
    });
  }
});

test('whose 250 is a delivery, and whose is a promise to report', () => {
  assert.deepEqual(
    [handoverTo(false, false), handoverTo(false, true), handoverTo(true, false), handoverTo(true, true)],
    ['silent', 'kept', 'reported', 'reported'],
  );
});

test('a recipient is late when its time is over, and its sender wants to know', () => {
  const late = (notify: Notify | undefined, nobody: boolean, rules: NoticeRules) =>
    lateFromMs(1000, { notify, nobody, lastResort: false }, rules);
  assert.equal(late(undefined, false, RULES), 14_401_000);
  assert.equal(late(['delay'], false, RULES), 14_401_000);
  assert.equal(late(undefined, false, { ...RULES, delayWarningSeconds: 0 }), Number.POSITIVE_INFINITY);
  assert.equal(late(['failure'], false, RULES), Number.POSITIVE_INFINITY);
  assert.equal(late('never', false, RULES), Number.POSITIVE_INFINITY);
  assert.equal(late(undefined, true, RULES), Number.POSITIVE_INFINITY);
});

describe('facts from an envelope', () => {
  const envelope = (more: Partial<Envelope>): Envelope => ({
    id: 'one',
    origin: 'outside',
    acceptedMs: 0,
    sender: 'alice@far.example',
    smtpUtf8: false,
    recipients: [{ address: 'bob@here.example', notify: ['delay'] }],
    content: { bytes: 0, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: 0 },
    edits: [],
    ...more,
  });
  const facts = (more: Partial<Envelope>) => {
    const { nobody, lastResort } = noticeFacts(envelope(more), 0, OURS);
    return [nobody, lastResort];
  };
  const toPostmaster = [{ address: 'Postmaster@here.example' }];

  test('a sender is somebody', () => {
    assert.deepEqual(noticeFacts(envelope({}), 0, OURS), { notify: ['delay'], nobody: false, lastResort: false });
    assert.deepEqual(facts({ recipients: toPostmaster }), [false, false]);
    assert.deepEqual(facts({ sender: 'mailer-daemon@far.example' }), [false, false]);
  });

  test('the null sender, and the name of our own notifications, are nobody', () => {
    assert.deepEqual(facts({ sender: '' }), [true, false]);
    assert.deepEqual(facts({ sender: 'Mailer-Daemon@Relay.example' }), [true, false]);
  });

  test('the postmaster is not told that the postmaster cannot be reached', () => {
    assert.deepEqual(facts({ sender: '', recipients: toPostmaster }), [true, true]);
  });

  test('a double bounce is known by what we wrote, also to an earlier postmaster, and cannot be feigned', () => {
    const envid = doubleBounceEnvid('mib3k2x9-a1b2c3-00-0001');
    assert.match(envid, /^[!-~]{1,100}$/);
    assert.deepEqual(facts({ origin: 'local', sender: '', envid }), [true, true]);
    assert.deepEqual(facts({ origin: 'inside', sender: '', envid }), [true, false]);
    assert.deepEqual(facts({ origin: 'local', sender: '', envid: 'other' }), [true, false]);
  });
});
