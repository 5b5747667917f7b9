import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration, headerOf, jsonLines, tallyLine, textLines } from '../../../src/cli/render.ts';
import type { QueueRow } from '../../../src/relay/queue_requests.ts';

const NOW_MS = 1_800_000_000_000;
const ROW: QueueRow = {
  id: 'mib3k2x9-a1b2c3-00-0001',
  acceptedMs: NOW_MS - 3 * 3_600_000 - 12 * 60_000,
  bytes: 2048,
  state: 'waiting',
  attempts: 4,
  nextMs: NOW_MS + 720_000,
  sender: 'a@x.example',
  recipient: 'b@here.example',
  site: 'inside smtp://10.0.0.1:25',
  detail: '4.4.1 connection refused',
};

const lineOf = (row: Partial<QueueRow>): string => textLines({ tag: 'rows', rows: [{ ...ROW, ...row }] }, NOW_MS);
const fields = (line: string): string[] => line.trim().split(/\s+/);

test('a row has ten columns, whatever is in them', () => {
  assert.deepEqual(fields(headerOf('list')), 'ID AGE SIZE STATE TRIES NEXT SENDER RECIPIENT SITE DETAIL'.split(' '));
  assert.deepEqual(fields(lineOf({})), [
    ...['mib3k2x9-a1b2c3-00-0001', '3h12m', '2048', 'waiting', '4', '12m00s', 'a@x.example', 'b@here.example'],
    ...['inside\\x20smtp://10.0.0.1:25', '4.4.1', 'connection', 'refused'],
  ]);
  const bare = fields(lineOf({ sender: '', site: '', detail: '', nextMs: null, state: 'held' }));
  assert.deepEqual(bare.slice(3), ['held', '4', '-', '<>', 'b@here.example', '-', '-']);
});

test('columns stand under their titles as long as texts fit', () => {
  const [header, line] = [headerOf('list'), lineOf({})];
  assert.equal(line.indexOf('waiting'), header.indexOf('STATE'));
  assert.equal(line.indexOf('a@x.example'), header.indexOf('SENDER'));
  assert.ok(!header.slice(0, -1).includes('\n') && !line.slice(0, -1).includes('\n'));
});

test('a long text is neither cut nor wrapped, and moves the rest', () => {
  const sender = `${'x'.repeat(300)}@x.example`;
  assert.equal(fields(lineOf({ sender }))[6], sender);
  assert.equal(fields(lineOf({ sender }))[7], 'b@here.example');
});

test('nothing from the network steers the terminal or makes lines and columns', () => {
  const line = lineOf({ sender: '"a b\\\t"@x.example', detail: '5.0.0 \x1b[2J\r\nID\u009b31m \u202eabc' });
  assert.ok(line.includes('"a\\x20b\\x5c\\x09"@x.example'), line);
  assert.ok(line.endsWith('5.0.0 \\x1b[2J\\x0d\\x0aID\\x9b31m \\u202eabc\n'), line);
  assert.doesNotMatch(line.slice(0, -1), /[\x00-\x1f\x7f-\x9f\u202e]/);
});

test('JSON: an object a line, exact values', () => {
  const lines = jsonLines({ tag: 'rows', rows: [ROW, { ...ROW, nextMs: null, detail: 'a\nb' }] }).split('\n');
  assert.equal(lines.length, 3);
  assert.deepEqual(JSON.parse(lines[0]!), ROW);
  assert.equal(JSON.parse(lines[1]!).nextMs, null);
  assert.equal(
    tallyLine('hold', true, { matched: 3, messages: 2, recipients: 2, busy: 1 }, true).split('\n').length,
    2,
  );
});

test('a tally as text', () => {
  const tally = { matched: 3, messages: 2, recipients: 2, busy: 1 };
  assert.equal(tallyLine('hold', false, tally, false), 'hold: messages 2, recipients 2, busy 1\n');
  assert.equal(tallyLine('hold', true, { ...tally, busy: 0 }, false), 'hold (dry run): messages 2, recipients 2\n');
});

test('durations have two units, and a clock that was set back makes none below zero', () => {
  const seconds = [-5, 0, 59.9, 60, 3599, 3600, 86_399, 86_400, 432_000 + 7200];
  assert.deepEqual(
    seconds.map((each) => duration(each * 1000)),
    ['0s', '0s', '59s', '1m00s', '59m59s', '1h00m', '23h59m', '1d00h', '5d02h'],
  );
});

test('a group without recipients has no age', () => {
  const group = { name: '*', messages: 0, recipients: 0, due: 0, waiting: 0, held: 0, active: 0, bytes: 0 };
  const line = textLines({ tag: 'groups', groups: [{ ...group, oldestMs: Number.MAX_SAFE_INTEGER }] }, NOW_MS);
  assert.deepEqual(fields(line), ['0', '0', '0', '0', '0', '0', '0', '-', 'total']);
  assert.equal(fields(headerOf('stats')).length, 9);
});

test('a message: its own lines, then those of each recipient', () => {
  const recipient = { state: 'waiting', attempts: 1, nextMs: NOW_MS + 5000, site: 'mx y', detail: 'x\x07' } as const;
  const text = textLines(
    {
      tag: 'messages',
      messages: [
        {
          ...{ id: 'i', origin: 'outside', acceptedMs: NOW_MS, bytes: 5, sender: '', smtpUtf8: true, envid: 'e' },
          recipients: [
            { ...recipient, address: 'b@c.d', notify: ['failure', 'delay'] },
            { ...recipient, address: 'c@c.d', route: 'smtp://q.example:25' },
          ],
        },
      ],
    },
    NOW_MS,
  );
  assert.match(text, /^id: i\naccepted: 2027-01-15T08:00:00\.000Z \(0s ago\)\nfrom: outside\nsize: 5\nsender: <>\n/);
  assert.match(text, /\nenvid: e\nrecipient: b@c\.d\n {2}state: waiting\n {2}tries: 1\n {2}next: 5s\n {2}site: mx y\n/);
  assert.match(text, /\n {2}detail: x\\x07\n {2}notify: failure,delay\nrecipient: c@c\.d\n/);
  assert.match(text, /\n {2}detail: x\\x07\n {2}route: smtp:\/\/q\.example:25\n\n$/);
});
