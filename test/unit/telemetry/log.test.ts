import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import pino from 'pino';
import type { EventName } from '../../../src/telemetry/events.ts';
import { EVENTS } from '../../../src/telemetry/events.ts';
import type { Fields } from '../../../src/telemetry/log.ts';
import { BatchingLogger, LineLogger } from '../../../src/telemetry/log.ts';

const LIMITS = { batchBytes: 65_536, batchMs: 50, valueCharsMax: 500, bufferBytesMax: 1 << 20 };

/** What `log` writes of one event. */
function lineOf(event: EventName, fields: Fields, charsMax = LIMITS.valueCharsMax): string {
  let said = '';
  new LineLogger('debug', charsMax, { shard: 3 }, (line) => (said += line)).log(event, fields);
  return said;
}

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

test('a line has the bytes that pino would write', ({ mock }) => {
  mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 24, 12, 0, 0, 7) });
  let said = '';
  const paths = ['password', 'credentials', 'authorization', 'secret', 'key', 'pem'];
  const oracle = pino(
    {
      level: 'debug',
      base: { shard: 3 },
      formatters: { level: (level) => ({ level }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths, censor: '(hidden)' },
    },
    { write: (line) => (said = line) },
  );
  const name = fc.string().map((text) => `_${text}`); // a number would stand before `event`, a secret may be anywhere
  const key = fc.oneof(name, fc.constantFrom('shard', 'ms', ...paths));
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '\ud83d',
      '"\\\n\u2028\u007f\0',
      '\r\n{"event":"forged"}',
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      -0,
    ),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.oneof(fc.string(), fc.double(), fc.dictionary(name, fc.string()))),
  );
  const fields = fc.dictionary(key, value);
  fc.assert(
    fc.property(fields, fc.constantFrom(...(Object.keys(EVENTS) as EventName[])), (some, event) => {
      oracle[EVENTS[event][0]]({ event, ...some });
      assert.equal(lineOf(event, some), said);
    }),
  );
});

test('a line has the time of its event, to the millisecond, in each second, and when the clock goes back', ({
  mock,
}) => {
  const start = Date.UTC(2026, 11, 31, 23, 59, 59, 998);
  mock.timers.enable({ apis: ['Date'], now: start });
  const times: unknown[] = [];
  const logger = new LineLogger('info', 500, {}, (line) => times.push(...parsed(line).map(({ time }) => time)));
  for (const ms of [0, 1, 2, 3, 12, 125, 1001, 1002, -1000, 0]) {
    mock.timers.setTime(start + ms);
    logger.log('stopped');
    assert.equal(times.at(-1), new Date(start + ms).toISOString());
  }
});

test('what is as long as the bound stays whole; one more is cut, and its neighbours are not', () => {
  assert.match(
    lineOf('session', { a: 'x'.repeat(8), b: 'y'.repeat(9), c: undefined, d: 2 }, 8),
    /"a":"x{8}","b":"y{8}…","d":2\}\n$/,
  );
  assert.match(lineOf('session', { list: ['z'.repeat(8), 'z'.repeat(9), 1, null] }, 8), /\["z{8}","z{8}…",1,null\]/);
});
