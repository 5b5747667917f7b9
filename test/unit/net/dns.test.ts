/** The DNS client against a real server on loopback that follows a script. Time is the test's own. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Dns, DnsType } from '../../../src/net/dns.ts';
import { createDns } from '../../../src/net/dns.ts';
import type { ScriptedDns, Zone } from '../../support/dns_server.ts';
import * as dns from '../../support/dns_server.ts';
import { ManualTimers } from '../../support/timers.ts';

const LONG_TEXT = `v=spf1 ${'ip4:192.0.2.1 '.repeat(40)}-all`;
const TLSA = { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 7) };

const ZONE: Zone = {
  'example.test': {
    MX: [
      { preference: 20, exchange: 'MX2.example.test' },
      { preference: 10, exchange: 'mx1.example.test' },
    ],
    TXT: [LONG_TEXT, 'caf\xe9'],
  },
  'mx1.example.test': { A: ['192.0.2.1', '192.0.2.2'], AAAA: ['2001:db8::1'] },
  'null.test': { MX: [{ preference: 0, exchange: '.' }] },
  '_25._tcp.mx1.example.test': { TLSA: [TLSA] },
  '1.2.0.192.in-addr.arpa': { PTR: ['mx1.example.test'] },
  'www.example.test': { CNAME: 'web.example.test' },
  'web.example.test': { CNAME: 'host.example.test' },
  'host.example.test': { A: ['192.0.2.3'] },
  'dangling.test': { CNAME: 'gone.test' },
  'aaaa.test': { AAAA: ['2001:db8::1'] },
  'big.test': { TXT: ['x'.repeat(9000)] },
  'huge.test': { TXT: ['x'.repeat(17_000)] },
  '*.many.test': { A: ['192.0.2.9'] },
};

type World = { readonly server: ScriptedDns; readonly client: Dns; readonly timers: ManualTimers };

async function world(t: TestContext, ttlSeconds = 60): Promise<World> {
  const server = await dns.startScriptedDns({ zone: ZONE, ttlSeconds, authentic: (name) => name === 'aaaa.test' });
  t.after(() => server.close());
  const timers = new ManualTimers();
  return { server, timers, client: createDns({ servers: [server], timeoutMsMax: 15_000, timers }) };
}

async function twoServers(t: TestContext) {
  const [one, two] = [await dns.startScriptedDns({ zone: ZONE }), await dns.startScriptedDns({ zone: ZONE })];
  t.after(() => Promise.all([one.close(), two.close()]));
  const timers = new ManualTimers();
  return { one, two, timers, client: createDns({ servers: [one, two], timeoutMsMax: 15_000, timers }) };
}

/** A port of loopback at which nobody listens. */
async function deadServer(): Promise<{ host: string; port: number }> {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return { host: '127.0.0.1', port };
}

const records = (answer: Awaited<ReturnType<Dns['query']>>) => (answer.tag === 'records' ? answer.records : answer);

test('every type is read, names in lower case and text joined', async (t) => {
  const { client } = await world(t);
  const ask = async (name: string, type: DnsType) => records(await client.query(name, type));
  assert.deepEqual(await ask('mx1.example.test', 'A'), ['192.0.2.1', '192.0.2.2']);
  assert.deepEqual(await ask('mx1.example.test', 'AAAA'), ['2001:db8::1']);
  assert.deepEqual(await ask('example.test', 'MX'), [
    { preference: 20, exchange: 'mx2.example.test' },
    { preference: 10, exchange: 'mx1.example.test' },
  ]);
  assert.deepEqual(await ask('null.test', 'MX'), [{ preference: 0, exchange: '' }]);
  assert.deepEqual(await ask('example.test', 'TXT'), [LONG_TEXT, 'caf\xe9']);
  assert.deepEqual(await ask('1.2.0.192.in-addr.arpa', 'PTR'), ['mx1.example.test']);
  assert.deepEqual(await ask('www.example.test', 'CNAME'), ['web.example.test']);
  assert.deepEqual(await ask('_25._tcp.mx1.example.test', 'TLSA'), [TLSA]);
});

test('no such name and no such record are different answers, kept as long as the SOA says', async (t) => {
  const { client } = await world(t, 42);
  const gone = await client.query('gone.example.test', 'A');
  assert.deepEqual(gone, { tag: 'none', why: 'nxdomain', authentic: false, ttlSeconds: 42 });
  const empty = await client.query('example.test', 'A');
  assert.deepEqual(empty, { tag: 'none', why: 'nodata', authentic: false, ttlSeconds: 42 });
});

test('a name that DNS cannot hold does not exist, and nobody is asked', async (t) => {
  const { client, server } = await world(t);
  for (const name of [
    '',
    'a..test',
    `${'x'.repeat(64)}.test`,
    'x.'.repeat(128),
    'é.test',
    'a b.test',
    '..',
    'a\\.test',
  ]) {
    const answer = await client.query(name, 'A');
    assert.equal(answer.tag === 'none' && answer.why, 'nxdomain', JSON.stringify(name));
  }
  assert.deepEqual(server.queries, []);
});

test('the AD bit is asked for and reported', async (t) => {
  const { client } = await world(t);
  const signed = await client.query('aaaa.test', 'AAAA');
  const noneSigned = await client.query('aaaa.test', 'A');
  const plain = await client.query('example.test', 'MX');
  assert.deepEqual(
    [signed, noneSigned, plain].map((answer) => answer.tag !== 'failed' && answer.authentic),
    [true, true, false],
  );
});

test('CNAMEs are followed to the records of their last name', async (t) => {
  const { client } = await world(t);
  assert.deepEqual(records(await client.query('www.example.test', 'A')), ['192.0.2.3']);
  const dangling = await client.query('dangling.test', 'A');
  assert.equal(dangling.tag === 'none' && dangling.why, 'nxdomain');
  const other = await client.query('www.example.test', 'MX');
  assert.equal(other.tag === 'none' && other.why, 'nodata');
});

test('CNAMEs in a circle, and too many of them, are a loop', async (t) => {
  const { client, server } = await world(t);
  server.next(dns.cnameLoop);
  assert.deepEqual(await client.query('www.example.test', 'A'), { tag: 'failed', reason: 'loop' });
  const chain =
    (count: number): dns.Behaviour =>
    (exchange) => {
      const aliases = Array.from({ length: count }, (_, at) => ({
        type: 'CNAME' as const,
        class: 'IN' as const,
        name: at === 0 ? exchange.name : `n${at}.test`,
        data: `n${at + 1}.test`,
      }));
      const last = { type: 'A', class: 'IN', name: `n${count}.test`, ttl: 9, data: '192.0.2.8' } as const;
      exchange.reply(dns.replyTo(exchange.query, 0, [...aliases, last]));
    };
  server.next(chain(LIMITS.dnsAliasesMax), chain(LIMITS.dnsAliasesMax + 1));
  assert.deepEqual(records(await client.query('eight.test', 'A')), ['192.0.2.8']);
  assert.deepEqual(await client.query('nine.test', 'A'), { tag: 'failed', reason: 'loop' });
});

test('records of names that were not asked for are neither believed nor kept', async (t) => {
  const { client, server } = await world(t);
  server.next(dns.strangers);
  assert.deepEqual(records(await client.query('host.example.test', 'A')), ['192.0.2.3']);
  const victim = await client.query('victim.test', 'A');
  assert.equal(victim.tag === 'none' && victim.why, 'nxdomain');
  assert.equal(server.queries.length, 2);
});

test('forged replies do not end the wait for the real one', async (t) => {
  const { client, server } = await world(t);
  server.next(dns.forgeriesFirst);
  assert.deepEqual(records(await client.query('host.example.test', 'A')), ['192.0.2.3']);
});

test('a reply from another address is not heard, however well it fits', async (t) => {
  const { client, server } = await world(t);
  server.next(dns.fromElsewhereFirst);
  assert.deepEqual(records(await client.query('host.example.test', 'A')), ['192.0.2.3']);
});

test('each query has an id and a port of its own', async (t) => {
  const { client, server } = await world(t);
  const ids = new Set<number>();
  const ports = new Set<number>();
  server.always((exchange) => {
    ids.add(exchange.query.id ?? 0);
    ports.add(exchange.remote.port);
    dns.honest(exchange);
  });
  for (let n = 0; n < 20; n++) await client.query(`n${n}.many.test`, 'A');
  // Twenty of 28,000 ports: that three of them meet by chance happens once in millions of runs.
  assert.ok(ids.size >= 18 && ports.size >= 18, `${ids.size} ids, ${ports.size} ports`);
});

test('silence is met by four tries, each with twice the wait, and the whole is bounded', async (t) => {
  const { client, server, timers } = await world(t);
  server.always(dns.drop);
  const answer = client.query('example.test', 'MX');
  for (const [at, ms] of [1000, 2000, 4000, 8000].entries()) {
    await server.asked(at + 1);
    timers.advance(ms);
  }
  assert.deepEqual(await answer, { tag: 'failed', reason: 'timeout' });
  assert.deepEqual(timers.waits, [1000, 2000, 4000, 8000]);
});

test('a lost packet costs a try and not the look-up', async (t) => {
  const { client, server, timers } = await world(t);
  server.next(dns.drop, dns.drop);
  const answer = client.query('host.example.test', 'A');
  await server.asked(1);
  timers.advance(1000);
  await server.asked(2);
  timers.advance(2000);
  assert.deepEqual(records(await answer), ['192.0.2.3']);
});

test('a silent server is passed over for a while, and then tried first again', async (t) => {
  const { client, one, two, timers } = await twoServers(t);
  one.next(dns.drop);
  const answer = client.query('n1.many.test', 'A');
  await one.asked(1);
  timers.advance(1000);
  assert.deepEqual(records(await answer), ['192.0.2.9']);
  await client.query('n2.many.test', 'A');
  assert.deepEqual([one.queries.length, two.queries.length], [1, 2]);
  timers.advance(LIMITS.dnsServerShunnedMs);
  await client.query('n3.many.test', 'A');
  assert.deepEqual([one.queries.length, two.queries.length], [2, 2]);
});

test('who says no is asked once, and then the next', async (t) => {
  const { client, one, two } = await twoServers(t);
  one.next(dns.servfail);
  assert.deepEqual(records(await client.query('n1.many.test', 'A')), ['192.0.2.9']);
  one.always(dns.refused);
  two.always(dns.servfail);
  const before = one.queries.length + two.queries.length;
  const answer = await client.query('n2.many.test', 'A');
  assert.equal(answer.tag, 'failed');
  assert.equal(one.queries.length + two.queries.length, before + 2);
});

test('SERVFAIL and REFUSED are told apart', async (t) => {
  const { client, server } = await world(t);
  server.next(dns.servfail, dns.refused);
  assert.deepEqual(await client.query('n1.many.test', 'A'), { tag: 'failed', reason: 'servfail' });
  assert.deepEqual(await client.query('n2.many.test', 'A'), { tag: 'failed', reason: 'refused' });
});

test("what one server says explains a failure better than the others' silence or absence", async (t) => {
  const { one, two, timers, client } = await twoServers(t);
  const silence = async (lookUp: Promise<unknown>, server: ScriptedDns) => {
    const before = server.queries.length;
    for (const [at, ms] of [1000, 2000, 4000, 8000].entries()) {
      await server.asked(before + at + 1);
      timers.advance(ms);
    }
    return lookUp;
  };
  two.always(dns.drop);
  one.next(dns.servfail);
  const said = client.query('n1.many.test', 'A');
  assert.deepEqual(await silence(said, two), { tag: 'failed', reason: 'servfail' });
  const withDead = createDns({ servers: [await deadServer(), two], timeoutMsMax: 15_000, timers });
  const silent = withDead.query('n2.many.test', 'A');
  assert.deepEqual(await silence(silent, two), { tag: 'failed', reason: 'timeout' });
});

test('a code whose upper bits are in EDNS is no success', async (t) => {
  const { client, server } = await world(t);
  server.next(({ query, reply }) => {
    const packet = dns.replyTo(query, 0);
    reply({ ...packet, additionals: (packet.additionals ?? []).map((opt) => ({ ...opt, extendedRcode: 1 })) as never });
  });
  assert.deepEqual(await client.query('n1.many.test', 'A'), { tag: 'failed', reason: 'refused' });
});

test('where nobody listens, the next server is asked at once', async (t) => {
  const server = await dns.startScriptedDns({ zone: ZONE });
  t.after(() => server.close());
  const timers = new ManualTimers(); // never moves: no wait has to run out
  const dead = await deadServer();
  const client = createDns({ servers: [dead, server], timeoutMsMax: 15_000, timers });
  assert.deepEqual(records(await client.query('host.example.test', 'A')), ['192.0.2.3']);
  const alone = createDns({ servers: [dead], timeoutMsMax: 15_000, timers });
  assert.deepEqual(await alone.query('host.example.test', 'A'), { tag: 'failed', reason: 'unreachable' });
});

test('what is truncated is asked for again over TCP', async (t) => {
  const { client, server } = await world(t);
  assert.deepEqual(records(await client.query('big.test', 'TXT')), ['x'.repeat(9000)]);
  assert.deepEqual(server.queries, ['udp TXT big.test', 'tcp TXT big.test']);
  server.next(dns.truncate);
  assert.deepEqual(records(await client.query('host.example.test', 'A')), ['192.0.2.3']);
  assert.equal(server.queries.at(-1), 'tcp A host.example.test');
});

test('TCP that is cut off, silent, or truncated again is a failure of that try', async (t) => {
  const { client, server, timers } = await world(t);
  server.next(dns.truncate, dns.hangUp);
  const cutOff = await client.query('n1.many.test', 'A');
  assert.ok(cutOff.tag === 'failed' && ['malformed', 'unreachable'].includes(cutOff.reason), JSON.stringify(cutOff));
  server.next(dns.truncate, dns.truncate);
  assert.deepEqual(await client.query('n2.many.test', 'A'), { tag: 'failed', reason: 'malformed' });
  const before = server.queries.length;
  server.next(dns.truncate, dns.drop);
  const silent = client.query('n3.many.test', 'A');
  await server.asked(before + 2);
  timers.advance(1000); // the second try is honest
  assert.deepEqual(records(await silent), ['192.0.2.9']);
});

test('a reply to our question that cannot be read is malformed', async (t) => {
  const { client, server } = await world(t);
  server.next(dns.garbage);
  assert.deepEqual(await client.query('host.example.test', 'A'), { tag: 'failed', reason: 'malformed' });
});

test('records and text have their limits', async (t) => {
  const { client, server } = await world(t);
  server.next(dns.truncate, dns.many(LIMITS.dnsRecordsMax), dns.truncate, dns.many(LIMITS.dnsRecordsMax + 1));
  const most = await client.query('n1.many.test', 'A');
  assert.equal(most.tag === 'records' && most.records.length, LIMITS.dnsRecordsMax);
  assert.deepEqual(await client.query('n2.many.test', 'A'), { tag: 'failed', reason: 'limit' });
  assert.deepEqual(await client.query('huge.test', 'TXT'), { tag: 'failed', reason: 'limit' });
});

test('an answer is kept for its TTL, whatever the capitals and dots of the question', async (t) => {
  const { client, server, timers } = await world(t, 60);
  await client.query('host.example.test', 'A');
  timers.advance(59_000);
  const kept = await client.query('HOST.Example.test.', 'A');
  assert.equal(kept.tag === 'records' && kept.ttlSeconds, 1);
  assert.equal(server.queries.length, 1);
  timers.advance(1000);
  await client.query('host.example.test', 'A');
  assert.equal(server.queries.length, 2);
});

test('a failure is kept for a few seconds', async (t) => {
  const { client, server, timers } = await world(t);
  server.next(dns.servfail);
  await client.query('host.example.test', 'A');
  await client.query('host.example.test', 'A');
  assert.equal(server.queries.length, 1);
  timers.advance(LIMITS.dnsFailureSeconds * 1000);
  assert.deepEqual(records(await client.query('host.example.test', 'A')), ['192.0.2.3']);
});

test('the same question at the same time is asked once', async (t) => {
  const { client, server } = await world(t);
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.query('host.example.test', 'A')));
  assert.ok(answers.every((answer) => answer.tag === 'records'));
  assert.equal(server.queries.length, 1);
});

test('look-ups above the number of slots wait, and what waits is bounded in number and time', async (t) => {
  const { client, server, timers } = await world(t);
  const held = Promise.withResolvers<void>();
  server.always(dns.after(held.promise));
  const slots = LIMITS.dnsConcurrentMax;
  const all = Array.from({ length: slots + LIMITS.dnsWaitingMax }, (_, at) => client.query(`n${at}.many.test`, 'A'));
  assert.deepEqual(await client.query('more.many.test', 'A'), { tag: 'failed', reason: 'limit' });
  await server.asked(slots);
  assert.equal(server.queries.length, slots);
  timers.advance(15_000); // the deadline of all
  const answers = await Promise.all(all);
  assert.ok(answers.every((answer) => answer.tag === 'failed' && answer.reason === 'timeout'));
  held.resolve();
  assert.equal(server.queries.length, slots, 'nobody is asked for what is too late');
  server.always(dns.honest);
  assert.deepEqual(records(await client.query('host.example.test', 'A')), ['192.0.2.3'], 'all slots are free again');
});

test('what waits for a slot gets it when one is free', async (t) => {
  const { client, server } = await world(t);
  const held = Promise.withResolvers<void>();
  server.always(dns.after(held.promise));
  const slots = LIMITS.dnsConcurrentMax;
  const all = Array.from({ length: slots + 20 }, (_, at) => client.query(`n${at}.many.test`, 'A'));
  await server.asked(slots);
  held.resolve();
  const answers = await Promise.all(all);
  assert.ok(answers.every((answer) => answer.tag === 'records'));
});
