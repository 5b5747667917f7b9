/** DMARC and the author it is about; ARC beside it; and all of it in the words of the field that we write. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sealMessage } from 'mailauth/lib/arc/index.js';
import { methodResults } from '../../../src/facts/authentication_report.ts';
import { addressesIn, authorOf } from '../../../src/facts/author.ts';
import { dmarcRecord } from '../../../src/facts/dmarc_record.ts';
import { authenticationResults } from '../../../src/message/authentication_results.ts';
import { readFields } from '../../../src/message/fields.ts';
import type { FakeRecords } from '../../support/fake_dns.ts';
import { FakeDns } from '../../support/fake_dns.ts';
import { authenticate, HEADER, NO_SPF, PASSED, RECORDS, RSA, signed } from './mail.ts';

const MESSAGE = `${HEADER}Hello\r\n`;
const from = (value: string): string => MESSAGE.replace(/From: .*/, `From: ${value}`);

describe('the author', () => {
  const authorIn = (header: string): string => {
    const author = authorOf(readFields(header).fields);
    return author.tag === 'one' ? author.domain : author.tag;
  };
  const cases: [value: string, expected: string][] = [
    ['a@example.org', 'example.org'],
    ['<a@Example.ORG.>', 'example.org'],
    ['"b@evil.test" <a@example.org>', 'example.org'],
    ['=?utf-8?q?b=40evil.test?= <a@example.org>', 'example.org'],
    ['Alice (of <b@evil.test>) <a@example.org> (not b@evil.test)', 'example.org'],
    ['a(comment)@example.org', 'example.org'],
    ['a@example.org, b@example.org', 'example.org'],
    ['Sales: a@example.org, Bob <b@example.org>;', 'example.org'],
    ['"a@b"@example.org', 'example.org'],
    ['a@b\xc3\xbccher.example', 'xn--bcher-kva.example'],
    ['a@example.org,\r\n b@example.net', 'several'],
    ['a@example.org@evil.test', 'unsound'],
    ['<a@example.org> <b@evil.test>', 'unsound'],
    ['<a@example.org> b@evil.test', 'unsound'],
    ['<<a@example.org>>', 'unsound'],
    ['<@relay.test:a@example.org>', 'unsound'],
    ['"a@example.org', 'unsound'],
    ['(a@example.org', 'unsound'],
    ['a@exa mple.org', 'unsound'],
    ['a', 'unsound'],
    ['', 'unsound'],
    ['Sales:;', 'unsound'],
    ['a@-example.org', 'unsound'],
  ];
  for (const [value, expected] of cases)
    test(`${JSON.stringify(value)}: ${expected}`, () => assert.equal(authorIn(`From: ${value}\r\n`), expected));

  test('no field, two fields, and one in disguise', () => {
    assert.equal(authorIn('To: a@example.org\r\n'), 'none');
    assert.equal(authorIn('From: a@example.org\r\nFROM: a@example.org\r\n'), 'several');
    assert.equal(authorIn('From: a@example.org\r\nFrom\r\n : a@example.org\r\n'), 'several');
  });

  test('it takes time in proportion, however deep the comments', () => {
    assert.equal(addressesIn('('.repeat(60_000)), null);
    assert.equal(addressesIn('"'.repeat(60_001)), null);
  });
});

describe('DMARC', () => {
  const judged = async (message: string, spf = NO_SPF, records: FakeRecords = {}) =>
    (await authenticate(message, new FakeDns({ ...RECORDS, ...records }), { spf })).dmarc;

  test('passes by a signature, or by SPF', async () => {
    const { result, spf, dkim, policy } = await judged(await signed(MESSAGE));
    assert.deepEqual({ result, spf, dkim, policy }, { result: 'pass', spf: false, dkim: true, policy: 'reject' });
    assert.equal((await judged(MESSAGE, PASSED)).spf, true);
  });

  test('fails where neither is aligned', async () => {
    assert.equal((await judged(MESSAGE)).result, 'fail');
    assert.equal((await judged(MESSAGE, { ...PASSED, domain: 'example.net' })).result, 'fail');
    assert.equal((await judged(MESSAGE, { ...PASSED, result: 'fail' })).result, 'fail');
  });

  test('is relaxed over subdomains unless told otherwise; sp= is for those below', async () => {
    const message = from('a@sub.example.org');
    assert.equal((await judged(message, PASSED)).result, 'pass');
    const strict = { 'TXT _dmarc.example.org': ['v=DMARC1; p=reject; sp=quarantine; aspf=s'] };
    const { result, policy, policyDomain } = await judged(message, PASSED, strict);
    assert.deepEqual(
      { result, policy, policyDomain },
      { result: 'fail', policy: 'quarantine', policyDomain: 'example.org' },
    );
  });

  test('t=y asks for one step less (RFC 9989 §4.7)', async () => {
    const { policy } = await judged(MESSAGE, NO_SPF, { 'TXT _dmarc.example.org': ['v=DMARC1; p=reject; t=y'] });
    assert.equal(policy, 'quarantine');
  });

  test('no record, two records, rubbish, DNS that fails', async () => {
    const result = async (records: FakeRecords): Promise<string> => (await judged(MESSAGE, NO_SPF, records)).result;
    assert.equal(await result({ 'TXT _dmarc.example.org': ['v=spf1 -all'] }), 'none');
    assert.equal(await result({ 'TXT _dmarc.example.org': ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] }), 'none');
    assert.equal(await result({ 'TXT _dmarc.example.org': ['v=DMARC1; p=what'] }), 'none');
    assert.equal(await result({ 'TXT _dmarc.example.org': 'servfail' }), 'temperror');
  });

  test('who the author is must be plain', async () => {
    assert.equal((await judged(from('a@example.org, b@example.net'), PASSED)).result, 'permerror');
    assert.equal((await judged(`From: x@example.net\r\n${MESSAGE}`, PASSED)).result, 'permerror');
    assert.equal((await judged(MESSAGE.replace(/From: .*\r\n/, ''), PASSED)).result, 'none');
  });

  test('a name of many labels costs eight questions (RFC 9989 §4.10)', async () => {
    const dns = new FakeDns({});
    await authenticate(from(`a@${'x.'.repeat(100)}test`), dns);
    assert.ok(dns.asked.length <= 9, `${dns.asked.length}`);
  });

  test('the record is asked for as soon as the author is known, and nobody waits for the body', async () => {
    const dns = new FakeDns(RECORDS);
    const { Authenticator } = await import('../../../src/facts/authentication.ts');
    const { relaxerTwin } = await import('../../../src/scanner/relaxer_twin.ts');
    const authentication = new Authenticator(dns, relaxerTwin, 'mx.example.com').begin(
      NO_SPF,
      () => new AbortController().signal,
    );
    authentication.headers(Buffer.from(HEADER), true);
    assert.deepEqual(dns.asked, ['TXT _dmarc.example.org']);
  });

  test('what is known is not asked again, and answered at once', async () => {
    const dns = new FakeDns(RECORDS);
    const { Authenticator } = await import('../../../src/facts/authentication.ts');
    const { relaxerTwin } = await import('../../../src/scanner/relaxer_twin.ts');
    const authenticator = new Authenticator(dns, relaxerTwin, 'mx.example.com');
    const message = await signed(MESSAGE);
    await authenticate(message, dns, { authenticator });
    const asked = dns.asked.length;
    const again = authenticate(message, dns, { authenticator });
    assert.ok(!(again instanceof Promise));
    assert.equal(again.dmarc.result, 'pass');
    assert.equal(dns.asked.length, asked);
  });
});

describe('ARC', () => {
  const seal = async (message: string, instance = 1, cv = 'none'): Promise<string> => {
    const authResults = 'mx.forwarder.test; dmarc=pass header.from=example.org';
    const options = {
      signingDomain: 'example.org',
      selector: 'rsa',
      privateKey: RSA.privateKey,
      authResults,
      cv,
      i: instance,
    };
    return (await sealMessage(message, options as unknown as Parameters<typeof sealMessage>[1])).toString() + message;
  };
  const arcOf = async (message: string) => (await authenticate(message, new FakeDns(RECORDS))).arc;

  test('a chain of one and of two holds, and says who sealed it and what DMARC had said', async () => {
    const once = await seal(MESSAGE);
    const expected = { result: 'pass', why: null, sealer: 'example.org', dmarcBefore: 'pass' };
    assert.deepEqual(await arcOf(once), { ...expected, sets: 1 });
    assert.deepEqual(await arcOf(await seal(once, 2, 'pass')), { ...expected, sets: 2 });
  });

  test('none, without one', async () => assert.equal((await arcOf(MESSAGE)).result, 'none'));

  test('a changed body, seal, result or structure fails', async () => {
    const once = await seal(MESSAGE);
    const why = async (message: string): Promise<string> => {
      const { result, why: reason } = await arcOf(message);
      return `${result}: ${reason}`;
    };
    assert.equal(await why(once.replace('Hello', 'hello')), 'fail: message signature: body');
    assert.equal(await why(once.replace('dmarc=pass', 'dmarc=fail')), 'fail: seal');
    assert.equal(await why(once.replace('cv=none', 'cv=pass')), 'fail: structure');
    assert.equal(
      await why(`ARC-Seal: i=1; a=rsa-sha256; cv=none; d=x.test; s=y; b=AA==\r\n${once}`),
      'fail: structure',
    );
    assert.equal(await why(`${'ARC-Seal: i=1\r\n'.repeat(31)}${MESSAGE}`), 'fail: too many sets');
  });

  test('sets are bounded', async () => {
    let message = MESSAGE;
    for (let instance = 1; instance <= 11; instance++) {
      message = await seal(message, instance, instance === 1 ? 'none' : 'pass');
      const { result } = await arcOf(message);
      assert.equal(result, instance <= 10 ? 'pass' : 'fail', `${instance} sets`);
    }
  });
});

test('the field says all of it', async () => {
  const result = await authenticate(await signed(MESSAGE), new FakeDns(RECORDS), { spf: PASSED });
  const field = authenticationResults('mx.example.com', methodResults(result));
  const lines = [
    'Authentication-Results: mx.example.com;',
    '\tspf=pass smtp.mailfrom=example.org;',
    '\tdkim=pass header.d=example.org header.s=rsa header.a=rsa-sha256',
    '\theader.b=MARK;',
    '\tdmarc=pass policy.dmarc=reject header.from=example.org',
    '',
  ];
  assert.deepEqual(field.replace(/header\.b=\S{8,10};/, 'header.b=MARK;').split('\r\n'), lines);
});

test('the record has all that a report says, and there is one only where there is a policy', async () => {
  const result = await authenticate(await signed(MESSAGE), new FakeDns(RECORDS), { spf: PASSED });
  const disposed = { disposition: 'none', override: null } as const;
  assert.deepEqual(dmarcRecord(result, disposed), {
    policyDomain: 'example.org',
    from: 'example.org',
    policy: 'reject',
    result: 'pass',
    disposition: 'none',
    override: '',
    spf: 'pass example.org aligned',
    dkim: 'pass example.org rsa aligned',
  });
  assert.equal(dmarcRecord({ ...result, dmarc: { ...result.dmarc, policy: null } }, disposed), null);
});
