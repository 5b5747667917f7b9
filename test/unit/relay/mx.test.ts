/** From domain to hosts (RFC 5321 §5.1, RFC 7505), with a DNS that is a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Dns, DnsAnswer, DnsFailure, DnsType } from '../../../src/net/dns.ts';
import type { MxResult, MxSettings } from '../../../src/relay/mx.ts';
import { lookUpAddresses, resolveHosts } from '../../../src/relay/mx.ts';

/** `MX name` → `10 host`, …; `A name` → addresses; `!reason` is a failure. What is not there does not exist. */
type Table = Readonly<Record<string, readonly string[]>>;

class TableDns implements Dns {
  readonly asked: string[] = [];
  readonly #table: Table;
  readonly #authentic: boolean;

  constructor(table: Table, authentic = false) {
    this.#table = table;
    this.#authentic = authentic;
  }

  async query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<T>> {
    this.asked.push(`${type} ${name}`);
    return this.#answer(name, type) as DnsAnswer<T>;
  }

  #answer(name: string, type: DnsType): DnsAnswer {
    const common = { authentic: this.#authentic, ttlSeconds: 60 };
    const row = this.#table[`${type} ${name}`];
    if (row?.[0]?.startsWith('!')) return { tag: 'failed', reason: row[0].slice(1) as DnsFailure };
    if (row !== undefined) return { tag: 'records', records: row.map((text) => recordOf(type, text)), ...common };
    const exists = Object.keys(this.#table).some((key) => key.endsWith(` ${name}`));
    return { tag: 'none', why: exists ? 'nodata' : 'nxdomain', ...common };
  }
}

function recordOf(type: DnsType, text: string) {
  if (type !== 'MX') return text;
  const [preference, exchange] = text.split(' ');
  return { preference: Number(preference), exchange: exchange ?? '' };
}

const SETTINGS: MxSettings = { hostname: 'relay.example.org', ownAddresses: ['198.51.100.25'], allowPrivate: false };

/** As if the dice always fell low: an order that is not the sorted one, and always the same. */
const LOW = () => 0;

const resolve = (domain: string, table: Table, settings: Partial<MxSettings> = {}) =>
  resolveHosts(new TableDns(table), domain, { ...SETTINGS, ...settings }, LOW);

const names = (result: MxResult) => (result.tag === 'hosts' ? result.hosts.map((host) => host.name) : result);
const addresses = (result: MxResult) =>
  result.tag === 'hosts' ? result.hosts.flatMap((host) => host.addresses) : result;

function assertFailed(result: MxResult, permanent: boolean, enhanced: string, words: RegExp): void {
  assert.equal(result.tag, 'failed');
  if (result.tag !== 'failed') return;
  assert.deepEqual([result.permanent, result.enhanced], [permanent, enhanced], result.detail);
  assert.match(result.detail, words);
}

const TWO_HOSTS: Table = {
  'MX example.com': ['20 mx2.example.com', '10 mx1.example.com'],
  'A mx1.example.com': ['8.8.1.1'],
  'A mx2.example.com': ['8.8.2.2'],
};

test('hosts come by preference', async () => {
  const result = await resolve('Example.COM', TWO_HOSTS);
  assert.deepEqual(result, {
    tag: 'hosts',
    site: 'mx1.example.com,mx2.example.com',
    hosts: [
      { name: 'mx1.example.com', preference: 10, addresses: ['8.8.1.1'], authentic: false },
      { name: 'mx2.example.com', preference: 20, addresses: ['8.8.2.2'], authentic: false },
    ],
    authentic: false,
  });
});

test('equal preferences are shuffled anew each time, within their preference; the site stays', async () => {
  const table: Table = {
    'MX example.com': ['10 a.com', '10 b.com', '10 c.com', '5 first.com', '20 last.com'],
    ...Object.fromEntries(['a', 'b', 'c', 'first', 'last'].map((name) => [`A ${name}.com`, ['8.8.8.8']])),
  };
  const orders = new Set<string>();
  for (let n = 0; n < 200; n++) {
    const result = await resolveHosts(new TableDns(table), 'example.com', SETTINGS);
    const order = names(result) as string[];
    assert.deepEqual([order[0], order[4]], ['first.com', 'last.com']);
    assert.equal(result.tag === 'hosts' && result.site, 'a.com,b.com,c.com,first.com,last.com');
    orders.add(order.join());
  }
  assert.equal(orders.size, 6, 'all orders of three occur in 200 draws');
});

test('domains with the same hosts are one site', async () => {
  const table = { ...TWO_HOSTS, 'MX other.com': ['1 mx2.example.com', '2 mx1.example.com'] };
  const [one, other] = [await resolve('example.com', table), await resolve('other.com', table)];
  assert.equal(one.tag === 'hosts' && one.site, other.tag === 'hosts' && other.site);
});

test('a domain without MX is its own host', async () => {
  const result = await resolve('example.com', { 'A example.com': ['8.8.1.1'], 'AAAA example.com': ['2a00::1'] });
  assert.deepEqual(addresses(result), ['8.8.1.1', '2a00::1']);
  assert.equal(result.tag === 'hosts' && result.site, 'example.com');
});

test('the address of a domain that has an MX is not tried', async () => {
  const table = { 'MX example.com': ['10 gone.example.com'], 'A example.com': ['8.8.1.1'] };
  assertFailed(await resolve('example.com', table), true, '5.4.4', /no address/);
});

test('a null MX refuses all mail (RFC 7505)', async () => {
  const table = { 'MX example.com': ['0 '], 'A example.com': ['8.8.1.1'] };
  assertFailed(await resolve('example.com', table), true, '5.1.10', /null MX/);
});

test('a root among other hosts is ignored', async () => {
  const table = { ...TWO_HOSTS, 'MX example.com': ['0 ', '10 mx1.example.com'] };
  assert.deepEqual(names(await resolve('example.com', table)), ['mx1.example.com']);
});

test('a domain that does not exist fails for good, one without any address, too', async () => {
  assertFailed(await resolve('example.com', {}), true, '5.1.2', /does not exist/);
  assertFailed(await resolve('example.com', { 'TXT example.com': ['x'] }), true, '5.4.4', /no address/);
});

test('what DNS cannot say now is asked again later', async () => {
  for (const reason of ['timeout', 'servfail', 'refused', 'unreachable', 'malformed', 'loop', 'limit']) {
    const mx = { 'MX example.com': [`!${reason}`], 'A example.com': ['8.8.8.8'] };
    assertFailed(await resolve('example.com', mx), false, '4.4.3', new RegExp(reason));
    const host = { 'MX example.com': ['10 mx.com'], 'A mx.com': [`!${reason}`] };
    assertFailed(await resolve('example.com', host), false, '4.4.3', new RegExp(reason));
  }
});

test('a family that fails does not hide the other, nor a host the next', async () => {
  const half = { 'MX example.com': ['10 mx.com'], 'A mx.com': ['!timeout'], 'AAAA mx.com': ['2a00::1'] };
  assert.deepEqual(addresses(await resolve('example.com', half)), ['2a00::1']);
  const table = { ...TWO_HOSTS, 'A mx1.example.com': ['!servfail'] };
  assert.deepEqual(names(await resolve('example.com', table)), ['mx2.example.com']);
});

test('all look-ups of addresses are under way at once', async () => {
  const dns = new TableDns(TWO_HOSTS);
  await resolveHosts(dns, 'example.com', SETTINGS);
  assert.deepEqual(dns.asked, [
    'MX example.com',
    ...['A mx1.example.com', 'AAAA mx1.example.com', 'A mx2.example.com', 'AAAA mx2.example.com'],
  ]);
});

test('families take turns, IPv4 first, and there are four addresses at most', async () => {
  const table = {
    'A example.com': ['8.8.1.1', '8.8.1.2', '8.8.1.3', '8.8.1.4', '8.8.1.5'],
    'AAAA example.com': ['2a00::1', '2a00::2', '2a00::3'],
  };
  assert.deepEqual(addresses(await resolve('example.com', table)), ['8.8.1.1', '2a00::1', '8.8.1.2', '2a00::2']);
});

test('an address written as a name is no host', async () => {
  const table = { ...TWO_HOSTS, 'MX example.com': ['5 192.0.2.1', '6 2001:db8::1', '10 mx1.example.com'] };
  assert.deepEqual(names(await resolve('example.com', table)), ['mx1.example.com']);
  const only = await resolve('example.com', { 'MX example.com': ['5 8.8.8.8'] });
  assertFailed(only, true, '5.4.4', /no host/);
});

test('names of hosts that would be trouble in logs or TLS are ignored', async () => {
  const bad = ['10 a\nb.com', '10 <script>.com', '10 ..', '10 -', '10 a/b', '10 \ufffd.com'];
  const table = { ...TWO_HOSTS, 'MX example.com': [...bad, '20 mx1.example.com'] };
  assert.deepEqual(names(await resolve('example.com', table)), ['mx1.example.com']);
});

test('a host named twice counts once, at its best preference', async () => {
  const listed = ['30 mx1.example.com', '20 mx2.example.com', '10 mx1.example.com'];
  for (const records of [listed, listed.toReversed()]) {
    const result = await resolve('example.com', { ...TWO_HOSTS, 'MX example.com': records });
    assert.deepEqual(names(result), ['mx1.example.com', 'mx2.example.com']);
  }
});

test('twenty hosts are enough, and which twenty is not left to chance', async () => {
  const hosts = Array.from({ length: 60 }, (_, at) => `h${String(at).padStart(2, '0')}.com`);
  const table: Table = {
    'MX example.com': hosts.toReversed().map((host) => `10 ${host}`),
    ...Object.fromEntries(hosts.map((host) => [`A ${host}`, ['8.8.8.8']])),
  };
  const expected = hosts.slice(0, LIMITS.mxHostsMax).join();
  for (let n = 0; n < 5; n++) {
    const result = await resolveHosts(new TableDns(table), 'example.com', SETTINGS);
    assert.equal(result.tag === 'hosts' && result.site, expected);
  }
});

test('of hosts, only those preferred to us take mail from us (RFC 5321 §5.1)', async () => {
  const table: Table = {
    'MX example.com': [
      '10 mx1.example.com',
      '20 Relay.Example.Org'.toLowerCase(),
      '20 mx2.example.com',
      '30 mx3.example.com',
    ],
    'A mx1.example.com': ['8.8.1.1'],
    'A relay.example.org': ['8.8.4.4'],
    'A mx2.example.com': ['8.8.2.2'],
    'A mx3.example.com': ['8.8.3.3'],
  };
  assert.deepEqual(names(await resolve('example.com', table)), ['mx1.example.com']);
});

test('we are known by our addresses, too, and where we come first it is a loop', async () => {
  const table = { ...TWO_HOSTS, 'A mx1.example.com': ['8.8.1.1', '198.51.100.25'] };
  assertFailed(await resolve('example.com', table), true, '5.4.6', /come back/);
  assertFailed(await resolve('[198.51.100.25]', {}), true, '5.4.6', /come back/);
  const mapped = { ownAddresses: ['::ffff:8.8.1.1'] };
  assertFailed(await resolve('example.com', TWO_HOSTS, mapped), true, '5.4.6', /come back/);
});

test('a listener on loopback makes no other server on loopback ours', async () => {
  const settings = { ownAddresses: ['127.0.0.1'], allowPrivate: true };
  const result = await resolve('example.com', { 'A example.com': ['127.0.0.1'] }, settings);
  assert.deepEqual(addresses(result), ['127.0.0.1']);
});

test('private addresses are refused, and other ones of the same host are not', async () => {
  const table = {
    ...TWO_HOSTS,
    'A mx1.example.com': ['10.0.0.5', '127.0.0.1', '8.8.1.1'],
    'A mx2.example.com': ['192.168.0.1'],
  };
  assert.deepEqual(addresses(await resolve('example.com', table)), ['8.8.1.1']);
  assert.deepEqual(addresses(await resolve('example.com', table, { allowPrivate: true })), [
    ...['10.0.0.5', '127.0.0.1', '8.8.1.1', '192.168.0.1'],
  ]);
  const all = { 'AAAA example.com': ['::ffff:127.0.0.1', 'fd00::1'] };
  assertFailed(await resolve('example.com', all), true, '5.4.4', /private/);
});

test('a private address does not make a failed look-up permanent', async () => {
  const table = { ...TWO_HOSTS, 'A mx1.example.com': ['10.0.0.5'], 'A mx2.example.com': ['!timeout'] };
  assertFailed(await resolve('example.com', table), false, '4.4.3', /timeout/);
});

test('an address literal is its own host, and DNS is not asked', async () => {
  const dns = new TableDns({});
  const v4 = await resolveHosts(dns, '[8.8.8.8]', SETTINGS);
  assert.deepEqual(v4, {
    tag: 'hosts',
    site: '8.8.8.8',
    hosts: [{ name: '8.8.8.8', preference: 0, addresses: ['8.8.8.8'], authentic: false }],
    authentic: false,
  });
  const v6 = await resolveHosts(dns, '[IPv6:2A00:0:0::1]', SETTINGS);
  assert.deepEqual(addresses(v6), ['2a00::1']);
  const mapped = await resolveHosts(dns, '[IPv6:::ffff:10.0.0.1]', SETTINGS);
  assertFailed(mapped, true, '5.4.4', /private/);
  assertFailed(await resolveHosts(dns, '[127.0.0.1]', SETTINGS), true, '5.4.4', /private/);
  assertFailed(
    await resolveHosts(dns, '[IPv6:nonsense]', { ...SETTINGS, allowPrivate: true }),
    true,
    '5.1.2',
    /literal/,
  );
  assert.deepEqual(dns.asked, []);
});

test('AD is passed on, for the names of the hosts and for their addresses', async () => {
  const signed = await resolveHosts(new TableDns(TWO_HOSTS, true), 'example.com', SETTINGS);
  assert.ok(signed.tag === 'hosts' && signed.authentic && signed.hosts.every((host) => host.authentic));
});

test('a configured host is a name or an address, private or not', async () => {
  const dns = new TableDns({ 'A inside.corp': ['10.0.0.5'], 'AAAA inside.corp': ['fd00::5'] });
  assert.deepEqual(await lookUpAddresses(dns, 'Inside.corp'), ['10.0.0.5', 'fd00::5']);
  assert.deepEqual(await lookUpAddresses(dns, '::FFFF:10.0.0.6'), ['10.0.0.6']);
  assert.deepEqual(await lookUpAddresses(dns, '10.0.0.7'), ['10.0.0.7']);
  assert.deepEqual(await lookUpAddresses(dns, 'gone.corp'), []);
});
