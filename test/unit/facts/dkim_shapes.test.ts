/** Signed mail of real shape and of evil ones: each ends as README says, word for word. */
import assert from 'node:assert/strict';
import { createHash, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import nodemailer from 'nodemailer';
import { methodResults } from '../../../src/facts/authentication_report.ts';
import { FakeDns } from '../../support/fake_dns.ts';
import { authenticate, dkimOf, HEADER, RECORDS, RSA, SHORT_RSA, signed } from './mail.ts';

const BODY = 'Hello  world \t\r\n\r\n  indented\r\n.dot\r\n\r\n';
const MESSAGE = HEADER + BODY;
const NOW_MS = Date.UTC(2026, 10, 24, 12);
const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** As our Authentication-Results has it, equal ones counted. */
async function said(message: string): Promise<string> {
  const results = methodResults(await authenticate(message, new FakeDns(RECORDS), { nowMs: NOW_MS }));
  const counts = new Map<string, number>();
  for (const { method, result, reason } of results) {
    if (method !== 'dkim' && method !== 'dmarc') continue;
    const text = `${method}=${result}${reason === null ? '' : ` (${reason})`}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => (count === 1 ? text : `${count} × ${text}`)).join(', ');
}

/** Signed by hand: mailauth lists no name more often than it occurs. */
function oversigned(): string {
  const field = 'v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=from:from:subject:subject;';
  const bh = createHash('sha256').update('Hi\r\n').digest('base64');
  const bytes = `from:a@example.org\r\nsubject:x\r\ndkim-signature:${field} bh=${bh}; b=`;
  const b = sign('sha256', Buffer.from(bytes), RSA.privateKey).toString('base64');
  const own = `DKIM-Signature: ${field}\r\n\tbh=${bh}; b=${b.slice(0, 60)}\r\n\t ${b.slice(60)}\r\n`;
  return `${own}From: a@example.org\r\nSubject: x\r\n\r\nHi\r\n`;
}

const refolded = async (canonicalization: string): Promise<string> =>
  (await signed(MESSAGE, { canonicalization })).replace('To: bob', 'To:\r\n\tbob');
const fieldsOf = (message: string): string => message.slice(0, -MESSAGE.length);
const FLOOD = 'X: y\r\n'.repeat(10_000);

/** By the words of README's table. */
const SHAPES: Readonly<Record<string, () => Promise<string> | string>> = {
  'as it was signed': () => signed(MESSAGE),
  'a byte of the body is another one': async () => (await signed(MESSAGE)).replace('world', 'World'),
  'a byte of a signed field is another one': async () => (await signed(MESSAGE)).replace('To: bob', 'To: rob'),
  'a second From, on top or folded in disguise': async () => `From\r\n : evil@example.org\r\n${await signed(MESSAGE)}`,
  'text behind what `l=` covers': async () => `${await signed(MESSAGE, { bodyLength: 5 })}more\r\n`,
  '`l=` beyond the body': async () => (await signed(MESSAGE, { bodyLength: 5 })).replace('l=5', 'l=5000'),
  'a field on top whose name is oversigned': () => `Subject: other\r\n${oversigned()}`,
  'a field on top whose name is not': async () => `To: more@example.com\r\n${await signed(MESSAGE)}`,
  'fields folded anew, relaxed': () => refolded('relaxed/relaxed'),
  'fields folded anew, simple': () => refolded('simple/simple'),
  '10,000 fields above the signature': async () => FLOOD + (await signed(MESSAGE)),
  '10,000 fields below it': async () => (await signed(MESSAGE)).replace('\r\n\r\nHello', `\r\n${FLOOD}\r\nHello`),
  "100 signatures, the author's last": async () => {
    const honest = await signed(MESSAGE);
    return fieldsOf(honest).replaceAll('example.org', 'junk.example.net').repeat(99) + honest;
  },
  '100 times the same signature': async () => fieldsOf(await signed(MESSAGE)).repeat(100) + MESSAGE,
  'six signatures with an `l=` each': async () => {
    const one = fieldsOf(await signed(MESSAGE, { bodyLength: 5 }));
    return [1, 2, 3, 4, 5, 6].map((length) => one.replace('l=5', `l=${length}`)).join('') + MESSAGE;
  },
  'From is not signed': async () => (await signed(MESSAGE)).replace(/h=[^;]+;/, 'h=to;'),
  '`d=` is a top-level domain': async () => (await signed(MESSAGE)).replace('d=example.org', 'd=org'),
  'rsa-sha1': () => signed(MESSAGE, { algorithm: 'rsa-sha1' }),
  'a key below 1,024 bits': () => signed(MESSAGE, { selector: 'short', privateKey: SHORT_RSA.privateKey }),
  '`x=` is in the past': () => signed(MESSAGE, { expires: new Date(NOW_MS - 1000) }),
};

describe('shapes', () => {
  const table = /<!-- signed shapes -->\n([\s\S]*?)<!-- \/signed shapes -->/.exec(README)?.[1] ?? '';
  const rows = table
    .split('\n')
    .slice(2)
    .filter((line) => line !== '');
  const documented = new Map(
    rows.map(
      (row) =>
        row
          .split('|')
          .map((cell) => cell.trim())
          .slice(1, 3) as [string, string],
    ),
  );

  test('README tells of each, and of no other', () => {
    assert.deepEqual([...documented.keys()], Object.keys(SHAPES));
  });
  for (const [name, make] of Object.entries(SHAPES)) {
    test(name, async () => assert.equal(`\`${await said(await make())}\``, documented.get(name)));
  }
});

test('what nodemailer composes and signs holds: text, HTML, an attachment, names beyond ASCII', async () => {
  const transport = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
  const { message } = await transport.sendMail({
    from: '"J\u00fcrgen, of sales" <juergen@example.org>',
    to: ['bob@example.com', '"Zo\u00eb" <zoe@example.com>'],
    subject: 'Ein Angebot f\u00fcr Sie, das so lang ist, dass sein Betreff \u00fcber mehrere Zeilen gefaltet wird',
    text: 'Guten Tag,\n\n.anbei das Angebot.\n',
    html: '<p>Guten Tag, anbei das Angebot.</p>',
    attachments: [{ filename: '\u00dcbersicht.bin', content: Buffer.alloc(20_000, 'offer') }],
    dkim: { domainName: 'example.org', keySelector: 'rsa', privateKey: RSA.privateKey },
  });
  const text = (message as Buffer).toString('latin1');
  const dns = new FakeDns(RECORDS);
  for (const sizes of [[1], [1000, 7]]) assert.deepEqual(dkimOf(await authenticate(text, dns, { sizes })), ['pass']);
  const body = text.indexOf('\r\n\r\n') + 4;
  for (let at = body; at < text.length; at += 997) {
    if (/\s/.test(text[at]!)) continue;
    const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
    assert.deepEqual(dkimOf(await authenticate(changed, dns)), ['fail: body'], `byte ${at}`);
  }
});
