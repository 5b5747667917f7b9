/** The Received field: what it says, how it is folded, and what a hostile name can do to it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AssertionFailure } from '../../../src/base/assert.ts';
import type { Trace, Via } from '../../../src/message/received.ts';
import { receivedField } from '../../../src/message/received.ts';

const VIA: Via = { address: '192.0.2.1', helo: 'mail.example.org', extended: true, tls: null };
const TLS = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' };

const trace = (via: Partial<Via> = {}, more: Partial<Trace> = {}): Trace => ({
  via: { ...VIA, ...via },
  by: 'relay.example',
  id: 'mib3k2x9-a1b2c3-00-0001',
  onlyRecipient: 'bob@example.com',
  smtpUtf8: false,
  timeMs: Date.UTC(2026, 10, 24, 13, 44, 7),
  ...more,
});

test('all of it', () => {
  const expected = [
    'Received: from mail.example.org (host.example.org [192.0.2.1])',
    '\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)',
    '\tby relay.example (Postern) with ESMTPS id mib3k2x9-a1b2c3-00-0001',
    '\tfor <bob@example.com>;',
    '\tTue, 24 Nov 2026 13:44:07 +0000',
    '',
  ];
  assert.equal(receivedField(trace({ tls: TLS, reverse: 'host.example.org' })), expected.join('\r\n'));
});

test('the least of it: several recipients, no TLS, HELO', () => {
  const expected = [
    'Received: from mail.example.org ([192.0.2.1])',
    '\tby relay.example (Postern) with SMTP id mib3k2x9-a1b2c3-00-0001;',
    '\tTue, 24 Nov 2026 13:44:07 +0000',
    '',
  ];
  assert.equal(receivedField(trace({ extended: false }, { onlyRecipient: null })), expected.join('\r\n'));
});

describe('with (RFC 3848, RFC 6531 §4.3)', () => {
  const table: readonly (readonly [extended: boolean, tls: boolean, smtpUtf8: boolean, protocol: string])[] = [
    [false, false, false, 'SMTP'],
    [false, true, false, 'SMTP'],
    [true, false, false, 'ESMTP'],
    [true, true, false, 'ESMTPS'],
    [true, false, true, 'UTF8SMTP'],
    [true, true, true, 'UTF8SMTPS'],
  ];
  for (const [extended, tls, smtpUtf8, protocol] of table) {
    test(protocol + (extended ? '' : ' after HELO') + (tls ? ' over TLS' : ''), () => {
      const field = receivedField(trace({ extended, tls: tls ? TLS : null }, { smtpUtf8 }));
      assert.ok(field.includes(` with ${protocol} id `), field);
    });
  }
});

describe('from', () => {
  const from = (via: Partial<Via>, smtpUtf8 = false): string =>
    receivedField(trace(via, { smtpUtf8 })).replace(/\r\n\tby .*/s, '');
  const table: readonly (readonly [name: string, via: Partial<Via>, from: string])[] = [
    ['a literal', { helo: '[192.0.2.1]' }, '[192.0.2.1] ([192.0.2.1])'],
    ['an IPv6 literal', { helo: '[IPv6:2001:db8::1]' }, '[IPv6:2001:db8::1] ([192.0.2.1])'],
    ['IPv6', { address: '2001:db8::1' }, 'mail.example.org ([IPv6:2001:db8::1])'],
    ['IPv4 on an IPv6 socket', { address: '::ffff:192.0.2.1' }, 'mail.example.org ([192.0.2.1])'],
    ['a link-local address', { address: 'fe80::1%eth0' }, 'mail.example.org ([IPv6:fe80::1])'],
    ['a reverse name that is none', { reverse: 'a)b' }, 'mail.example.org ([192.0.2.1])'],
    ['no name', { helo: '' }, '[192.0.2.1]'],
    ['parentheses', { helo: 'a)(b\\' }, '[192.0.2.1] (helo=a??b?)'],
    ['a second field', { helo: 'x\r\nBcc: y' }, '[192.0.2.1] (helo=x??Bcc:?y)'],
    ['a clause', { helo: 'x by y' }, '[192.0.2.1] (helo=x?by?y)'],
    ['a semicolon', { helo: 'x;y' }, '[192.0.2.1] (helo=x;y)'],
    ['brackets out of order', { helo: ']x[' }, '[192.0.2.1] (helo=]x[)'],
    ['8-bit', { helo: 'bücher.example' }, '[192.0.2.1] (helo=b?cher.example)'],
    ['256 chars', { helo: 'x'.repeat(256) }, `[192.0.2.1]\r\n\t(helo=${'x'.repeat(64)})`],
  ];
  for (const [name, via, expected] of table) {
    test(name, () => assert.equal(from(via), `Received: from ${expected}`));
  }
  test('U-labels, with SMTPUTF8', () => {
    assert.equal(from({ helo: 'bücher.example' }, true), 'Received: from bücher.example ([192.0.2.1])');
    assert.equal(from({ helo: 'b\u202ecc' }, true), 'Received: from [192.0.2.1] (helo=b?cc)');
  });
});

describe('for', () => {
  const has = (onlyRecipient: string, smtpUtf8: boolean) =>
    receivedField(trace({}, { onlyRecipient, smtpUtf8 })).includes(`for <${onlyRecipient}>;`);
  test('an international recipient is named with SMTPUTF8 only', () => {
    assert.equal(has('jörg@example.com', true), true);
    assert.equal(has('jörg@example.com', false), false);
  });
  test('a quoted one is', () => assert.equal(has('"a b"@example.com', false), true));
  test('one with controls is not', () => {
    assert.equal(has('a\r\nb', false), false);
    assert.equal(has('a\r\nb', true), false);
  });
});

test('a clause is folded where it must be, and nowhere else', () => {
  for (let chars = 1; chars <= 60; chars++) {
    const name = 'a'.repeat(chars);
    const field = receivedField(trace({ reverse: name, address: '2001:db8::1' }, { by: name, onlyRecipient: null }));
    const [from, by] = field.replace(/;\r\n.*/s, '').split(/\r\n\t(?=by )/);
    assert.equal(from!.replaceAll('\r\n\t', ' '), `Received: from mail.example.org (${name} [IPv6:2001:db8::1])`);
    assert.equal(by!.replaceAll('\r\n\t', ' '), `by ${name} (Postern) with ESMTP id mib3k2x9-a1b2c3-00-0001`);
    for (const lines of [from!.split('\r\n'), `\t${by};`.split('\r\n')]) {
      for (const [at, line] of lines.entries()) {
        assert.ok(line.length <= 78, line);
        const next = lines[at + 1]?.slice(1).split(' ')[0];
        if (next !== undefined) assert.ok(`${line} ${next}`.length > 78, line);
      }
    }
  }
});

test('lines are of 78 characters, longer only where a word is, and never of 998', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-'), minLength: 1, maxLength: 255 });
  const property = fc.property(name, name, name, fc.boolean(), (helo, by, reverse, tls) => {
    const field = receivedField(trace({ helo, reverse, tls: tls ? TLS : null }, { by }));
    for (const line of field.split('\r\n')) {
      assert.ok(line.length < 998);
      const longest = Math.max(
        ...line
          .trim()
          .split(' ')
          .map((word) => word.length),
      );
      assert.ok(line.length <= 78 || longest + 'Received: '.length >= line.trim().length, line);
    }
  });
  fc.assert(property, { numRuns: 200 });
});

test('a stranger’s words are printable ASCII in one field with closed comments', () => {
  const property = fc.property(fc.string({ unit: 'binary' }), fc.string(), (helo, cipher) => {
    const field = receivedField(trace({ helo, tls: { protocol: cipher, cipher } }));
    assert.match(field, /^Received: [\x20-\x7e]+(\r\n\t[\x21-\x7e][\x20-\x7e]+)*\r\n$/);
    assert.equal(field.split('(').length, field.split(')').length);
    assert.equal(field.match(/;/g)!.length, 1 + (helo.slice(0, 64).match(/;/g)?.length ?? 0));
  });
  fc.assert(property, { numRuns: 300 });
});

test('our own words are asserted', () => {
  assert.throws(() => receivedField(trace({}, { by: 'a b' })), AssertionFailure);
  assert.throws(() => receivedField(trace({}, { id: 'a\r\n' })), AssertionFailure);
  assert.throws(() => receivedField(trace({ address: 'unknown' })), AssertionFailure);
});
