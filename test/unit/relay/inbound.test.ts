import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrival } from '../../../src/relay/arrival.ts';
import { acceptMessage } from '../../../src/relay/inbound.ts';
import { Inspection } from '../../../src/relay/inspection.ts';
import type { Outbound } from '../../../src/relay/outbound.ts';
import { twin } from '../../../src/scanner/twin.ts';
import type { Transaction } from '../../../src/smtp/session.ts';
import type { Stored } from '../../../src/spool/spool.ts';
import { testRelay } from '../../support/relay.ts';

const ORIGIN = {
  session: 'a-session',
  side: 'outside',
  via: { address: '192.0.2.7', helo: 'client.example', extended: true, tls: null },
} as const;
const TRANSACTION: Transaction = {
  sender: 'alice@client.example',
  sizeBytes: 0,
  body: null,
  smtpUtf8: false,
  recipients: [{ address: 'bob@here.example' }],
};

function setUp(environment: Readonly<Record<string, string>> = {}) {
  const { config, relay, spool, broken, deadlines } = testRelay(environment);
  deadlines.stop();
  const queued: Stored[] = [];
  const drained: string[] = [];
  const outbound = { enqueue: (message: Stored) => queued.push(message), drain: async () => drained.push('drained') };
  relay.outbound = outbound as unknown as Outbound;
  const accept = (wire: string, transaction = TRANSACTION) => {
    const arrival = new Arrival(twin, spool.begin(), 'data', config.messageBytesMax);
    arrival.feed(Buffer.from(wire), 0, wire.length);
    assert.equal(arrival.ended, true);
    return acceptMessage(
      relay,
      ORIGIN,
      transaction,
      arrival,
      new Inspection(relay, 'session', { side: 'outside', address: '192.0.2.7', login: null }),
    );
  };
  return { relay, spool, queued, broken, drained, accept };
}

test('an accepted message is in the spool, queued, and carries our Received field on top', async () => {
  const { spool, queued, accept } = setUp();
  const acceptance = await accept('Subject: x\r\n\r\n..\r\n.\r\n');
  assert.ok('id' in acceptance);
  const [message] = queued;
  assert.ok(message !== undefined && spool.index.has(message.row));
  const { envelope } = message;
  assert.equal(acceptance.id, envelope.id);
  assert.deepEqual(envelope.content, { bytes: 17, dotted: true, eightBit: false, endsInCrlf: true, headerBytes: 14 });
  assert.equal(message.content?.toString(), 'Subject: x\r\n\r\n.\r\n');
  const [edit] = envelope.edits;
  assert.equal(edit?.at, 0);
  assert.match(edit?.insert ?? '', /^Received: from client\.example \(\[192\.0\.2\.7\]\)\r\n\tby mx\.here\.example /);
  assert.match(edit?.insert ?? '', new RegExp(`with ESMTP id ${envelope.id}\\b[\\s\\S]*for <bob@here\\.example>`));
});

test('`for` is not said of one among several recipients', async () => {
  const { queued, accept } = setUp();
  await accept('x\r\n.\r\n', {
    ...TRANSACTION,
    recipients: [{ address: 'a@here.example' }, { address: 'b@here.example' }],
  });
  assert.doesNotMatch(queued[0]!.envelope.edits[0]!.insert, /\bfor </);
});

test('Postmaster without a domain becomes the configured one', async () => {
  const { queued, accept } = setUp();
  await accept('x\r\n.\r\n', { ...TRANSACTION, recipients: [{ address: 'PostMaster' }] });
  assert.deepEqual(queued[0]!.envelope.recipients, [{ address: 'postmaster@here.example' }]);
});

test('a full disk is 452, leaves nothing behind, and heals', async () => {
  const { relay, spool, queued, accept } = setUp();
  spool.failWith = 'full';
  assert.deepEqual(await accept('x\r\n.\r\n'), { key: 'spoolFull' });
  assert.equal(spool.index.messages + queued.length, 0);
  assert.equal(relay.unavailable('outside'), null);
  spool.failWith = null;
  assert.ok('id' in (await accept('x\r\n.\r\n')));
});

test('a broken journal is told to the gate once, and no transaction begins any more', async () => {
  const { relay, spool, broken, drained, accept } = setUp();
  spool.failWith = 'broken';
  assert.deepEqual(await accept('x\r\n.\r\n'), { key: 'shardBroken' });
  await accept('x\r\n.\r\n');
  assert.equal(broken.length, 1);
  assert.deepEqual(drained, ['drained'], 'no delivery begins whose mark could not be kept');
  assert.equal(relay.unavailable('outside'), 'shardBroken');
});

test('what is refused at the end of data leaves no draft', async () => {
  const hops = 'Received: a\r\n'.repeat(101);
  const many = setUp();
  assert.deepEqual(await many.accept(`${hops}\r\n.\r\n`), { key: 'tooManyHops' });
  assert.equal(many.spool.open, 0);
  const strict = setUp({ POSTERN_BARE_LINE_ENDS: 'refuse' });
  assert.deepEqual(await strict.accept('a\nb\r\n.\r\n'), { key: 'bareLineEnds' });
  assert.equal(strict.spool.open, 0);
});

test('a message beyond the maximum is dropped while it arrives', async () => {
  const { spool, accept } = setUp({ POSTERN_MESSAGE_BYTES_MAX: '65536' });
  assert.deepEqual(await accept(`${'x'.repeat(70_000)}\r\n.\r\n`), { key: 'tooLarge' });
  assert.equal(spool.open, 0);
});

test('whoever could not tell is counted by his name, a stranger as other, and each is a line', () => {
  const { relay, lines, counted, deadlines } = testRelay();
  deadlines.stop();
  const asked = { stage: 'rcpt', ms: 3.4, trouble: 'no answer in time', facts: {} } as const;
  for (const source of ['recipients-ldap', 'recipients-ldap', 'new']) relay.trouble('s1', { ...asked, source });
  assert.deepEqual([counted('trouble_recipients_ldap'), counted('trouble_other')], [2, 1]);
  assert.deepEqual(lines.at(-1), {
    ...{ event: 'source-trouble', session: 's1', source: 'new', detail: 'no answer in time', ms: 3 },
  });
});
