/** Both ends of an operator's question, with a wire between them that delivers in later turns, as a port does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Answers } from '../../../src/gate/answers.ts';
import type { FromShard, ToShard } from '../../../src/gate/messages.ts';
import { Questions } from '../../../src/gate/questions.ts';
import { EVERYTHING } from '../../../src/relay/queue_filter.ts';
import type { QueueChunk } from '../../../src/relay/queue_requests.ts';
import { QueueFailure } from '../../../src/relay/queue_requests.ts';

const LIST = { action: 'list', filter: EVERYTHING, rowsMax: 10 } as const;
const chunk = (detail: string): QueueChunk => ({ tag: 'fault', detail });

function wired(make: () => AsyncGenerator<QueueChunk>) {
  const sent: ToShard['tag'][] = [];
  const answers = new Answers({ ask: make }, (message: FromShard) => {
    setImmediate(() => message.tag === 'answer' && questions.heard(structuredClone(message)));
  });
  const questions = new Questions((message) => {
    sent.push(message.tag);
    setImmediate(() => {
      if (message.tag === 'ask') answers.ask(message.question, message.request);
      if (message.tag === 'more') answers.more(message.question);
      if (message.tag === 'cancel') answers.cancel(message.question);
    });
  });
  return { questions, sent };
}

test('an answer comes chunk by chunk, each when it is wanted', async () => {
  let made = 0;
  const { questions, sent } = wired(async function* () {
    for (; made < 3; made++) yield chunk(String(made));
  });
  const asked = questions.ask(LIST);
  assert.deepEqual((await asked.next()).value, chunk('0'));
  await new Promise(setImmediate);
  assert.equal(made, 0, 'nothing is made ahead');
  assert.deepEqual(await Array.fromAsync(asked), [chunk('1'), chunk('2')]);
  assert.deepEqual(sent, ['ask', 'more', 'more', 'more']);
});

test('questions do not mix', async () => {
  let names = 0;
  const { questions } = wired(async function* () {
    const name = String(names++);
    for (let n = 0; n < 20; n++) yield chunk(name);
  });
  const answers = await Promise.all([1, 2, 3].map(() => Array.fromAsync(questions.ask(LIST))));
  for (const answer of answers) assert.equal(new Set(answer.map((each) => JSON.stringify(each))).size, 1);
});

test('whoever has enough ends the work in the shard', async () => {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const { questions, sent } = wired(async function* () {
    try {
      for (;;) yield chunk('again');
    } finally {
      resolve();
    }
  });
  for await (const _ of questions.ask(LIST)) break;
  await ended;
  assert.deepEqual(sent, ['ask', 'cancel']);
});

test('a failure that is expected comes over as one', async () => {
  const { questions, sent } = wired(async function* () {
    yield chunk('first');
    throw new QueueFailure('refused', 'no more');
  });
  const asked = questions.ask(LIST);
  await asked.next();
  await assert.rejects(asked.next(), { name: 'QueueFailure', message: 'no more' });
  assert.deepEqual(sent, ['ask', 'more'], 'and needs no cancelling');
});

test('a shard that dies answers what is asked with that', async () => {
  const { questions } = wired(async function* () {
    yield chunk('first');
    await new Promise(() => {});
  });
  const asked = questions.ask(LIST);
  await asked.next();
  const waiting = asked.next();
  setImmediate(() => questions.died());
  await assert.rejects(waiting, { name: 'QueueFailure', message: /died/ });
});

test('a shard that dies between two chunks is missed at the next one', async () => {
  const { questions, sent } = wired(async function* () {
    for (;;) yield chunk('again');
  });
  const asked = questions.ask(LIST);
  await asked.next();
  questions.died();
  await assert.rejects(asked.next(), { name: 'QueueFailure', message: /died/ });
  assert.deepEqual(sent, ['ask'], 'the next life knows nothing of this question');
});
