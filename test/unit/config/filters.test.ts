/** Filters as they stand in the policy file: what is read, what is a fault. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { filterSchema, filtersSchema } from '../../../src/config/filters.ts';

const row = (more: Record<string, unknown>) =>
  filterSchema.safeParse({ name: 'f', type: 'clamd', at: 'tcp://127.0.0.1:3310', ...more });

test('a row needs name, type and place; the rest has defaults', () => {
  const { data } = row({});
  assert.deepEqual(data, {
    name: 'f',
    type: 'clamd',
    at: { tag: 'tcp', host: '127.0.0.1', port: 3310 },
    onFailure: 'closed',
    dryRun: false,
    side: 'both',
    connectMs: 5000,
    stepMs: 30_000,
    totalMs: 120_000,
    connectionsMax: 100,
    breaker: { failures: 5, pauseMs: 30_000 },
    contentBytesMax: 0,
    onFound: 'reject',
  });
});

test('places of sockets', () => {
  const places: [string, object | null][] = [
    ['tcp://[2001:DB8::1]:25', { tag: 'tcp', host: '2001:db8::1', port: 25 }],
    ['tcp://Clamav.internal:3310', { tag: 'tcp', host: 'clamav.internal', port: 3310 }],
    ['unix:/run/a b.sock', { tag: 'unix', path: '/run/a b.sock' }],
    [`unix:/${'x'.repeat(107)}`, null],
    ['unix:relative', null],
    ['unix:/a\0b', null],
    ['tcp://127.0.0.1', null],
    ['tcp://127.0.0.1:0', null],
    ['tcp://127.0.0.1:65536', null],
    ['tcp://a b:25', null],
    ['tcp://127.0.0.1:25/x', null],
    ['http://127.0.0.1:25', null],
    ['', null],
  ];
  for (const [at, expected] of places) assert.deepEqual(row({ at }).data?.at ?? null, expected, at);
});

test('places of HTTP', () => {
  const places: [string, object | null][] = [
    ['http://127.0.0.1:11333', { origin: 'http://127.0.0.1:11333', path: '/checkv2' }],
    ['https://rspamd.internal/other?x=1', { origin: 'https://rspamd.internal', path: '/other?x=1' }],
    ['http://[::1]:80/a', { origin: 'http://[::1]', path: '/a' }],
    ['unix:/run/rspamd.sock', { origin: 'http://localhost', path: '/checkv2', socketPath: '/run/rspamd.sock' }],
    ['http://user:secret@127.0.0.1', null],
    ['http://', null],
    ['ftp://127.0.0.1', null],
    ['http://127.0.0.1/#x', null],
    ['http://a b/', null],
  ];
  for (const [at, expected] of places) assert.deepEqual(row({ type: 'rspamd', at }).data?.at ?? null, expected, at);
});

test('faults', () => {
  const faults: Record<string, unknown>[] = [
    { name: 'A' },
    { name: '' },
    { type: 'amavis' },
    { stepMs: 0 },
    { stepMs: '5s' },
    { connectionsMax: 0 },
    { onFailure: 'maybe' },
    { unknown: 1 },
    { breaker: { failures: 1, unknown: 2 } },
    { onSpam: 'tag' },
    { type: 'rspamd', at: 'http://127.0.0.1', password: 'a b' },
    { type: 'spamd', user: 'a b' },
    { type: 'milter', daemonName: 'a\r\nb' },
  ];
  for (const fault of faults) assert.equal(row(fault).success, false, JSON.stringify(fault));
});

test('names differ, and there is an end to them', () => {
  const named = (name: string) => ({ name, type: 'clamd', at: 'unix:/x' });
  assert.equal(filtersSchema.safeParse([named('a'), named('b')]).success, true);
  assert.equal(filtersSchema.safeParse([named('a'), named('a')]).success, false);
  assert.equal(filtersSchema.safeParse(Array.from({ length: 33 }, (_, at) => named(`f${at}`))).success, false);
  assert.deepEqual(filtersSchema.parse(undefined), []);
});

test('it has a JSON Schema', () => {
  const schema = z.toJSONSchema(filtersSchema, { io: 'input' });
  assert.equal(schema.type, 'array');
  assert.ok(JSON.stringify(schema).includes('rspamd'));
});
