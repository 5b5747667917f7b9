import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { AskedShard } from '../../../src/relay/queue_desk.ts';
import { QueueDesk } from '../../../src/relay/queue_desk.ts';
import { EVERYTHING } from '../../../src/relay/queue_filter.ts';
import type { QueueChunk, QueueGroup, QueueRow } from '../../../src/relay/queue_requests.ts';
import { QueueFailure } from '../../../src/relay/queue_requests.ts';

const LIST = { action: 'list', filter: EVERYTHING, rowsMax: 1e9 } as const;
const HOLD = { action: 'hold', filter: EVERYTHING, dryRun: false, reason: '' } as const;

/** A shard that answers with these chunks; `ended` counts iterations that are over. */
function shardOf(shard: number, chunks: readonly (QueueChunk | Error)[], missing: string | null = null) {
  const seen = { ended: 0, given: 0 };
  const queue = {
    async *ask() {
      try {
        for (const chunk of chunks) {
          if (chunk instanceof Error) throw chunk;
          seen.given++;
          yield chunk;
        }
      } finally {
        seen.ended++;
      }
    },
  };
  return { shard, queue, missing, seen };
}

const rows = (...times: number[]): QueueChunk => ({
  tag: 'rows',
  rows: times.map((acceptedMs) => ({ id: `id-${acceptedMs}`, acceptedMs }) as QueueRow),
});
const tally = (messages: number): QueueChunk => ({
  tag: 'tally',
  tally: { matched: messages, messages, recipients: messages, busy: 0 },
});

function desk(...shards: AskedShard[]) {
  const logged: Record<string, unknown>[] = [];
  const logger = { log: (event: string, fields: object = {}) => logged.push({ event, ...fields }) };
  return { desk: new QueueDesk(shards, logger), logged };
}

test('lists of shards become one, in order of acceptance', async () => {
  const shards = [shardOf(0, [rows(1, 4), rows(5, 9)]), shardOf(1, [rows(2, 3, 6)]), shardOf(2, [])];
  const chunks = await Array.fromAsync(desk(...shards).desk.ask(LIST));
  assert.deepEqual(chunks, [rows(1, 2, 3, 4, 5, 6, 9)]);
  const few = await Array.fromAsync(desk(...shards).desk.ask({ ...LIST, rowsMax: 3 }));
  assert.deepEqual(few, [rows(1, 2, 3)]);
});

test('who has enough ends the question in every shard', async () => {
  const shards = [
    shardOf(
      0,
      Array.from({ length: 50 }, () => rows(1, 1, 1, 1, 1)),
    ),
    shardOf(1, [rows(2), rows(3)]),
  ];
  for await (const _ of desk(...shards).desk.ask({ ...LIST, rowsMax: 7 })) break;
  assert.deepEqual(
    shards.map(({ seen }) => seen.ended),
    [1, 1],
  );
  assert.ok(shards[0]!.seen.given < 5, 'and none gives more than was asked for');
});

test('a shard that is missing, or dies, is a fault beside the answer of the others', async () => {
  const dying = shardOf(1, [rows(2), new QueueFailure('refused', 'it died while it was asked')]);
  const away = shardOf(2, [rows(7)], 'it is waiting');
  const chunks = await Array.fromAsync(desk(shardOf(0, [rows(1, 3)]), dying, away).desk.ask(LIST));
  assert.deepEqual(chunks[0], rows(1, 2, 3));
  assert.deepEqual(
    chunks
      .slice(1)
      .map((chunk) => chunk.tag === 'fault' && chunk.detail)
      .sort(),
    [
      'shard 1: it died while it was asked; its messages are not in this answer',
      'shard 2: it is waiting; its messages are not in this answer',
    ],
  );
});

test('a defect of ours is no fault of a shard', async () => {
  await assert.rejects(Array.fromAsync(desk(shardOf(0, [new TypeError('oops')])).desk.ask(LIST)), TypeError);
});

test('tallies add up, step by step, and the log has the sum', async () => {
  const { desk: one, logged } = desk(shardOf(0, [tally(1), tally(2)]), shardOf(1, [tally(10), tally(20), tally(30)]));
  const chunks = await Array.fromAsync(one.ask(HOLD));
  assert.deepEqual(
    chunks.map((chunk) => chunk.tag === 'tally' && chunk.tally.messages),
    [11, 22, 32, 32],
  );
  assert.deepEqual(logged, [{ event: 'operator', ...HOLD, matched: 32, messages: 32, recipients: 32, busy: 0 }]);
});

test('a command that nobody waits for is logged with what it did', async () => {
  const shard = shardOf(0, [tally(1), tally(2), tally(3)]);
  const { desk: one, logged } = desk(shard);
  for await (const _ of one.ask(HOLD)) break;
  assert.equal(shard.seen.ended, 1);
  assert.equal(logged[0]?.messages, 1);
});

test('groups of a name are one, the largest first, the total last', async () => {
  const group = (name: string, recipients: number, oldestMs: number): QueueGroup => ({
    ...{ name, messages: recipients, recipients, due: 0, waiting: recipients, held: 0, active: 0, bytes: 5, oldestMs },
  });
  const answer = (...groups: QueueGroup[]): QueueChunk => ({ tag: 'groups', groups });
  const shards = [
    shardOf(0, [answer(), answer(group('a', 1, 9), group('b', 1, 5), group('*', 2, 5))]),
    shardOf(1, [answer(group('b', 2, 3), group('*', 2, 3))]),
  ];
  const [chunk] = await Array.fromAsync(desk(...shards).desk.ask({ action: 'stats', filter: EVERYTHING, by: 'site' }));
  assert.ok(chunk?.tag === 'groups');
  assert.deepEqual(
    chunk.groups.map(({ name, recipients, oldestMs, bytes }) => [name, recipients, oldestMs, bytes]),
    [
      ['b', 3, 3, 10],
      ['a', 1, 9, 5],
      ['*', 4, 3, 10],
    ],
  );
});

test('so many commands at once, and no more', async () => {
  const { desk: one } = desk(shardOf(0, [rows(1), rows(2)]));
  const open = Array.from({ length: LIMITS.operatorRequestsMax }, () => one.ask(LIST));
  for (const each of open) await each.next();
  await assert.rejects(one.ask(LIST).next(), { name: 'QueueFailure', message: /under way already; ask again/ });
  await open[0]!.return(undefined);
  assert.equal((await one.ask(LIST).next()).done, false, 'and a place that is free again is taken');
});
