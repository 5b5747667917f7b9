/** SPF over scripted answers: results, bounds, what is remembered and what is not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SpfResult } from '../../../src/facts/spf.ts';
import { Spf } from '../../../src/facts/spf.ts';
import type { FakeRecords } from '../../support/fake_dns.ts';
import { FakeDns } from '../../support/fake_dns.ts';

const CLIENT = { address: '192.0.2.7', helo: 'mail.example.org', sender: 'alice@example.org' };
const never = (): AbortSignal => new AbortController().signal;
const spfOver = (records: FakeRecords): Spf => new Spf(new FakeDns(records), 'mx.example.com');
const resultOf = async (records: FakeRecords, client: Partial<typeof CLIENT> = {}): Promise<SpfResult['result']> =>
  (await spfOver(records).check({ ...CLIENT, ...client }, never)).result;

const includes = (count: number): FakeRecords => ({
  'TXT example.org': [`v=spf1 ${Array.from({ length: count }, (_, at) => `include:i${at}.test`).join(' ')} +all`],
  ...Object.fromEntries(Array.from({ length: count }, (_, at) => [`TXT i${at}.test`, ['v=spf1 ip4:203.0.113.1 ?all']])),
});

describe('results', () => {
  const cases: [name: string, records: FakeRecords, expected: SpfResult['result']][] = [
    ['an address that is listed', { 'TXT example.org': ['v=spf1 ip4:192.0.2.0/24 -all'] }, 'pass'],
    ['one that is not', { 'TXT example.org': ['v=spf1 ip4:203.0.113.0/24 -all'] }, 'fail'],
    ['one that is not, softly', { 'TXT example.org': ['v=spf1 ~all'] }, 'softfail'],
    ['nothing said of it', { 'TXT example.org': ['v=spf1 ip4:203.0.113.1'] }, 'neutral'],
    ['no record', { 'TXT example.org': ['some other text'] }, 'none'],
    ['no such domain', {}, 'none'],
    ['two records', { 'TXT example.org': ['v=spf1 -all', 'v=spf1 +all'] }, 'permerror'],
    ['a record with a fault', { 'TXT example.org': ['v=spf1 ipv4:192.0.2.7 -all'] }, 'permerror'],
    ['DNS that fails', { 'TXT example.org': 'servfail' }, 'temperror'],
    ['DNS that is silent', { 'TXT example.org': 'timeout' }, 'temperror'],
    ['DNS that answers too much', { 'TXT example.org': 'limit' }, 'temperror'],
    ['a record that includes itself', { 'TXT example.org': ['v=spf1 include:example.org -all'] }, 'permerror'],
    ['ten terms', includes(10), 'pass'],
    ['eleven terms', includes(11), 'permerror'],
    ['three void terms', { 'TXT example.org': ['v=spf1 a:a.test a:b.test a:c.test +all'] }, 'permerror'],
    [
      'its MX',
      {
        'TXT example.org': ['v=spf1 mx -all'],
        'MX example.org': [{ preference: 10, exchange: 'mx.example.org' }],
        'A mx.example.org': ['192.0.2.7'],
      },
      'pass',
    ],
    [
      'MXes without end',
      {
        'TXT example.org': ['v=spf1 mx -all'],
        'MX example.org': Array.from({ length: 40 }, (_, at) => ({ preference: at, exchange: `mx${at}.test` })),
      },
      'permerror',
    ],
    [
      'its name, checked both ways',
      {
        'TXT example.org': ['v=spf1 ptr -all'],
        'PTR 7.2.0.192.in-addr.arpa': ['mail.example.org'],
        'A mail.example.org': ['192.0.2.7'],
      },
      'pass',
    ],
  ];
  for (const [name, records, expected] of cases)
    test(`${name}: ${expected}`, async () => assert.equal(await resultOf(records), expected));

  test('IPv6, and a mapped IPv4 address', async () => {
    const records = { 'TXT example.org': ['v=spf1 ip6:2001:db8::/32 ip4:192.0.2.7 -all'] };
    assert.equal(await resultOf(records, { address: '2001:db8::7' }), 'pass');
    assert.equal(await resultOf(records, { address: '::ffff:192.0.2.7' }), 'pass');
    assert.equal(await resultOf(records, { address: '2001:db9::7' }), 'fail');
  });

  test('the null sender is judged by EHLO, and by an address literal not at all', async () => {
    const spf = spfOver({ 'TXT mail.example.org': ['v=spf1 +all'] });
    const result = await spf.check({ ...CLIENT, sender: '' }, never);
    assert.deepEqual(result, { result: 'pass', identity: 'helo', domain: 'mail.example.org' });
    assert.equal((await spf.check({ ...CLIENT, sender: '', helo: '[192.0.2.7]' }, never)).result, 'none');
  });
});

describe('bounds', () => {
  test('no evaluation asks more than its budget', async () => {
    const exchanges = Array.from({ length: 10 }, (_, at) => ({ preference: at, exchange: `h${at}.test` }));
    const records: FakeRecords = {
      'TXT example.org': [`v=spf1 ${'mx:many.test '.repeat(9)}-all`],
      'MX many.test': exchanges,
    };
    for (const { exchange } of exchanges) records[`A ${exchange}`] = ['203.0.113.1'];
    for (let at = 0; at < 9; at++) {
      records[`MX m${at}.test`] = exchanges.map((each) => ({ ...each, exchange: `m${at}${each.exchange}` }));
      for (const { exchange } of exchanges) records[`A m${at}${exchange}`] = ['203.0.113.1'];
    }
    const terms = Array.from({ length: 9 }, (_, at) => `mx:m${at}.test`).join(' ');
    const dns = new FakeDns({ ...records, 'TXT example.org': [`v=spf1 ${terms} -all`] });
    const result = await new Spf(dns, 'mx.example.com').check(CLIENT, never);
    assert.equal(result.result, 'temperror');
    assert.equal(dns.asked.length, 50);
  });

  test('a server that never answers ends with the signal', async () => {
    const dns = new FakeDns({});
    dns.gate = new Promise(() => undefined);
    const controller = new AbortController();
    const result = new Spf(dns, 'mx.example.com').check(CLIENT, () => controller.signal);
    controller.abort();
    assert.equal((await result).result, 'temperror');
  });
});

describe('what is remembered', () => {
  test('the same client and domain: at once, whoever sends', async () => {
    const dns = new FakeDns({ 'TXT example.org': ['v=spf1 ip4:192.0.2.7 -all'] });
    const spf = new Spf(dns, 'mx.example.com');
    await spf.check(CLIENT, never);
    const again = spf.check({ ...CLIENT, sender: 'bob@Example.org' }, () => assert.fail('nothing is waited for'));
    assert.ok(!(again instanceof Promise));
    assert.equal(again.result, 'pass');
    assert.equal(dns.asked.length, 1);
    const other = spf.check({ ...CLIENT, address: '192.0.2.8' }, never);
    assert.equal((await other).result, 'fail');
  });

  test('not a record that may say something else of the next sender', async () => {
    const dns = new FakeDns({
      'TXT example.org': ['v=spf1 exists:%{l}.users.test -all'],
      'A alice.users.test': ['127.0.0.2'],
    });
    const spf = new Spf(dns, 'mx.example.com');
    assert.equal((await spf.check(CLIENT, never)).result, 'pass');
    assert.equal((await spf.check({ ...CLIENT, sender: 'bob@example.org' }, never)).result, 'fail');
  });

  test('no failure', async () => {
    const records: FakeRecords = { 'TXT example.org': 'servfail' };
    const spf = spfOver(records);
    await spf.check(CLIENT, never);
    records['TXT example.org'] = ['v=spf1 +all'];
    assert.equal((await spf.check(CLIENT, never)).result, 'pass');
  });
});
