/**
 * Our DNS client against a real resolver: unbound on loopback, with data of its own (near.test), and with the server of
 * test/support as the authority of far.test and signed.test, so that recursion, failures and validation are unbound's.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Answer } from 'dns-packet';
import { dnsListsSection } from '../../src/config/policy/dns_lists.ts';
import { dnsListSources } from '../../src/facts/dns_lists.ts';
import { reverseNameSource } from '../../src/facts/reverse_name.ts';
import type { Subject } from '../../src/facts/source.ts';
import { Spf } from '../../src/facts/spf.ts';
import type { Dns } from '../../src/net/dns.ts';
import { createDns } from '../../src/net/dns.ts';
import { resolveHosts } from '../../src/relay/mx.ts';
import type { Daemon } from '../support/daemons.ts';
import { startDaemon } from '../support/daemons.ts';
import type { Exchange, ScriptedDns } from '../support/dns_server.ts';
import { RCODE, replyTo, startScriptedDns } from '../support/dns_server.ts';
import { makeZoneSigner } from '../support/dnssec.ts';
import { temporaryFolder } from '../support/folders.ts';
import { INTEROP_SKIPPED } from '../support/programs.ts';
import { authenticate, dkimOf, ED25519, HEADER, RSA, signed } from '../unit/facts/mail.ts';

const skip = INTEROP_SKIPPED;
const TIMEOUT = { skip, timeout: 30_000 } as const;

/** 3,000 bytes: more than 1,232 over UDP. */
const LONG = Array.from({ length: 12 }, (_, at) => String.fromCharCode(97 + at).repeat(250));

/** In character-strings of 255 bytes at most, as a long key needs them. */
const quotedTexts = (text: string): string =>
  (text.match(/.{1,255}/g) ?? []).map((part) => `"${part.replaceAll(';', '\\;')}"`).join(' ');

const LOCAL_DATA = [
  'near.test. 300 MX 10 mx1.near.test.',
  'near.test. 300 MX 20 MX2.Near.Test.',
  'near.test. 300 TXT "v=spf1 -all"',
  `long.near.test. 300 TXT ${LONG.map((part) => `"${part}"`).join(' ')}`,
  'mx1.near.test. 300 A 192.0.2.1',
  'mx1.near.test. 300 AAAA 2001:db8::1',
  'mx2.near.test. 300 A 192.0.2.2',
  'null.near.test. 300 MX 0 .',
  `_25._tcp.mx1.near.test. 300 TLSA 3 1 1 ${'ab'.repeat(32)}`,
  '1.2.0.192.in-addr.arpa. 300 PTR mx1.near.test.',
  '9.1.1.192.bl.near.test. 300 A 127.0.0.2',
  '9.1.1.192.bl.near.test. 300 A 127.0.0.10',
  '9.1.1.192.wl.near.test. 300 A 127.0.5.1',
  '9.1.1.192.public.near.test. 300 A 127.255.255.254',
  'bad.example.dbl.near.test. 300 A 127.0.1.2',
  'mail.near.test. 300 TXT "v=spf1 include:spf.mail.near.test -all"',
  'spf.mail.near.test. 300 TXT "v=spf1 a:mx1.near.test ip4:198.51.100.0/24 ?all"',
  'loop.near.test. 300 TXT "v=spf1 include:loop.near.test -all"',
  `rsa._domainkey.mail.near.test. 300 TXT ${quotedTexts(RSA.record)}`,
  `ed._domainkey.mail.near.test. 300 TXT ${quotedTexts(ED25519.record)}`,
  '_dmarc.mail.near.test. 300 TXT "v=DMARC1; p=reject; adkim=s"',
];

const signer = makeZoneSigner('signed.test');

const configuration = (folder: string, port: number, farPort: number): string => `
server:
  directory: "${folder}"
  interface: 127.0.0.1
  port: ${port}
  username: ""
  chroot: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  num-threads: 1
  do-ip6: no
  rrset-roundrobin: no
  module-config: "validator iterator"
  trust-anchor: "${signer.trustAnchor}"
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  local-zone: "test." nodefault
  local-zone: "near.test." static
  local-zone: "2.0.192.in-addr.arpa." static
${LOCAL_DATA.map((line) => `  local-data: '${line}'`).join('\n')}
stub-zone:
  name: "far.test"
  stub-addr: 127.0.0.1@${farPort}
stub-zone:
  name: "signed.test"
  stub-addr: 127.0.0.1@${farPort}
remote-control:
  control-enable: no
`;

let far: ScriptedDns;
let unbound: Daemon;
let dns: Dns;

before(async () => {
  if (skip !== false) return;
  const zone = {
    'far.test': { MX: [{ preference: 5, exchange: 'alias.far.test' }] },
    'alias.far.test': { CNAME: 'host.far.test' },
    'host.far.test': { A: ['192.0.2.7'] },
    'broken.far.test': { A: ['192.0.2.8'] },
    'signed.test': { MX: [{ preference: 5, exchange: 'mx.signed.test' }] },
    'mx.signed.test': { A: ['192.0.2.9'] },
    'forged.signed.test': { A: ['192.0.2.10'] },
  };
  far = await startScriptedDns({ zone });
  far.always(authority);
  const folder = temporaryFolder('unbound');
  const file = join(folder, 'unbound.conf');
  unbound = await startDaemon({
    name: 'unbound',
    prepare: (port) => {
      writeFileSync(file, configuration(folder, port, far.port));
      return ['-d', '-c', file];
    },
  });
  dns = createDns({ servers: [{ host: '127.0.0.1', port: unbound.port }], timeoutMsMax: 20_000 });
});

after(async () => {
  if (skip !== false) return;
  await unbound?.stop();
  await far?.close();
});

/** Refuses one name, signs a zone, and lies in it about another. */
function authority({ name, type, query, honest, reply }: Exchange): void {
  if (name === 'broken.far.test') return reply(replyTo(query, RCODE.refused));
  if (!name.endsWith('signed.test')) return reply(honest);
  if (type === 'DNSKEY') return reply(signer.signed(replyTo(query, RCODE.noerror, [signer.key])));
  const signed = signer.signed(honest);
  if (name !== 'forged.signed.test') return reply(signed);
  const lie = (answer: Answer): Answer => (answer.type === 'A' ? { ...answer, data: '203.0.113.66' } : answer);
  reply({ ...signed, answers: (signed.answers ?? []).map(lie) });
}

const records = (answer: Awaited<ReturnType<Dns['query']>>) => (answer.tag === 'records' ? answer.records : answer);

test('records of every type', TIMEOUT, async () => {
  assert.deepEqual(records(await dns.query('near.test', 'MX')), [
    { preference: 10, exchange: 'mx1.near.test' },
    { preference: 20, exchange: 'mx2.near.test' },
  ]);
  assert.deepEqual(records(await dns.query('MX1.near.test', 'A')), ['192.0.2.1']);
  assert.deepEqual(records(await dns.query('mx1.near.test', 'AAAA')), ['2001:db8::1']);
  assert.deepEqual(records(await dns.query('near.test', 'TXT')), ['v=spf1 -all']);
  assert.deepEqual(records(await dns.query('null.near.test', 'MX')), [{ preference: 0, exchange: '' }]);
  assert.deepEqual(records(await dns.query('1.2.0.192.in-addr.arpa', 'PTR')), ['mx1.near.test']);
  assert.deepEqual(records(await dns.query('_25._tcp.mx1.near.test', 'TLSA')), [
    { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 0xab) },
  ]);
});

test('a text that does not fit into UDP arrives over TCP', TIMEOUT, async () => {
  assert.deepEqual(records(await dns.query('long.near.test', 'TXT')), [LONG.join('')]);
});

test('no such name, and no such record', TIMEOUT, async () => {
  const gone = await dns.query('gone.near.test', 'A');
  assert.equal(gone.tag === 'none' && gone.why, 'nxdomain');
  const empty = await dns.query('mx2.near.test', 'AAAA');
  assert.equal(empty.tag === 'none' && empty.why, 'nodata');
  const far = await dns.query('gone.far.test', 'A');
  assert.equal(far.tag === 'none' && far.why, 'nxdomain');
});

test('CNAMEs that the resolver has followed', TIMEOUT, async () => {
  assert.deepEqual(records(await dns.query('alias.far.test', 'A')), ['192.0.2.7']);
});

test('a zone whose servers refuse is SERVFAIL', TIMEOUT, async () => {
  assert.deepEqual(await dns.query('broken.far.test', 'A'), { tag: 'failed', reason: 'servfail' });
});

test('AD is set for what unbound has validated, though we do not ask for signatures', TIMEOUT, async () => {
  const signed = await dns.query('signed.test', 'MX');
  assert.ok(signed.tag === 'records' && signed.authentic, JSON.stringify(signed));
  const plain = await dns.query('far.test', 'MX');
  assert.ok(plain.tag === 'records' && !plain.authentic, JSON.stringify(plain));
});

test('an answer that does not bear its signature is SERVFAIL', TIMEOUT, async () => {
  assert.deepEqual(await dns.query('forged.signed.test', 'A'), { tag: 'failed', reason: 'servfail' });
});

test('from domain to hosts', TIMEOUT, async () => {
  const settings = { hostname: 'relay.test', ownAddresses: [], allowPrivate: true };
  const near = await resolveHosts(dns, 'near.test', settings);
  assert.equal(near.tag, 'hosts');
  if (near.tag !== 'hosts') return;
  assert.equal(near.site, 'mx1.near.test,mx2.near.test');
  assert.deepEqual(
    near.hosts.map((host) => host.addresses),
    [['192.0.2.1', '2001:db8::1'], ['192.0.2.2']],
  );
  const far = await resolveHosts(dns, 'far.test', settings);
  assert.ok(far.tag === 'hosts' && far.hosts[0]?.addresses[0] === '192.0.2.7', 'an MX that is a CNAME is tolerated');
  const none = await resolveHosts(dns, 'null.near.test', settings);
  assert.ok(none.tag === 'failed' && none.enhanced === '5.1.10');
});

const client = (address: string): Subject => ({
  side: 'outside',
  address,
  helo: 'client.test',
  tls: false,
  sender: { local: 'x', domain: 'bad.example' },
  recipient: null,
});
const { signal } = new AbortController();

test('block and welcome lists, of addresses and of domains', TIMEOUT, async () => {
  const [address, sender] = dnsListSources(
    dns,
    dnsListsSection.parse([
      { zone: 'bl.near.test', weight: 5, codes: ['127.0.0.[10-11]'] },
      { zone: 'wl.near.test', weight: -2 },
      { zone: 'public.near.test', weight: 9 },
      { zone: 'dbl.near.test', weight: 3, of: 'sender' },
    ]),
  );
  assert.deepEqual(await address!.ask(client('192.1.1.9'), signal), {
    facts: { 'dnsbl.score': 5, 'dnswl.score': 2, listed: ['bl.near.test', 'wl.near.test'] },
    trouble: 'public.near.test: it refuses us (127.255.255.254)',
  });
  assert.deepEqual(await address!.ask(client('192.1.1.10'), signal), {
    facts: { 'dnsbl.score': 0, 'dnswl.score': 0, listed: [] },
  });
  assert.equal((await sender!.ask(client('192.1.1.10'), signal)).facts['dnsbl.score'], 3);
});

test('a name that leads back to its address', TIMEOUT, async () => {
  const reverse = await reverseNameSource(dns).ask(client('192.0.2.1'), signal);
  assert.deepEqual(reverse, { facts: { 'client.name': 'mx1.near.test', 'client.confirmed': true } });
});

test('SPF: a record that includes another, an address of a name, a policy that goes in circles', TIMEOUT, async () => {
  const spf = new Spf(dns, 'relay.test');
  const of = async (address: string, domain: string) => {
    const subject = { address, helo: 'client.test', sender: `alice@${domain}` };
    return (await spf.check(subject, () => signal)).result;
  };
  assert.equal(await of('192.0.2.1', 'mail.near.test'), 'pass');
  assert.equal(await of('198.51.100.9', 'mail.near.test'), 'pass');
  assert.equal(await of('203.0.113.9', 'mail.near.test'), 'fail');
  assert.equal(await of('192.0.2.1', 'gone.near.test'), 'none');
  assert.equal(await of('192.0.2.1', 'loop.near.test'), 'permerror');
  assert.equal(await of('192.0.2.1', 'broken.far.test'), 'temperror');
});

test('DKIM and DMARC: keys in several strings, a policy, and a byte that was changed', TIMEOUT, async () => {
  const mail = `${HEADER.replaceAll('example.org', 'mail.near.test')}Hello\r\n`;
  const spf = { result: 'none', identity: 'mailfrom', domain: 'near.test' } as const;
  for (const algorithm of ['rsa-sha256', 'ed25519-sha256'] as const) {
    const message = await signed(mail, { algorithm, domain: 'mail.near.test' });
    const honest = await authenticate(message, dns, { spf });
    assert.deepEqual([dkimOf(honest), honest.dmarc.result, honest.dmarc.policy], [['pass'], 'pass', 'reject']);
    const changed = await authenticate(message.replace('Hello', 'Jello'), dns, { spf });
    assert.deepEqual([dkimOf(changed), changed.dmarc.result], [['fail: body'], 'fail']);
  }
  const elsewhere = await authenticate(await signed(mail, { domain: 'mail.near.test', selector: 'gone' }), dns, {
    spf,
  });
  assert.deepEqual([dkimOf(elsewhere), elsewhere.dmarc.result], [['permerror: no key'], 'fail']);
});
