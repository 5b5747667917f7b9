/** Notifications: their parts, what is said in them, and what the original and the server's words cannot do to them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AssertionFailure } from '../../../src/base/assert.ts';
import type { DsnRequest, ReportedRecipient } from '../../../src/message/dsn.ts';
import { buildDsn } from '../../../src/message/dsn.ts';
import type { Envelope } from '../../../src/message/envelope.ts';
import { findField, splitHeaders, unfolded } from '../../../src/message/headers.ts';

const ACCEPTED_MS = Date.UTC(2026, 10, 24, 13, 0, 0);
const NOW_MS = Date.UTC(2026, 10, 24, 14, 0, 0);

const envelope = (more: Partial<Envelope> = {}): Envelope => ({
  id: 'mib00000-a1b2c3-00-0001',
  origin: 'inside',
  acceptedMs: ACCEPTED_MS,
  sender: 'alice@example.org',
  smtpUtf8: false,
  recipients: [{ address: 'bob@example.com' }],
  content: { bytes: 100, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: 50 },
  edits: [],
  ...more,
});

const bob = (more: Partial<ReportedRecipient> = {}): ReportedRecipient => ({
  recipient: { address: 'bob@example.com' },
  code: 550,
  enhanced: '5.1.1',
  text: 'User unknown',
  expired: false,
  host: 'mx.example.com',
  lastAttemptMs: NOW_MS - 1000,
  ...more,
});

const request = (more: Partial<DsnRequest> = {}): DsnRequest => ({
  id: 'mib3k2x9-a1b2c3-00-0001',
  kind: 'failed',
  to: 'alice@example.org',
  from: 'MAILER-DAEMON@relay.example',
  hostname: 'relay.example',
  postmaster: 'postmaster@relay.example',
  nowMs: NOW_MS,
  envelope: envelope(),
  headers: 'Subject: hello\r\nMessage-ID: <1@example.org>\r\n\r\n',
  recipients: [bob()],
  ...more,
});

/** What is sent, as text. */
const textOf = (given: DsnRequest): string => Buffer.from(buildDsn(given).octets, 'latin1').toString('utf8');

type Part = { readonly type: string; readonly encoding: string; readonly body: string };

const fieldOf = (header: string, name: string): string => {
  const field = findField(splitHeaders(header), name);
  return field === undefined ? '' : unfolded(field);
};

/** Taken apart as a reader does it. */
function read(more: Partial<DsnRequest> = {}): { top: string; text: string; parts: readonly Part[] } {
  const text = textOf(request(more));
  assert.doesNotMatch(text, /\r(?!\n)|(?<!\r)\n/, 'CRLF line ends only');
  const section = splitHeaders(text);
  assert.equal(section.complete, true);
  const top = text.slice(0, section.end);
  const boundary = /boundary="([^"]+)"/.exec(fieldOf(top, 'content-type'))![1]!;
  const pieces = text.slice(section.end).split(`--${boundary}`);
  assert.equal(pieces.length, 5);
  assert.deepEqual([pieces[0], pieces[4]], ['', '--\r\n']);
  const parts = pieces.slice(1, 4).map((piece) => {
    assert.ok(piece.startsWith('\r\n') && piece.endsWith('\r\n'));
    const inner = piece.slice(2, -2);
    const end = splitHeaders(inner).end;
    const type = fieldOf(inner.slice(0, end), 'content-type');
    return { type, encoding: fieldOf(inner.slice(0, end), 'content-transfer-encoding'), body: inner.slice(end) };
  });
  return { top, text, parts };
}

const statusOf = (more: Partial<DsnRequest> = {}): string => read(more).parts[1]!.body;
const originalOf = (more: Partial<DsnRequest> = {}): Part => read(more).parts[2]!;

test('a failure, in full', () => {
  const { top, parts } = read();
  const expected = [
    'From: Mail Delivery System <MAILER-DAEMON@relay.example>',
    'To: <alice@example.org>',
    'Subject: Undelivered mail returned to sender',
    'Date: Tue, 24 Nov 2026 14:00:00 +0000',
    'Message-ID: <mib3k2x9-a1b2c3-00-0001@relay.example>',
    'In-Reply-To: <1@example.org>',
    'References: <1@example.org>',
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    '\tboundary="postern-mib3k2x9-a1b2c3-00-0001"',
    '',
    '',
  ];
  assert.equal(top, expected.join('\r\n'));
  assert.deepEqual(
    parts.map(({ type, encoding }) => [type, encoding]),
    [
      ['text/plain; charset=us-ascii', ''],
      ['message/delivery-status', ''],
      ['text/rfc822-headers', ''],
    ],
  );
  const human = [
    'This is the mail system at relay.example.',
    '',
    'Your message of Tue, 24 Nov 2026 13:00:00 +0000 could not be delivered to',
    'this recipient:',
    '',
    '<bob@example.com>',
    '    mx.example.com said: 550 5.1.1 User unknown',
    '',
    'If this does not help you, write to postmaster@relay.example.',
    '',
  ];
  assert.equal(parts[0]!.body, human.join('\r\n'));
  const status = [
    'Reporting-MTA: dns; relay.example',
    'Arrival-Date: Tue, 24 Nov 2026 13:00:00 +0000',
    'X-Postern-Id: mib00000-a1b2c3-00-0001',
    '',
    'Final-Recipient: rfc822; bob@example.com',
    'Action: failed',
    'Status: 5.1.1',
    'Remote-MTA: dns; mx.example.com',
    'Diagnostic-Code: smtp; 550 5.1.1 User unknown',
    'Last-Attempt-Date: Tue, 24 Nov 2026 13:59:59 +0000',
    '',
  ];
  assert.equal(parts[1]!.body, status.join('\r\n'));
  assert.equal(parts[2]!.body, 'Subject: hello\r\nMessage-ID: <1@example.org>\r\n');
});

describe('a group for each recipient (RFC 3464 §2.3)', () => {
  test('with what DSN parameters said', () => {
    const recipient = { address: 'bob@example.com', orcpt: 'rfc822;Bob+2Bx@example.com' };
    const status = statusOf({ envelope: envelope({ envid: 'QQ+3D1+0A' }), recipients: [bob({ recipient })] });
    assert.match(status, /^Original-Envelope-Id: QQ=1\+0A\r\n/);
    assert.match(status, /\r\n\r\nOriginal-Recipient: rfc822; Bob\+x@example\.com\r\nFinal-Recipient: /);
  });

  test('divided by empty lines', () => {
    const groups = statusOf({ recipients: [bob(), bob({ recipient: { address: 'c@d' } })] }).split('\r\n\r\n');
    assert.equal(groups.length, 3);
    assert.match(groups[2]!, /^Final-Recipient: rfc822; c@d\r\n/);
  });

  const table: readonly (readonly [name: string, more: Partial<DsnRequest>, status: string, absent: RegExp])[] = [
    ['no status from the server', { recipients: [bob({ enhanced: '' })] }, '5.0.0', /^$/],
    ['no server', { recipients: [bob({ code: 0, enhanced: '5.1.2', host: '' })] }, '5.1.2', /Remote-MTA|smtp;/],
    ['expired', { recipients: [bob({ code: 450, enhanced: '4.2.1', expired: true })] }, '4.4.7', /^$/],
    ['delayed', { kind: 'delayed', recipients: [bob({ code: 450, enhanced: '4.2.1' })] }, '4.2.1', /^$/],
    ['delayed, no status', { kind: 'delayed', recipients: [bob({ code: 450, enhanced: '' })] }, '4.0.0', /^$/],
    ['relayed', { kind: 'relayed', recipients: [bob({ code: 250, enhanced: '2.1.5' })] }, '2.1.5', /Will-Retry/],
    ['delivered', { kind: 'delivered', recipients: [bob({ code: 250, enhanced: '' })] }, '2.0.0', /Will-Retry/],
    ['a status of another class', { recipients: [bob({ enhanced: '2.0.0' })] }, '5.0.0', /^$/],
  ];
  for (const [name, more, status, absent] of table) {
    test(`${name}: ${status}`, () => {
      const body = statusOf(more);
      assert.ok(body.includes(`\r\nAction: ${more.kind ?? 'failed'}\r\nStatus: ${status}\r\n`), body);
      if (absent.source !== '^$') assert.doesNotMatch(body, absent);
    });
  }

  test('what we say ourselves is no reply of a server', () => {
    const recipients = [bob({ code: 0, enhanced: '4.4.1', text: 'connection refused', host: '', expired: true })];
    assert.match(statusOf({ recipients }), /\r\nDiagnostic-Code: x-postern; 4\.4\.1 connection refused\r\n/);
  });

  test('a host without a name is an address literal', () => {
    assert.match(statusOf({ recipients: [bob({ host: '192.0.2.1' })] }), /\r\nRemote-MTA: dns; \[192\.0\.2\.1\]\r\n/);
    assert.match(
      statusOf({ recipients: [bob({ host: '2001:db8::1' })] }),
      /\r\nRemote-MTA: dns; \[IPv6:2001:db8::1\]\r\n/,
    );
  });

  test('parameters come back to their sender as they were, unfolded and with each blank', () => {
    const recipient = { address: '"a  b"@example.com', orcpt: `rfc822;${'x'.repeat(90)}+20+20y@example.com` };
    const status = statusOf({ envelope: envelope({ envid: 'Q+20+20Q' }), recipients: [bob({ recipient })] });
    assert.match(status, /^Original-Envelope-Id: Q {2}Q\r\n/);
    assert.match(status, /\r\nOriginal-Recipient: rfc822; x{90} {2}y@example\.com\r\n/);
    assert.match(status, /\r\nFinal-Recipient: rfc822; "a {2}b"@example\.com\r\n/);
  });

  test('people read of fifty, programs of all', () => {
    const many = Array.from({ length: 60 }, (_, at) => bob({ recipient: { address: `r${at}@example.com` } }));
    const { parts } = read({ recipients: many });
    assert.equal(parts[0]!.body.match(/<r\d+@/g)?.length, 50);
    assert.match(parts[0]!.body, /\r\nAnd 10 more, which the next part of this report names\.\r\n/);
    assert.equal(parts[1]!.body.match(/^Final-Recipient:/gm)?.length, 60);
  });

  test('a delay says until when, and nothing else does', () => {
    const recipients = [bob({ willRetryUntilMs: NOW_MS + 3_600_000 })];
    const { parts, top } = read({ kind: 'delayed', recipients });
    assert.match(parts[1]!.body, /\r\nWill-Retry-Until: Tue, 24 Nov 2026 15:00:00 \+0000\r\n$/);
    assert.match(parts[0]!.body, /\r\n {4}It is tried until Tue, 24 Nov 2026 15:00:00 \+0000\.\r\n/);
    assert.match(parts[0]!.body, /You need not send\r?\n?\s*it again/);
    assert.match(top, /\r\nSubject: Your mail is delayed\r\n/);
  });

  test('people are told what was tried, and who said so', () => {
    const human = (each: Partial<ReportedRecipient>) => read({ recipients: [bob(each)] }).parts[0]!.body;
    assert.match(human({ expired: true }), /tried until its time was over\. The last answer was:\r\n {4}mx/);
    assert.match(human({ code: 0, enhanced: '4.4.1', text: 'refused' }), / {4}mx\.example\.com: 4\.4\.1 refused\r\n/);
    assert.match(human({ code: 0, enhanced: '5.1.2', text: 'no host', host: '' }), /\r\n {4}5\.1\.2 no host\r\n/);
  });
});

describe('what is returned', () => {
  test('headers up to their last whole line', () => {
    assert.equal(originalOf({ headers: 'A: b\r\nC: d\r\n e\r\nF: cut o' }).body, 'A: b\r\nC: d\r\n e\r\n');
    assert.equal(originalOf({ headers: 'A: b\r\n\r\nbody\r\n' }).body, 'A: b\r\n');
    assert.equal(originalOf({ headers: 'cut' }).body, '');
    assert.equal(originalOf({ headers: '' }).body, '');
    assert.equal(originalOf({ headers: '\r\n' }).body, '');
  });

  test('the whole message, where it is given, byte for byte', () => {
    const content = 'A: b\r\n\r\nbody\r\n';
    assert.deepEqual(originalOf({ content }), { type: 'message/rfc822', encoding: '', body: content });
    const { octets } = buildDsn(request({ content: `${content}\xe9` }));
    assert.match(octets, /\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--postern-/);
    assert.ok(
      octets.includes(`Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${content}\xe9\r\n--`),
    );
  });

  test('a Message-ID that is none is not answered', () => {
    for (const id of ['', 'x', '<a b@c>', '<a@b>, <c@d>', '<jörg@x>', `<${'x'.repeat(251)}>`]) {
      assert.equal(fieldOf(read({ headers: `Message-ID: ${id}\r\n` }).top, 'in-reply-to'), '');
    }
    assert.equal(fieldOf(read({ headers: 'message-id:\r\n <1@x>\r\n' }).top, 'in-reply-to'), '<1@x>');
  });
});

describe('characters', () => {
  const octets = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
  const headers = octets('Subject: grüße\r\n');

  test('of a message without SMTPUTF8 are made ASCII', () => {
    const { text, parts, top } = read({ headers, recipients: [bob({ text: 'grüß dich 😀' })] });
    assert.match(parts[1]!.body, /\r\nDiagnostic-Code: smtp; 550 5\.1\.1 gr\?\? dich \?\r\n/);
    assert.match(text, /^[\x00-\x7f]*$/);
    assert.equal(parts[2]!.body, 'Subject: gr????e\r\n');
    assert.equal(fieldOf(top, 'content-transfer-encoding'), '');
  });

  test('of one with SMTPUTF8 are kept, in the types of RFC 6533', () => {
    const recipient = { address: 'jörg@example.com', orcpt: 'utf-8;jörg@example.com' };
    const { parts, top } = read({
      headers,
      to: 'alice@bücher.example',
      envelope: envelope({ smtpUtf8: true, sender: 'alice@bücher.example' }),
      recipients: [bob({ recipient })],
    });
    assert.deepEqual(
      parts.map(({ type, encoding }) => [type, encoding]),
      [
        ['text/plain; charset=utf-8', '8bit'],
        ['message/global-delivery-status', '8bit'],
        ['message/global-headers', '8bit'],
      ],
    );
    assert.match(parts[1]!.body, /\r\nOriginal-Recipient: utf-8; jörg@example\.com\r\nFinal-Recipient: utf-8; jörg@/);
    assert.equal(parts[2]!.body, 'Subject: grüße\r\n');
    assert.equal(fieldOf(top, 'content-transfer-encoding'), '8bit');
    assert.equal(fieldOf(top, 'to'), '<alice@bücher.example>');
  });

  test('SMTPUTF8 is needed for the sender’s address only', () => {
    const needs = (to: string) => buildDsn(request({ headers, to, envelope: envelope({ smtpUtf8: true }) })).smtpUtf8;
    assert.equal(needs('alice@example.org'), false);
    assert.equal(needs('jörg@example.org'), true);
  });

  test('on the way to an ASCII address there may be servers without SMTPUTF8: quoted-printable (RFC 6533 §4.5)', () => {
    const recipient = { address: 'jörg@example.com' };
    const content = octets('Subject: grüße\r\n\r\nein = zwei \r\n');
    const { text, parts, top } = read({
      content,
      envelope: envelope({ smtpUtf8: true }),
      recipients: [bob({ recipient })],
    });
    assert.match(text, /^[\x00-\x7f]*$/);
    assert.deepEqual(
      parts.map(({ type, encoding }) => [type, encoding]),
      [
        ['text/plain; charset=utf-8', 'quoted-printable'],
        ['message/global-delivery-status', 'quoted-printable'],
        ['message/global', 'quoted-printable'],
      ],
    );
    assert.match(parts[1]!.body, /\r\nFinal-Recipient: utf-8; j=C3=B6rg@example\.com\r\n/);
    assert.equal(parts[2]!.body, 'Subject: gr=C3=BC=C3=9Fe\r\n\r\nein =3D zwei=20\r\n');
    assert.equal(fieldOf(top, 'content-transfer-encoding'), '');
  });

  test('parts that are ASCII keep their usual types', () => {
    const { parts } = read({ envelope: envelope({ smtpUtf8: true }) });
    assert.deepEqual(
      parts.map(({ type }) => type),
      ['text/plain; charset=us-ascii', 'message/delivery-status', 'text/rfc822-headers'],
    );
  });

  test('the whole of a message with SMTPUTF8 goes back to an internationalized address as it is', () => {
    const utf8 = envelope({ smtpUtf8: true });
    const whole = originalOf({ envelope: utf8, to: 'jörg@a.example', content: octets('A: ü\r\n\r\nbody\r\n') });
    assert.deepEqual(whole, { type: 'message/global', encoding: '8bit', body: 'A: ü\r\n\r\nbody\r\n' });
  });
});

describe('whatever is in it', () => {
  test('the boundary occurs in no part', () => {
    const boundary = 'postern-mib3k2x9-a1b2c3-00-0001';
    const headers = `A: --${boundary}\r\nB: --${boundary}-1--\r\n`;
    assert.equal(read({ headers }).parts[2]!.body, headers);
    assert.match(read({ headers }).top, new RegExp(`boundary="${boundary}-2"`));
  });

  test('the server’s words stay in their field', () => {
    const word = fc.string({
      unit: fc.constantFrom('a', ' ', '\r', '\n', '\0', ':', '.', 'é', '\x85'),
      maxLength: 500,
    });
    const property = fc.property(word, word, word, (text, envid, host) => {
      const { parts } = read({ recipients: [bob({ text, host })], envelope: envelope({ envid }) });
      const groups = parts[1]!.body.split('\r\n\r\n');
      assert.equal(groups.length, 2);
      const names = groups.flatMap((group) => splitHeaders(group).fields.map(({ name }) => name));
      assert.ok(!names.includes('') && new Set(names).size === names.length, names.join());
      for (const line of parts[1]!.body.split('\r\n')) assert.ok(line.length < 998);
    });
    fc.assert(property, { numRuns: 200 });
  });

  test('long words and texts are folded, at 76 characters where it can be', () => {
    const text = `${'word '.repeat(60)}${'x'.repeat(200)}`;
    const { parts } = read({ recipients: [bob({ text })] });
    for (const { body } of parts) {
      for (const line of body.split('\r\n')) assert.ok(line.length <= 76 || line.includes('x'.repeat(200)), line);
    }
    assert.equal(
      fieldOf(parts[1]!.body.split('\r\n\r\n')[1]!, 'diagnostic-code').replaceAll('\t', ' '),
      `smtp; 550 5.1.1 ${text}`,
    );
  });
});

test('a double bounce, to the postmaster', () => {
  const { top, parts } = read({ to: 'postmaster@relay.example', envelope: envelope({ sender: '' }) });
  assert.match(top, /\r\nTo: <postmaster@relay\.example>\r\nSubject: Undeliverable mail of the null sender\r\n/);
  assert.equal(fieldOf(top, 'auto-submitted'), 'auto-generated');
  assert.match(parts[0]!.body, /\r\nA message of the null sender of Tue, 24 Nov/);
  assert.match(parts[1]!.body, /\r\nAction: failed\r\n/);
});

describe('our own bugs', () => {
  test('a notification to the null sender (RFC 5321 §6.1)', () => {
    assert.throws(() => buildDsn(request({ to: '' })), AssertionFailure);
  });
  test('about nobody', () => assert.throws(() => buildDsn(request({ recipients: [] })), AssertionFailure));
  test('a sender that is more than a line', () => {
    assert.throws(() => buildDsn(request({ to: 'a@b>\r\nBcc: <c@d' })), AssertionFailure);
  });
});
