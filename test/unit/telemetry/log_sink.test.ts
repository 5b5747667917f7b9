import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { LogSink } from '../../../src/telemetry/log_sink.ts';
import { temporaryFolder } from '../../support/folders.ts';

const LIMITS = { batchBytes: 65_536, batchMs: 50, valueCharsMax: 500, bufferBytesMax: 1 << 20 };

const parsed = (lines: string) =>
  lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

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
