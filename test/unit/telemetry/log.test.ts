import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { mock, test } from 'node:test';
import { BatchingLogger, LogSink } from '../../../src/telemetry/log.ts';
import { temporaryFolder } from '../../support/folders.ts';

const LIMITS = { batchBytes: 65_536, batchMs: 50, valueCharsMax: 500, bufferBytesMax: 1 << 20 };

const parsed = (lines: string) =>
  lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('lines wait for each other and leave together after their time', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const posts: string[] = [];
  const logger = new BatchingLogger('info', { shard: 3 }, LIMITS, (lines) => posts.push(lines));
  logger.log('accepted', { id: 'a' });
  logger.log('delivery', { id: 'a' });
  mock.timers.tick(49);
  assert.deepEqual(posts, []);
  mock.timers.tick(1);
  assert.equal(posts.length, 1);
  const lines = parsed(posts[0]!);
  assert.deepEqual(
    lines.map(({ event, id, shard, level }) => [event, id, shard, level]),
    [
      ['accepted', 'a', 3, 'info'],
      ['delivery', 'a', 3, 'info'],
    ],
  );
  logger.log('session', {});
  mock.timers.tick(50);
  assert.equal(posts.length, 2, 'the next batch has its own time');
  mock.timers.reset();
});

test('a full batch leaves at once', () => {
  const posts: string[] = [];
  const logger = new BatchingLogger('info', {}, LIMITS, (lines) => posts.push(lines));
  while (posts.length === 0) logger.log('accepted', { text: 'x'.repeat(400) });
  assert.ok(posts[0]!.length >= LIMITS.batchBytes && posts[0]!.length < LIMITS.batchBytes + 600);
  assert.ok(posts[0]!.endsWith('\n'));
  logger.flush();
  assert.equal(posts.length, 1, 'nothing is left, nothing is sent');
});

test('levels below the threshold cost nothing and say nothing', () => {
  let said = '';
  const logger = new BatchingLogger('error', {}, LIMITS, (lines) => {
    said += lines;
  });
  logger.log('accepted', { id: 'a' });
  logger.log('spool-torn-tail', {});
  logger.log('shard-died', {});
  logger.flush();
  assert.deepEqual(
    parsed(said).map(({ event }) => event),
    ['shard-died'],
  );
});

test('long texts are cut, passwords hidden, line ends escaped', () => {
  let said = '';
  const logger = new BatchingLogger('info', {}, LIMITS, (lines) => {
    said += lines;
  });
  logger.log('refused', {
    helo: 'h'.repeat(501),
    text: 'first\r\n{"event":"forged"}',
    password: 'p1',
    credentials: { user: 'u', password: 'p2' },
    route: [{ host: 'a', credentials: { user: 'u', password: 'p3' } }],
    list: ['l'.repeat(600)],
  });
  logger.flush();
  const [line, ...more] = parsed(said);
  assert.deepEqual(more, []);
  assert.equal(line!.helo, `${'h'.repeat(500)}…`);
  assert.equal(line!.text, 'first\r\n{"event":"forged"}');
  assert.equal((line!.list as string[])[0]!.length, 501);
  assert.ok(!/p1|p2|p3/.test(said));
});

test('the sink writes its own lines and those of shards, in order', async () => {
  const file = path.join(temporaryFolder('log'), 'out');
  const sink = new LogSink('info', LIMITS, () => assert.fail('nothing is dropped'), file);
  sink.log('ready', { outside: ['127.0.0.1:25'] });
  sink.write('{"event":"accepted"}\n');
  sink.log('stopped');
  await sink.end();
  sink.write('{"event":"late"}\n');
  const text = readFileSync(file, 'utf8');
  assert.match(text, /"event":"ready"/);
  assert.deepEqual(
    parsed(text).map(({ event }) => event),
    ['ready', 'accepted', 'stopped'],
  );
});

test('a sink that is not read drops lines, counts them, and says so', async () => {
  const file = path.join(temporaryFolder('log'), 'out');
  let dropped = 0;
  const sink = new LogSink('info', { ...LIMITS, bufferBytesMax: 400 }, (lines) => (dropped += lines), file);
  sink.write(`{"event":"session","text":"${'x'.repeat(150)}"}\n`);
  sink.write(`{"event":"session","text":"${'y'.repeat(250)}"}\n{"event":"session"}\n`); // the file is not even open
  assert.equal(dropped, 2);
  sink.log('stopped');
  await sink.end();
  const events = parsed(readFileSync(file, 'utf8'));
  assert.deepEqual(
    events.map(({ event, lines }) => (lines === undefined ? event : `${event} ${lines}`)),
    ['session', 'log-dropped 2', 'stopped'],
  );
});
