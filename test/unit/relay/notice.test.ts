/** The room that writes notices: what of the original comes back, who gets it, what is marked, and where it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Envelope } from '../../../src/message/envelope.ts';
import { logUnreported, NoticeDesk } from '../../../src/relay/notice.ts';
import type { Outbound } from '../../../src/relay/outbound.ts';
import type { Notice } from '../../../src/relay/settlement.ts';
import type { Stored } from '../../../src/spool/spool.ts';
import { testRelay } from '../../support/relay.ts';

const HEADERS = 'Subject: x\r\nMessage-ID: <1@far.example>\r\n\r\n';
const CONTENT = `${HEADERS}.dotted\r\ncaf\xe9\r\n`;

function setUp(environment: Readonly<Record<string, string>> = {}) {
  const { relay, spool, lines, broken, deadlines, counted } = testRelay(environment);
  deadlines.stop();
  const queued: Stored[] = [];
  const outbound = { enqueue: (message: Stored) => queued.push(message), drain: async () => {} };
  relay.outbound = outbound as unknown as Outbound;
  const desk = new NoticeDesk(relay);
  const store = async (more: Partial<Envelope> = {}, content = CONTENT): Promise<Stored> => {
    const bytes = Buffer.from(content, 'latin1');
    const draft = spool.begin();
    draft.write(bytes, 0, bytes.length);
    return await draft.commit({
      id: 'original',
      origin: 'outside',
      acceptedMs: 1000,
      sender: 'alice@far.example',
      smtpUtf8: false,
      recipients: [{ address: 'bob@here.example' }],
      content: { bytes: bytes.length, dotted: true, eightBit: true, endsInCrlf: true, headerBytes: HEADERS.length },
      edits: [],
      ...more,
    });
  };
  /** As `Outbound` does it: the message is held until it is told. */
  const tell = async (message: Stored, what: Notice): Promise<boolean> => {
    const told = await desk.tell(message, what);
    spool.rest(message);
    return told;
  };
  return { relay, desk, tell, spool, queued, lines, broken, store, counted };
}

const notice = (more: Partial<Notice> = {}): Notice => ({
  kind: 'failed',
  to: 'sender',
  host: 'inside.here.example',
  attemptMs: 2000,
  untilMs: 3000,
  recipients: [
    {
      recipient: 0,
      outcome: { tag: 'failed', code: 550, enhanced: '5.1.1', text: 'no such user' },
      expired: false,
    },
  ],
  changes: [{ recipient: 0, state: { tag: 'failed' } }],
  ...more,
});

const textOf = (message: Stored | undefined): string => message?.content?.toString('latin1') ?? '';

test('what a notice tells of is marked when the notice is durable, not before', async () => {
  const { tell, spool, store } = setUp();
  const message = await store();
  const marked: number[] = [];
  spool.mark = async () => void marked.push(spool.index.messages);
  await tell(message, notice());
  assert.deepEqual(marked, [2], 'the original and its notice');
});

test('a few are written at a time, and the desk says when it is crowded', async () => {
  const { desk, spool, queued, store } = setUp();
  const message = await store();
  const relayed = notice({ kind: 'relayed', changes: [] });
  let under = 0;
  let most = 0;
  const begin = spool.begin.bind(spool);
  spool.begin = () => {
    const draft = begin();
    const { commit } = draft;
    most = Math.max(most, ++under);
    draft.commit = async (envelope) => {
      const stored = await commit(envelope);
      under--;
      return stored;
    };
    return draft;
  };
  const count = LIMITS.noticesWritingMax + LIMITS.noticesWaitingMax;
  const all = Array.from({ length: count - 1 }, () => desk.tell(message, relayed));
  assert.equal(desk.crowded, false);
  all.push(desk.tell(message, relayed));
  assert.equal(desk.crowded, true);
  await desk.idle();
  assert.deepEqual([queued.length, desk.crowded], [count, false]);
  await Promise.all(all);
  await desk.idle();
  assert.ok(most > 1 && most <= LIMITS.noticesWritingMax, `${most} at a time`);
});

test('a failure is queued from the null sender, durable before the mark, counted and logged', async () => {
  const { tell, spool, queued, lines, store, counted } = setUp();
  const message = await store();
  assert.equal(await tell(message, notice()), true);
  const [dsn] = queued;
  assert.ok(dsn !== undefined && spool.index.has(dsn.row) && !spool.index.has(message.row));
  const { envelope } = dsn;
  assert.deepEqual([envelope.sender, envelope.origin, envelope.envid], ['', 'local', undefined]);
  assert.deepEqual(envelope.recipients, [{ address: 'alice@far.example', notify: 'never' }]);
  assert.equal(envelope.content.bytes, dsn.content?.length);
  assert.equal(textOf(dsn).slice(envelope.content.headerBytes - 4, envelope.content.headerBytes), '\r\n\r\n');
  assert.match(textOf(dsn), /\r\nDiagnostic-Code: smtp; 550 5\.1\.1 no such user\r\n/);
  assert.deepEqual(lines, [
    { event: 'bounce', id: envelope.id, about: 'original', kind: 'failed', to: 'alice@far.example', recipients: 1 },
  ]);
  assert.equal(counted('dsn_failed'), 1);
});

test('without RET, with RET=HDRS, and in every notice but a failure, only headers come back', async () => {
  for (const [ret, kind] of [
    [undefined, 'failed'],
    ['headers', 'failed'],
    ['full', 'delayed'],
    ['full', 'relayed'],
    ['full', 'delivered'],
  ] as const) {
    const { tell, queued, store } = setUp();
    await tell(await store(ret === undefined ? {} : { ret }), notice({ kind }));
    assert.match(textOf(queued[0]), /text\/rfc822-headers\r\n\r\nSubject: x\r\n/, `${ret} ${kind}`);
    assert.doesNotMatch(textOf(queued[0]), /dotted/);
  }
});

test('RET=FULL returns a failed message byte for byte, up to the bound', async () => {
  const { tell, queued, store } = setUp({ POSTERN_BOUNCE_BYTES_MAX: '1024' });
  await tell(await store({ ret: 'full' }), notice());
  assert.ok(textOf(queued[0]).includes(`message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${CONTENT}\r\n--`));
  assert.deepEqual([queued[0]?.envelope.content.dotted, queued[0]?.envelope.content.eightBit], [true, true]);
  const large = CONTENT + 'x'.repeat(1024);
  await tell(await store({ ret: 'full' }, large), notice());
  assert.match(textOf(queued[1]), /text\/rfc822-headers\r\n\r\nSubject: x\r\n/);
});

test('headers beyond the bound are cut after a whole line', async () => {
  const { tell, queued, store } = setUp({ POSTERN_BOUNCE_BYTES_MAX: '1024' });
  const headers = `${'X: 0123456789\r\n'.repeat(100)}\r\n`;
  const content = {
    bytes: headers.length,
    dotted: false,
    eightBit: false,
    endsInCrlf: true,
    headerBytes: headers.length,
  };
  await tell(await store({ content }, headers), notice());
  assert.equal(textOf(queued[0]).match(/^X: 0123456789\r$/gm)?.length, Math.floor(1024 / 15));
});

test('a delay says until when, and marks nothing', async () => {
  const { tell, spool, queued, store } = setUp();
  const message = await store();
  assert.equal(await tell(message, notice({ kind: 'delayed', changes: [] })), true);
  assert.match(textOf(queued[0]), /\r\nWill-Retry-Until: Thu, 1 Jan 1970 00:00:03 \+0000\r\n/);
  assert.ok(spool.index.has(message.row));
});

test('a double bounce goes to the postmaster with the bounce that failed, and is known as what it is', async () => {
  const { tell, queued, lines, store, counted } = setUp({ POSTERN_DOUBLE_BOUNCES: 'postmaster' });
  await tell(await store({ sender: '', origin: 'local' }), notice({ to: 'postmaster' }));
  const [report] = queued;
  assert.deepEqual(report?.envelope.recipients, [{ address: 'postmaster@here.example', notify: 'never' }]);
  assert.equal(report?.envelope.envid, `double-bounce-${report?.envelope.id}`);
  assert.ok(textOf(report).includes(CONTENT));
  assert.equal(lines[0]?.kind, 'double');
  assert.deepEqual([counted('dsn_double'), counted('dsn_failed')], [1, 0]);
});

test('no room: a failure waits, any other notice is dropped with a line, and its delivery is marked', async () => {
  const { tell, spool, queued, lines, broken, store } = setUp();
  const failed = await store();
  const relayed = await store();
  spool.failWith = 'full';
  assert.equal(await tell(failed, notice()), false);
  assert.ok(spool.index.has(failed.row));
  const changes = [{ recipient: 0, state: { tag: 'delivered' } }] as const;
  assert.equal(await tell(relayed, notice({ kind: 'relayed', changes })), true);
  assert.ok(!spool.index.has(relayed.row));
  assert.deepEqual(
    lines.map(({ event, kind, reason }) => [event, kind, reason]),
    [['bounce-dropped', 'relayed', 'full']],
  );
  assert.deepEqual([queued.length, broken.length], [0, 0]);
});

test('a broken journal is told to the gate, and nothing is marked', async () => {
  const { tell, spool, broken, store } = setUp();
  const message = await store();
  spool.failWith = 'broken';
  assert.equal(await tell(message, notice({ kind: 'relayed' })), false);
  assert.ok(spool.index.has(message.row));
  assert.equal(broken.length, 1);
});

test('a failure that nobody is told of leaves a line with its reason', async () => {
  const { relay, lines, store, counted } = setUp();
  const { envelope } = await store({ sender: '' });
  logUnreported(relay, envelope, 'failed', 'null-sender', 3);
  assert.deepEqual(lines, [
    { event: 'bounce-dropped', id: 'original', from: '', kind: 'failed', reason: 'null-sender', recipients: 3 },
  ]);
  assert.equal(counted('dsn_dropped'), 1);
});
