/** DNS lists, reverse names and HELO, against a scripted resolver. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dnsListsSection } from '../../../src/config/policy/dns_lists.ts';
import { dnsListSources, judgeAnswer, reversed } from '../../../src/facts/dns_lists.ts';
import { heloFaults, heloSource } from '../../../src/facts/helo.ts';
import { reverseNameSource } from '../../../src/facts/reverse_name.ts';
import type { Answer, Source } from '../../../src/facts/source.ts';
import type { Dns } from '../../../src/net/dns.ts';
import { createDns } from '../../../src/net/dns.ts';
import type { ScriptedDns } from '../../support/dns_server.ts';
import { servfail, startScriptedDns } from '../../support/dns_server.ts';
import { subject } from './subject.ts';

const NIBBLES = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.4.0.1.0.0.2';
const ZONE = {
  '9.1.1.192.bl.test': { A: ['127.0.0.4'] },
  '9.1.1.192.second.test': { A: ['127.0.0.2', '127.0.0.9'] },
  '9.1.1.192.wl.test': { A: ['127.0.5.1'] },
  '9.1.1.192.refusing.test': { A: ['127.255.255.254'] },
  '9.1.1.192.hijacked.test': { A: ['198.51.100.1', '127.0.0.2'] },
  [`${NIBBLES}.bl.test`]: { A: ['127.0.0.2'] },
  'bad.example.dbl.test': { A: ['127.0.1.2'] },
  '9.1.1.192.in-addr.arpa': { PTR: ['liar.test', 'mx.test'] },
  '10.1.1.192.in-addr.arpa': { PTR: ['liar.test'] },
  [`${NIBBLES}.ip6.arpa`]: { PTR: ['six.test'] },
  'six.test': { AAAA: ['2001:470::1'] },
  'mx.test': { A: ['192.1.1.7', '192.1.1.9'] },
  'liar.test': { A: ['192.1.1.1'] },
};

let server: ScriptedDns;
let dns: Dns;

before(async () => {
  server = await startScriptedDns({ zone: ZONE });
  dns = createDns({ servers: [{ host: server.host, port: server.port }], timeoutMsMax: 20_000 });
});
after(() => server.close());

const ask = async (source: Source, about = {}): Promise<Answer> =>
  source.ask(subject({ address: '192.1.1.9', ...about }), new AbortController().signal);

const listSource = (...lists: readonly object[]): Source => dnsListSources(dns, dnsListsSection.parse(lists))[0]!;

test('an address as lists are asked for it', () => {
  assert.equal(reversed('192.0.2.99'), '99.2.0.192');
  assert.equal(reversed('2001:470::1'), NIBBLES);
  assert.equal(reversed('::ffff:192.0.2.99'), '99.2.0.192');
  assert.equal(reversed('nonsense'), null);
});

test('weights of block lists and of welcome lists are added up, apart', async () => {
  const lists = [
    { zone: 'bl.test', weight: 3 },
    { zone: 'second.test', weight: 2.5 },
    { zone: 'wl.test', weight: -4 },
    { zone: 'clean.test', weight: 10 },
  ];
  assert.deepEqual(await ask(listSource(...lists)), {
    facts: { 'dnsbl.score': 5.5, 'dnswl.score': 4, listed: ['bl.test', 'second.test', 'wl.test'] },
  });
  const six = await ask(listSource(...lists), { address: '2001:470::1' });
  assert.deepEqual(six.facts.listed, ['bl.test']);
});

test('a list that refuses us, a resolver that lies, and one that fails are trouble, and nobody is listed', async () => {
  const refusing = await ask(listSource({ zone: 'refusing.test', weight: 5 }, { zone: 'hijacked.test', weight: 5 }));
  assert.deepEqual(refusing.facts, { 'dnsbl.score': 0, 'dnswl.score': 0, listed: [] });
  assert.equal(
    refusing.trouble,
    'refusing.test: it refuses us (127.255.255.254); hijacked.test: not a code: 198.51.100.1',
  );
  server.next(servfail);
  const failing = await ask(listSource({ zone: 'failing.test', weight: 5 }));
  assert.deepEqual(failing.facts, { 'dnsbl.score': 0, 'dnswl.score': 0, listed: [] });
  assert.equal(failing.trouble, 'failing.test: servfail');
});

test('return codes that count: alternatives, ranges, bits', () => {
  const listed = (list: object, ...records: readonly string[]): boolean => {
    const [parsed] = dnsListsSection.parse([{ zone: 'x.test', weight: 1, ...list }]);
    return judgeAnswer(parsed!, { tag: 'records', records, authentic: false, ttlSeconds: 1 }).listed;
  };
  const codes = { codes: ['127.0.0.[2;4;10-11]', '127.1.0.1'] };
  for (const yes of ['127.0.0.2', '127.0.0.4', '127.0.0.10', '127.0.0.11', '127.1.0.1'])
    assert.ok(listed(codes, yes), yes);
  for (const no of ['127.0.0.3', '127.0.0.12', '127.0.1.2', '127.1.0.2']) assert.ok(!listed(codes, no), no);
  assert.ok(listed(codes, '127.0.0.3', '127.0.0.4'));
  assert.ok(listed({ bits: 6 }, '127.0.0.2') && listed({ bits: 6 }, '127.0.0.12'));
  assert.ok(!listed({ bits: 6 }, '127.0.0.8') && listed({ bits: 256 }, '127.0.1.0'));
  for (const code of ['127.0.0', '10.0.0.1', '127.0.0.[4-2]', '127.0.0.256', '127.0.0.[]', '127.0.0.2;3'])
    assert.ok(!dnsListsSection.safeParse([{ zone: 'x.test', weight: 1, codes: [code] }]).success, code);
});

test('domains of the sender and of HELO have lists of their own', async () => {
  const lists = dnsListsSection.parse([
    { zone: 'dbl.test', weight: 4, of: 'sender' },
    { zone: 'dbl.test', weight: 1, of: 'helo' },
  ]);
  const [helo, sender] = dnsListSources(dns, lists);
  assert.deepEqual([helo!.stage, sender!.stage], ['helo', 'mail']);
  const bad = { local: 'x', domain: 'bad.example' };
  assert.equal((await ask(sender!, { sender: bad })).facts['dnsbl.score'], 4);
  assert.equal((await ask(helo!, { helo: 'BAD.example' })).facts['dnsbl.score'], 1);
  const asked = server.queries.length;
  for (const about of [{ sender: null }, { sender: { local: 'x', domain: '[192.0.2.1]' } }, { side: 'inside' }])
    assert.deepEqual(await ask(sender!, about), { facts: {} });
  for (const name of ['192.0.2.1', '[192.0.2.1]', '2001:db8::192.0.2.1', 'localhost'])
    assert.deepEqual(await ask(helo!, { helo: name }), { facts: {} }, name);
  assert.equal(server.queries.length, asked, 'nobody is asked about what no list can know');
});

test('lists are not asked about private addresses, nor about inside clients', async () => {
  const asked = server.queries.length;
  const source = listSource({ zone: 'bl.test', weight: 5 });
  assert.deepEqual(await ask(source, { address: '10.0.0.1' }), { facts: {} });
  assert.deepEqual(await ask(source, { side: 'inside' }), { facts: {} });
  assert.equal(server.queries.length, asked);
});

test('a reverse name counts when it leads back', async () => {
  const source = reverseNameSource(dns);
  const facts = async (address: string) => (await ask(source, { address })).facts;
  assert.deepEqual(await facts('192.1.1.9'), { 'client.name': 'mx.test', 'client.confirmed': true });
  assert.deepEqual(await facts('192.1.1.10'), { 'client.name': 'liar.test', 'client.confirmed': false });
  assert.deepEqual(await facts('192.1.1.11'), { 'client.confirmed': false });
  assert.deepEqual(await facts('2001:470::1'), { 'client.name': 'six.test', 'client.confirmed': true });
  server.next(servfail);
  assert.deepEqual(await ask(source, { address: '192.1.1.12' }), { facts: {}, trouble: 'PTR: servfail' });
});

test('what is wrong with a HELO', () => {
  const own = new Set(['relay.example', '.corp.example']);
  const local = { domains: new Set(['ours.example']), subdomains: false };
  const faults = (helo: string, about = {}) =>
    heloFaults(subject({ address: '192.0.2.9', helo, ...about }), own, local);
  for (const helo of ['mx.example.org', 'MX.example.org.', '[192.0.2.9]']) assert.deepEqual(faults(helo), [], helo);
  assert.deepEqual(faults('[IPv6:2001:db8:0::1]', { address: '2001:db8::1' }), []);
  for (const helo of ['localhost', 'a b', 'mx_.-', '', '[300.1.1.1]'])
    assert.deepEqual(faults(helo), ['not-a-name'], helo);
  for (const helo of ['192.0.2.9', '2001:db8::1']) assert.deepEqual(faults(helo), ['bare-address'], helo);
  for (const helo of ['Relay.example', 'ours.example', 'a.corp.example'])
    assert.deepEqual(faults(helo), ['our-name'], helo);
  assert.deepEqual(faults('ours.example', { side: 'inside' }), []);
  for (const helo of ['[192.0.2.10]', '[IPv6:2001:db8::1]'])
    assert.deepEqual(faults(helo), ['address-of-another'], helo);
});

test('a HELO name is looked up only where that is asked for', async () => {
  const base = { names: [], local: { domains: new Set<string>(), subdomains: false }, ours: [] };
  const asked = server.queries.length;
  assert.deepEqual(await ask(heloSource(dns, { ...base, resolve: false }), { helo: 'gone.test' }), {
    facts: { 'helo.faults': [] },
  });
  assert.equal(server.queries.length, asked);
  const source = heloSource(dns, { ...base, resolve: true });
  assert.deepEqual((await ask(source, { helo: 'gone.test' })).facts, { 'helo.faults': ['unknown'] });
  assert.deepEqual((await ask(source, { helo: 'six.test' })).facts, { 'helo.faults': [] });
});
