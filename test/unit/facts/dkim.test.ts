/** DKIM: what mailauth signs holds, what is changed does not, and odd signatures end without harm. */
import assert from 'node:assert/strict';
import { createHash, sign } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { FakeDns } from '../../support/fake_dns.ts';
import { authenticate, dkimOf, ED25519, HEADER, RECORDS, RSA, signed } from './mail.ts';

const BODY = 'Hello  world \t\r\n\r\n  indented\r\n.dot\r\n\r\n\r\n';
const MESSAGE = HEADER + BODY;
const NOW_MS = Date.UTC(2026, 10, 24, 12);
const CANONICALISATIONS = ['simple/simple', 'simple/relaxed', 'relaxed/simple', 'relaxed/relaxed'] as const;
const ALGORITHMS = ['rsa-sha256', 'ed25519-sha256'] as const;

const resolver = (dns: FakeDns) => async (name: string, type: string) => {
  const found = dns.records[`${type} ${name}`];
  if (found === undefined || typeof found === 'string') throw Object.assign(new Error('none'), { code: 'ENOTFOUND' });
  return found.map((text) => [text]);
};

async function oracle(message: string, dns: FakeDns): Promise<string> {
  const options = { resolver: resolver(dns), strict: true, curTime: new Date(NOW_MS) };
  const { results } = await dkimVerify(
    Buffer.from(message, 'latin1'),
    options as unknown as Parameters<typeof dkimVerify>[1],
  );
  return results[0]!.status.result;
}

const verdict = async (message: string, dns = new FakeDns(RECORDS)): Promise<string[]> =>
  dkimOf(await authenticate(message, dns, { nowMs: NOW_MS }));

describe('what mailauth signs', () => {
  for (const algorithm of ALGORITHMS) {
    for (const canonicalization of CANONICALISATIONS) {
      test(`${algorithm}, ${canonicalization}: holds, split at every byte too`, async () => {
        const message = await signed(MESSAGE, { algorithm, canonicalization });
        const dns = new FakeDns(RECORDS);
        assert.deepEqual(await verdict(message, dns), ['pass']);
        assert.deepEqual(dkimOf(await authenticate(message, dns, { sizes: [1] })), ['pass']);
        assert.equal(await oracle(message, dns), 'pass');
      });
    }
  }

  test('bodies that are empty, blank, or without a last line end', async () => {
    for (const body of ['', '\r\n', '\r\n\r\n', ' \t\r\n', 'x', 'x\r\n', 'x \r\n \r\n'])
      for (const canonicalization of CANONICALISATIONS)
        assert.deepEqual(await verdict(await signed(HEADER + body, { canonicalization })), ['pass'], body);
  });

  test('keys as bare RSAPublicKey', async () => {
    assert.deepEqual(await verdict(await signed(MESSAGE, { selector: 'bare' })), ['pass']);
  });

  test('l= that covers all of the body', async () => {
    const bodyLength = BODY.replace(/(?:\r\n)+$/, '\r\n').length;
    const message = await signed(MESSAGE, { canonicalization: 'relaxed/simple', bodyLength });
    assert.match(message, /l=\d+/);
    assert.deepEqual(await verdict(message), ['pass']);
  });

  test('names that are listed more often than they occur: nobody adds one', async () => {
    const field = 'v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=from:from:subject:cc;';
    const bh = createHash('sha256').update('Hi\r\n').digest('base64');
    const own = `${field}\r\n\tbh=${bh}; b=`;
    const bytes = `from:a@example.org\r\nsubject:x y\r\ndkim-signature:${field} bh=${bh}; b=`;
    const b = sign('sha256', Buffer.from(bytes), RSA.privateKey).toString('base64');
    const folded = `${b.slice(0, 60)}\r\n\t ${b.slice(60)}`;
    const rest = 'From: a@example.org\r\nSubject: x  y\r\n\r\nHi\r\n';
    const message = `DKIM-Signature: ${own}${folded}\r\n${rest}`;
    assert.deepEqual(await verdict(message), ['pass']);
    assert.deepEqual(await verdict(`Cc: more@example.com\r\n${message}`), ['fail: signature']);
    assert.deepEqual(await verdict(`Subject: other\r\n${message}`), ['pass']); // signed once: the lowest one is meant
  });

  test('any message, as mailauth sees it', async () => {
    const piece = fc.constantFrom('word', ' ', '  ', '\t', '\r\n', '\r\n\r\n', 'x'.repeat(70), '=20', '.', '\xe9');
    const body = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
    const value = fc.array(fc.constantFrom('a', ' b', '  c', '\r\n d', '\r\n\t e', '\xc3\xa9', '(x)'), {
      maxLength: 6,
    });
    const field = fc.tuple(fc.constantFrom('Subject', 'X-Some', 'To', 'subject '), value);
    const header = fc
      .array(field, { maxLength: 5 })
      .map((fields) => fields.map(([name, words]) => `${name}: x${words.join('')}\r\n`).join(''));
    const arbitrary = fc.tuple(header, body, fc.constantFrom(...ALGORITHMS), fc.constantFrom(...CANONICALISATIONS));
    await fc.assert(
      fc.asyncProperty(
        arbitrary,
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 3 }),
        async (mail, sizes) => {
          const [fields, text, algorithm, canonicalization] = mail;
          const message = await signed(`From: a@example.org\r\n${fields}\r\n${text}`, { algorithm, canonicalization });
          const dns = new FakeDns(RECORDS);
          assert.equal(await oracle(message, dns), 'pass');
          assert.deepEqual(dkimOf(await authenticate(message, dns, { sizes })), ['pass']);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('what is changed', () => {
  test('a byte of any kind: of the body, a signed field, the signature', async () => {
    for (const canonicalization of CANONICALISATIONS) {
      const message = await signed(MESSAGE, { canonicalization });
      const changes: [string, string, string][] = [
        ['body', 'world', 'World'],
        ['body, a new line', 'world', 'wor\r\nld'],
        ['a signed field', 'bob@', 'rob@'],
        ['the author', 'alice@example.org', 'blice@example.org'],
        ['the time', /t=\d/.exec(message)![0], 't=9'],
        ['the body hash', /bh=..../.exec(message)![0], 'bh=AAAA'],
        ['the selector', 's=rsa', 's=ed'],
      ];
      for (const [what, before, after] of changes) {
        const changed = message.replace(before, after);
        assert.notEqual(changed, message, what);
        assert.notDeepEqual(await verdict(changed), ['pass'], `${canonicalization}: ${what}`);
      }
    }
  });

  test('every byte in turn: never a pass that mailauth does not give', async () => {
    const message = await signed(`From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n`, { algorithm: 'ed25519-sha256' });
    const dns = new FakeDns(RECORDS);
    for (let at = 0; at < message.length; at++) {
      if (message[at] === '\r' || message[at] === '\n') continue; // the scanner mends those before
      const flipped = String.fromCharCode(message.charCodeAt(at) ^ 1);
      if (flipped === '\r' || flipped === '\n') continue;
      const changed = message.slice(0, at) + flipped + message.slice(at + 1);
      const [ours] = await verdict(changed, dns);
      if (ours === 'pass') assert.equal(await oracle(changed, dns), 'pass', `byte ${at}: ${message[at]}`);
    }
  });
});

/** Those that README tells of are in dkim_shapes.test.ts. */
describe('evil shapes', () => {
  const ends = (name: string, make: () => Promise<string> | string, expected: readonly string[]): void => {
    test(name, async () => assert.deepEqual(await verdict(await make()), expected));
  };

  ends('l= that is no number', async () => (await signed(MESSAGE, { bodyLength: 5 })).replace('l=5', 'l=-5'), [
    'neutral: syntax',
  ]);
  ends('a line that is no field', async () => (await signed(MESSAGE)).replace('To: bob', '\xa0evil\r\nTo: bob'), [
    'fail: signature',
  ]);
  ends('a tag twice', async () => (await signed(MESSAGE)).replace('v=1;', 'v=1; d=example.net;'), ['neutral: syntax']);
  ends('i= of another domain', async () => (await signed(MESSAGE)).replace('v=1;', 'v=1; i=@example.net;'), [
    'permerror: i= is not below d=',
  ]);
  ends('a key of another type', async () => (await signed(MESSAGE)).replace('s=rsa', 's=ed'), [
    'permerror: key of another type',
  ]);
  ends('no key', async () => (await signed(MESSAGE)).replace('s=rsa', 's=none'), ['permerror: no key']);
  test('100 signatures: ten are looked at, those of the author first, and a key once', async () => {
    const honest = await signed(MESSAGE);
    const junk = honest.slice(0, honest.length - MESSAGE.length).replaceAll('example.org', 'junk.example.net');
    const dns = new FakeDns(RECORDS);
    const result = await authenticate(junk.repeat(99) + honest, dns, { nowMs: NOW_MS });
    assert.equal(result.dkim.length, 10);
    assert.equal(result.dkimIgnored, 90);
    assert.deepEqual(dkimOf(result), ['pass', ...Array(9).fill('permerror: no key')]);
    const keys = dns.asked.filter((each) => each.includes('_domainkey'));
    assert.equal(new Set(keys).size, keys.length);
  });

  test('a header section of which not all was kept', async () => {
    const { Authenticator } = await import('../../../src/facts/authentication.ts');
    const { relaxerTwin } = await import('../../../src/scanner/relaxer_twin.ts');
    const authentication = new Authenticator(new FakeDns(RECORDS), relaxerTwin, 'mx.example.com').begin(
      { result: 'pass', identity: 'mailfrom', domain: 'example.org' },
      () => new AbortController().signal,
    );
    const message = await signed(MESSAGE);
    authentication.headers(Buffer.from(message.slice(0, -BODY.length), 'latin1'), false);
    const result = await authentication.end();
    assert.deepEqual(dkimOf(result), ['permerror: headers beyond bounds']);
    assert.equal(result.dmarc.result, 'permerror');
  });
});

describe('keys', () => {
  const withKey = (record: string | readonly string[]): FakeDns =>
    new FakeDns({ 'TXT rsa._domainkey.example.org': typeof record === 'string' ? [record] : record });
  const cases: [name: string, record: string, expected: string][] = [
    ['revoked', 'v=DKIM1; p=', 'permerror: key revoked'],
    ['rubbish', 'hello', 'permerror: key syntax'],
    ['no base64', 'v=DKIM1; p=%%%', 'permerror: key syntax'],
    ['half a key', RSA.record.slice(0, 100), 'permerror: key syntax'],
    ['another version', RSA.record.replace('DKIM1', 'DKIM2'), 'permerror: key version'],
    ['not for mail', `${RSA.record}; s=web`, 'permerror: key not for mail'],
    ['not for sha256', `${RSA.record}; h=sha1`, 'permerror: key not for sha256'],
    ['an unknown type', RSA.record.replace('k=rsa', 'k=dsa'), 'permerror: key type'],
    ['an elliptic key that says it is RSA', ED25519.record.replace('k=ed25519', 'k=rsa'), 'permerror: key syntax'],
    ['for all of mail', `${RSA.record}; s=*:email; h=sha1:sha256; t=y; n=a note`, 'pass'],
  ];
  for (const [name, record, expected] of cases)
    test(name, async () => assert.deepEqual(await verdict(await signed(MESSAGE), withKey(record)), [expected]));

  test('t=s: i= is of the domain itself', async () => {
    const message = (await signed(MESSAGE)).replace('v=1;', 'v=1; i=@sub.example.org;');
    assert.deepEqual(await verdict(message, withKey(`${RSA.record}; t=s`)), ['permerror: i= is not d=']);
  });

  test('several records: the one that is a key', async () => {
    assert.deepEqual(await verdict(await signed(MESSAGE), withKey(['something else', RSA.record])), ['pass']);
  });

  test('DNS that fails is a temperror, and one that never answers ends with the signal', async () => {
    const message = await signed(MESSAGE);
    const dead = new FakeDns({ 'TXT rsa._domainkey.example.org': 'servfail' });
    assert.deepEqual(await verdict(message, dead), ['temperror: key not found out']);
    const silent = new FakeDns(RECORDS);
    silent.gate = new Promise(() => undefined);
    const controller = new AbortController();
    const result = authenticate(message, silent, { signal: controller.signal });
    controller.abort();
    const { dkim, dmarc } = await result;
    assert.equal(dkim[0]!.result, 'temperror');
    assert.equal(dmarc.result, 'temperror');
  });
});

test('the body hash of RFC 6376 §3.4.3: no body is one line end', () => {
  assert.equal(createHash('sha256').update('\r\n').digest('base64'), 'frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=');
});
