import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Envelope } from '../../../src/message/envelope.ts';
import { Operator } from '../../../src/relay/operator.ts';
import type { QueueFilter } from '../../../src/relay/queue_filter.ts';
import { EVERYTHING } from '../../../src/relay/queue_filter.ts';
import type { QueueChunk, QueueRequest, QueueRow, Steering, Tally } from '../../../src/relay/queue_requests.ts';
import type { Relay } from '../../../src/relay/relay.ts';
import type { Outcome } from '../../../src/smtp/client.ts';
import type { Row, Stored } from '../../../src/spool/spool.ts';
import { SpoolFailure } from '../../../src/spool/spool.ts';
import { MemorySpool } from '../../support/memory_spool.ts';

const CONTENT = { bytes: 3, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: 3 };
const HELD = Number.POSITIVE_INFINITY;
/** Far ahead of any clock. */
const LATER_MS = 4e12;

function envelopeOf(id: string, sender: string, recipients: readonly string[]): Envelope {
  return {
    ...{ id, origin: 'outside', acceptedMs: 1_700_000_000_000, sender, smtpUtf8: false, content: CONTENT },
    recipients: recipients.map((address) => ({ address })),
    edits: [{ at: 0, drop: 0, insert: 'Received: ours\r\n' }],
  };
}

/** An operator at a relay of which nothing works but the spool. */
function setUp() {
  const spool = new MemorySpool();
  const looked: Row[] = [];
  const scheduled: Row[] = [];
  const given: { id: string; recipients: readonly number[]; outcome: Outcome }[] = [];
  const logged: Record<string, unknown>[] = [];
  const failures: string[] = [];
  let room = true;
  const outbound = {
    look: (row: Row) => looked.push(row),
    schedule: (row: Row) => scheduled.push(row),
    async giveUp(message: Stored, recipients: readonly number[], outcome: Outcome) {
      for (const at of recipients) assert.ok(spool.index.claimed(message.row, at), 'nobody delivers it meanwhile');
      given.push({ id: message.envelope.id, recipients, outcome });
      const failed = { tag: 'failed' } as const;
      if (room)
        await spool.mark(
          message.row,
          recipients.map((recipient) => ({ recipient, state: failed })),
        );
      else for (const at of recipients) spool.index.unclaim(message.row, at);
      spool.rest(message);
      return room;
    },
  };
  const relay = {
    spool,
    outbound,
    logger: { log: (event: string, fields: object) => logged.push({ event, ...fields }) },
    spoolFailed: (error: Error) => failures.push(error.message),
  };
  const operator = new Operator(relay as unknown as Relay);
  const put = (id: string, sender = 'a@x.example', recipients: readonly string[] = ['b@here.example']): Row => {
    const message = spool.put(envelopeOf(id, sender, recipients), Buffer.from('a\r\n'));
    spool.rest(message);
    return message.row;
  };
  const ask = async (request: QueueRequest): Promise<QueueChunk[]> => await Array.fromAsync(operator.ask(request));
  const steer = async (action: Steering, filter: Partial<QueueFilter> = {}, dryRun = false) => {
    const chunks = await ask({ action, filter: { ...EVERYTHING, ...filter }, dryRun, reason: 'so be it' });
    assert.equal(spool.holds, 0, 'every message rests again');
    return chunks;
  };
  const list = async (filter: Partial<QueueFilter> = {}, rowsMax = 1e9): Promise<QueueRow[]> => {
    const chunks = await ask({ action: 'list', filter: { ...EVERYTHING, ...filter }, rowsMax });
    assert.equal(spool.holds, 0, 'every message rests again');
    return chunks.flatMap((chunk) => (chunk.tag === 'rows' ? chunk.rows : []));
  };
  const full = () => {
    room = false;
  };
  return { spool, operator, looked, scheduled, given, logged, failures, put, ask, steer, list, full };
}

const tallyOf = (chunks: readonly QueueChunk[]): Tally => {
  const last = chunks.findLast((chunk) => chunk.tag === 'tally');
  assert.ok(last?.tag === 'tally');
  return last.tally;
};
const faultsOf = (chunks: readonly QueueChunk[]): string[] =>
  chunks.flatMap((chunk) => (chunk.tag === 'fault' ? chunk.detail : []));

test('hold, retry, release: what each does, and what it leaves alone', async () => {
  const { spool, looked, put, steer, list } = setUp();
  const row = put('one');
  const due = () => spool.index.dueMs(row, 0);
  assert.deepEqual(tallyOf(await steer('hold')), { matched: 1, messages: 1, recipients: 1, busy: 0 });
  assert.equal(due(), HELD);
  assert.equal((await list())[0]?.state, 'held');
  assert.deepEqual(tallyOf(await steer('hold')), { matched: 1, messages: 0, recipients: 0, busy: 0 });
  assert.deepEqual(tallyOf(await steer('retry')), { matched: 1, messages: 0, recipients: 0, busy: 0 });
  assert.equal(due(), HELD, 'a retry ends no hold');
  looked.length = 0;
  assert.equal(tallyOf(await steer('release')).messages, 1);
  assert.equal(due(), 0);
  assert.deepEqual(looked, [row], 'whoever dispatches looks at it again');
});

test('a retry keeps what is known of the attempts before', async () => {
  const { spool, put, steer } = setUp();
  const row = put('one');
  const before = { tag: 'waiting', attempts: 3, nextMs: LATER_MS, site: 's', detail: 'd', warned: true } as const;
  await spool.mark(row, [{ recipient: 0, state: before }]);
  assert.equal(tallyOf(await steer('retry')).messages, 1);
  assert.deepEqual(spool.index.state(row, 0), { ...before, nextMs: 0 });
});

test('some recipients of a message are changed, the others not', async () => {
  const { spool, put, steer } = setUp();
  const row = put('one', 'a@x.example', ['b@here.example', 'c@there.example', 'd@here.example']);
  assert.deepEqual(tallyOf(await steer('hold', { recipients: ['*@here.example'] })), {
    ...{ matched: 2, messages: 1, recipients: 2, busy: 0 },
  });
  assert.deepEqual(
    [0, 1, 2].map((at) => spool.index.dueMs(row, at)),
    [HELD, 0, HELD],
  );
});

test('delete tells nobody but the log', async () => {
  const { spool, given, logged, put, steer } = setUp();
  put('one', 'a@x.example', ['b@here.example', 'c@here.example']);
  const row = put('two', 'other@x.example');
  assert.deepEqual(tallyOf(await steer('delete', { senders: ['a@x.example'] })), {
    ...{ matched: 2, messages: 1, recipients: 2, busy: 0 },
  });
  assert.deepEqual([...spool.index.rows()], [row]);
  assert.deepEqual(logged, [
    { event: 'removed', id: 'one', from: 'a@x.example', to: '', recipients: 2, bytes: CONTENT.bytes },
  ]);
  assert.deepEqual(given, []);
});

test('bounce fails recipients in the words of the operator', async () => {
  const { spool, given, put, steer } = setUp();
  put('one', 'a@x.example', ['b@here.example', 'c@here.example']);
  assert.equal(tallyOf(await steer('bounce', { recipients: ['c@here.example'] })).recipients, 1);
  const outcome = { tag: 'failed', code: 0, enhanced: '5.0.0', text: 'so be it' };
  assert.deepEqual(given, [{ id: 'one', recipients: [1], outcome }]);
  assert.equal(spool.index.recipientsWaiting, 1);
});

test('without room for the bounce the recipient waits as before, and the operator hears of it', async () => {
  const { spool, put, steer, full } = setUp();
  const row = put('one');
  full();
  assert.match(faultsOf(await steer('bounce'))[0]!, /took no notice/);
  assert.equal(spool.index.dueMs(row, 0), 0);
  assert.equal(spool.index.claimed(row, 0), false);
});

test('what is being delivered is left alone, and reported', async () => {
  for (const action of ['hold', 'bounce', 'delete'] as const) {
    const { spool, put, steer } = setUp();
    const row = put('one', 'a@x.example', ['b@here.example', 'c@here.example']);
    spool.index.claim(row, 0);
    const texts = { senders: ['a@*'] }; // the message has to be read
    assert.deepEqual(tallyOf(await steer(action, texts)), { matched: 2, messages: 1, recipients: 1, busy: 1 });
    assert.equal(spool.index.dueMs(row, 0), 0, action);
    assert.ok(spool.index.claimed(row, 0), 'the claim of another is none of ours');
    assert.notEqual(spool.index.dueMs(row, 1), 0, action);
  }
});

test('a retry of what is being tried is done already', async () => {
  const { spool, put, steer } = setUp();
  spool.index.claim(put('one'), 0);
  assert.deepEqual(tallyOf(await steer('retry')), { matched: 1, messages: 0, recipients: 0, busy: 0 });
});

test('a filter by state sees what somebody else delivers, and not our own claims', async () => {
  const { spool, put, steer } = setUp();
  const active = put('one');
  put('two');
  spool.index.claim(active, 0);
  assert.equal(tallyOf(await steer('delete', { states: ['due'] })).messages, 1);
  assert.deepEqual([...spool.index.rows()], [active]);
});

test('a dry run counts and changes nothing', async () => {
  for (const action of ['retry', 'hold', 'bounce', 'delete'] as const) {
    const { spool, looked, given, logged, put, steer } = setUp();
    put('one');
    put('two', 'other@x.example');
    assert.equal(tallyOf(await steer(action, { senders: ['a@x.example'] }, true)).messages, 1);
    assert.deepEqual([spool.marks, looked, given, logged], [[], [], [], []]);
    assert.ok([...spool.index.rows()].every((row) => !spool.index.claimed(row, 0)));
  }
});

test('whose time came while the operator read is looked at again, whatever he did not do', async () => {
  const { spool, scheduled, put, steer } = setUp();
  const [left, counted, lost] = [put('left', 'other@x.example'), put('counted'), put('lost')];
  await steer('hold', { senders: ['a@*'] }, true);
  assert.deepEqual(scheduled.splice(0), [left, counted, lost]);
  const wake = spool.wake.bind(spool);
  spool.wake = (row) => (row === lost ? Promise.reject(new SpoolFailure('unreadable', 'a bad sector')) : wake(row));
  await steer('bounce', { ids: ['lost'] });
  assert.deepEqual(scheduled, [lost]);
});

test('20,000 messages are deleted by one request, and the event loop has its turns', { timeout: 60_000 }, async () => {
  const { spool, logged, put, steer } = setUp();
  for (let n = 0; n < 20_000; n++) put(`m-${n}`, n % 2 === 0 ? 'bulk@x.example' : `s${n}@x.example`);
  let turns = 0;
  let over = false;
  const tick = (): void => {
    turns++;
    if (!over) setImmediate(tick);
  };
  setImmediate(tick);
  const chunks = await steer('delete', { senders: ['bulk@x.example'] });
  assert.deepEqual(tallyOf(chunks), { matched: 10_000, messages: 10_000, recipients: 10_000, busy: 0 });
  await steer('delete');
  over = true;
  assert.equal(spool.index.messages, 0);
  assert.equal(logged.length, 20_000);
  assert.ok(turns >= 20_000 / LIMITS.operatorRowsPerTurn, `${turns} turns`);
  assert.ok(chunks.length > 10, 'and whoever asked hears of it on the way');
});

test('a command means the messages that were there when it came', async () => {
  const { spool, operator, put } = setUp();
  for (let n = 0; n < 600; n++) put(`m-${n}`);
  const request = { action: 'delete', filter: EVERYTHING, dryRun: false, reason: '' } as const;
  let tally: Tally | null = null;
  for await (const chunk of operator.ask(request)) {
    if (tally === null) put('new'); // in a row that a deleted one has left
    if (chunk.tag === 'tally') tally = chunk.tally;
  }
  assert.equal(tally?.messages, 600);
  assert.equal(spool.index.messages, 1);
});

test('a journal that takes no more ends the command, and the operator hears why', async () => {
  const { spool, failures, put, steer } = setUp();
  for (let n = 0; n < 1200; n++) put(`m-${n}`);
  spool.failWith = 'broken';
  const chunks = await steer('hold');
  assert.equal(tallyOf(chunks).messages, 500, 'one batch, and no further');
  assert.match(faultsOf(chunks)[0]!, /^the journal took no mark: as the test said/);
  assert.equal(failures.length, 500);
});

test('a shard that drains finishes the step under way and begins no other', async () => {
  const { spool, operator, put } = setUp();
  for (let n = 0; n < 1200; n++) put(`m-${n}`);
  const asked = operator.ask({ action: 'hold', filter: EVERYTHING, dryRun: false, reason: '' })[Symbol.asyncIterator]();
  await asked.next();
  await operator.stop();
  await assert.rejects(asked.next(), { name: 'QueueFailure', message: /stopping/ });
  assert.equal(spool.marks.length, 500);
});

test('a list is in order of acceptance, whatever rows messages have', async () => {
  const { spool, put, list } = setUp();
  const rows = ['one', 'two', 'three', 'four'].map((id) => put(id));
  await spool.mark(rows[1]!, [{ recipient: 0, state: { tag: 'delivered' } }]);
  put('five'); // in the row of two
  assert.deepEqual(
    (await list()).map(({ id }) => id),
    ['one', 'three', 'four', 'five'],
  );
  assert.deepEqual(
    (await list({}, 2)).map(({ id }) => id),
    ['one', 'three'],
  );
});

test('a list of thousands comes in chunks, whole and in order, and ends at its limit', async () => {
  const { put, ask, list } = setUp();
  const names = Array.from({ length: 30 }, (_, n) => `r${n}@here.example`);
  for (let n = 0; n < 6000; n++) put(`m-${n}`, 'a@x.example', n === 3 ? names : ['b@here.example']);
  const chunks = await ask({ action: 'list', filter: EVERYTHING, rowsMax: 1e9 });
  assert.ok(chunks.every((chunk) => chunk.tag === 'rows' && chunk.rows.length <= 200));
  const rows = await list();
  assert.equal(rows.length, 6029);
  assert.deepEqual(
    rows.slice(2, 5).map(({ recipient }) => recipient),
    ['b@here.example', ...names.slice(0, 2)],
  );
  for (const rowsMax of [1, 3, 17, 200, 201, 450]) assert.deepEqual(await list({}, rowsMax), rows.slice(0, rowsMax));
});

test('whoever stops reading a list ends it', async () => {
  const { spool, operator, put } = setUp();
  for (let n = 0; n < 3000; n++) put(`m-${n}`);
  let woken = 0;
  const wake = spool.wake.bind(spool);
  spool.wake = (row) => {
    woken++;
    return wake(row);
  };
  for await (const chunk of operator.ask({ action: 'list', filter: EVERYTHING, rowsMax: 1e9 })) {
    assert.equal(chunk.tag, 'rows');
    break;
  }
  assert.ok(woken < 500, `${woken} messages woken`);
  assert.equal(spool.holds, 0);
});

test('messages that cannot be read are one fault, and the rest is listed', async () => {
  const { spool, put, ask } = setUp();
  const lost = new Set([put('one'), put('two')]);
  put('three');
  const wake = spool.wake.bind(spool);
  spool.wake = (row) => (lost.has(row) ? Promise.reject(new SpoolFailure('unreadable', `row ${row}`)) : wake(row));
  const chunks = await ask({ action: 'list', filter: EVERYTHING, rowsMax: 10 });
  assert.equal(chunks.flatMap((chunk) => (chunk.tag === 'rows' ? chunk.rows : [])).length, 1);
  assert.deepEqual(faultsOf(chunks), ['2 messages cannot be read; the first: row 0']);
  const steered = await ask({ action: 'delete', filter: EVERYTHING, dryRun: false, reason: '' });
  assert.equal(tallyOf(steered).messages, 1);
  assert.match(faultsOf(steered)[0]!, /^2 messages cannot be read/);
  assert.ok([...lost].every((row) => !spool.index.claimed(row, 0)));
});

test('show tells all of a message; cat gives its bytes, with our edits or without', async () => {
  const { spool, put, ask } = setUp();
  const row = put('one', 'a@x.example', ['b@here.example', 'c@here.example']);
  await spool.mark(row, [{ recipient: 0, state: { tag: 'delivered' } }]);
  const [shown] = await ask({ action: 'show', filter: { ...EVERYTHING, ids: ['one', 'two'] } });
  assert.ok(shown?.tag === 'messages');
  assert.deepEqual(
    shown.messages[0]?.recipients.map(({ state }) => state),
    ['delivered', 'due'],
  );
  const bytes = async (id: string, raw: boolean) =>
    (await ask({ action: 'cat', id, raw })).map((chunk) =>
      Buffer.from(chunk.tag === 'content' ? chunk.bytes : []).toString(),
    );
  assert.equal((await bytes('one', false)).join(''), 'Received: ours\r\na\r\n');
  assert.equal((await bytes('one', true)).join(''), 'a\r\n');
  assert.deepEqual(await bytes('two', false), []);
  assert.equal(spool.holds, 0);
});

test('stats count by site or domain, and each message once in the total', async () => {
  const { spool, put, ask } = setUp();
  const row = put('one', 'a@x.example', ['b@here.example', 'c@there.example']);
  put('two');
  const state = { tag: 'waiting', attempts: 1, nextMs: LATER_MS, site: 'mx y', detail: '', warned: false } as const;
  await spool.mark(row, [{ recipient: 0, state }]);
  const groupsBy = async (by: 'site' | 'domain') => {
    const chunks = await ask({ action: 'stats', filter: EVERYTHING, by });
    const groups = chunks.flatMap((chunk) => (chunk.tag === 'groups' ? chunk.groups : []));
    return groups.map(({ name, messages, recipients, due, waiting, bytes }) => [
      name,
      ...[messages, recipients, due, waiting, bytes],
    ]);
  };
  assert.deepEqual(await groupsBy('domain'), [
    ['here.example', 2, 2, 1, 1, 6],
    ['there.example', 1, 1, 1, 0, 3],
    ['*', 2, 3, 2, 1, 6],
  ]);
  assert.deepEqual(await groupsBy('site'), [
    ['mx y', 1, 1, 0, 1, 3],
    ['', 2, 2, 2, 0, 6],
    ['*', 2, 3, 2, 1, 6],
  ]);
});
