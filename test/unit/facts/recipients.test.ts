/** Known recipients by each kind of directory but LDAP (test/interop/slapd.test.ts), with scripted peers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type HttpText, recipientsSection } from '../../../src/config/policy/recipients.ts';
import { CalloutDirectory } from '../../../src/facts/callout.ts';
import { knowledgeOf } from '../../../src/facts/callout_session.ts';
import { loadList } from '../../../src/facts/list_loading.ts';
import { CachedDirectory } from '../../../src/facts/recipient_cache.ts';
import { HttpDirectory } from '../../../src/facts/recipient_http.ts';
import { ListedDirectory } from '../../../src/facts/recipient_list.ts';
import type { Directory, Knowledge } from '../../../src/facts/recipients.ts';
import { recipientSource } from '../../../src/facts/recipients.ts';
import { Deadlines } from '../../../src/net/connection.ts';
import type { Dns } from '../../../src/net/dns.ts';
import { temporaryFolder } from '../../support/folders.ts';
import type { PeerOptions } from '../../support/smtp_peer.ts';
import { HANG_UP, SmtpPeer } from '../../support/smtp_peer.ts';
import { subject } from './subject.ts';

const SIGNAL = new AbortController().signal;
const deadlines = new Deadlines();
after(() => deadlines.stop());

/** One name, and nothing else. */
const dns: Dns = {
  query: async (name, type) =>
    name === 'web.test' && type === 'A'
      ? ({ tag: 'records', records: ['127.0.0.1'], authentic: false, ttlSeconds: 60 } as never)
      : { tag: 'none', why: 'nxdomain', authentic: false, ttlSeconds: 60 },
};

const directoryOf = (answer: (address: string) => Knowledge | Promise<Knowledge>): Directory & { asked: string[] } => {
  const asked: string[] = [];
  return {
    asked,
    knows(address) {
      asked.push(address);
      return answer(address);
    },
  };
};

test('what a directory says becomes a fact, and its failure what the file chooses', async () => {
  const ask = (answer: Knowledge, terms: object = {}, about: object = {}) =>
    recipientSource(
      directoryOf(() => answer),
      { source: 'file', onFailure: 'defer', ...terms },
    ).ask(subject({ recipient: { local: 'jane', domain: 'example.org' }, ...about }), SIGNAL);
  assert.deepEqual(ask({ known: true }), { facts: { 'rcpt.known': true } });
  assert.deepEqual(ask({ known: false }), { facts: { 'rcpt.known': false } });
  assert.deepEqual(ask({ trouble: 'x' }), { facts: { 'rcpt.unsure': true }, trouble: 'x' });
  assert.deepEqual(ask({ trouble: 'x' }, { onFailure: 'accept' }), { facts: {}, trouble: 'x' });
  assert.deepEqual(ask({ known: false }, {}, { side: 'inside' }), { facts: {} });
  assert.deepEqual(ask({ known: false }, { domains: ['example.net'] }), { facts: {} });
  for (const domain of ['', 'example.org'])
    assert.deepEqual(ask({ known: false }, {}, { recipient: { local: 'PostMaster', domain } }), {
      facts: { 'rcpt.known': true },
    });
});

test('user+detail is asked for as user, too, where the file says so', async () => {
  const directory = directoryOf((address) => ({ known: address === 'jane@example.org' }));
  const known = async (local: string, separator?: string) => {
    const terms = { source: 'file', onFailure: 'defer', ...(separator === undefined ? {} : { separator }) } as const;
    const recipient = { local, domain: 'example.org' };
    return (await recipientSource(directory, terms).ask(subject({ recipient }), SIGNAL)).facts['rcpt.known'];
  };
  assert.equal(await known('jane+x', '+'), true);
  assert.equal(await known('jane+x'), false);
  assert.equal(await known('+jane', '+'), false);
});

test('answers are kept for their time, trouble is not, and one address is one question', async () => {
  let answer: Knowledge = { known: true };
  let nowMs = 0;
  const directory = directoryOf(async () => answer);
  const cached = new CachedDirectory(directory, { knownSeconds: 10, unknownSeconds: 2 }, () => nowMs);
  assert.deepEqual(await Promise.all([cached.knows('A@x.test'), cached.knows('a@x.test')]), [answer, answer]);
  assert.deepEqual(directory.asked, ['A@x.test']);
  nowMs = 9_999;
  assert.deepEqual(cached.knows('a@X.test'), { known: true }, 'at once');
  nowMs = 10_000;
  answer = { known: false };
  assert.deepEqual(await cached.knows('a@x.test'), answer);
  nowMs = 11_999;
  assert.deepEqual(cached.knows('a@x.test'), answer);
  nowMs = 12_000;
  answer = { trouble: 'down' };
  assert.deepEqual(await cached.knows('a@x.test'), answer);
  assert.deepEqual(await cached.knows('a@x.test'), answer);
  assert.equal(directory.asked.length, 4);
});

test('a harvest is bounded, and drives out nobody who is known', async () => {
  const directory = directoryOf((address) => ({ known: address.startsWith('jane') }));
  const cached = new CachedDirectory(directory, { knownSeconds: 10, unknownSeconds: 10 }, () => 0);
  await cached.knows('jane@x.test');
  for (let at = 0; at < 100_500; at++) await cached.knows(`${at}@x.test`);
  directory.asked.length = 0;
  assert.deepEqual(await cached.knows('jane@x.test'), { known: true });
  await cached.knows('100000@x.test');
  assert.deepEqual(directory.asked, []);
  await cached.knows('0@x.test');
  assert.deepEqual(directory.asked, ['0@x.test'], 'the oldest is forgotten');
});

test('questions at a time are bounded', async () => {
  const cached = new CachedDirectory(
    directoryOf(() => new Promise(() => {})),
    { knownSeconds: 1, unknownSeconds: 1 },
  );
  for (let at = 0; at < 1000; at++) cached.knows(`${at}@x.test`);
  assert.deepEqual(await cached.knows('one@x.test'), { trouble: 'too many questions at a time' });
});

test('a folder of files', async () => {
  const folder = temporaryFolder('recipients');
  writeFileSync(join(folder, 'one'), 'Jane@example.org\n');
  writeFileSync(join(folder, 'two'), '@example.net\n*star@example.org\n');
  writeFileSync(join(folder, '.swp'), 'no@example.org\n');
  const loaded = await loadList('recipients', { entries: [], file: folder });
  assert.ok('memory' in loaded, JSON.stringify(loaded));
  const directory = new ListedDirectory(loaded.memory);
  const known = (address: string) => directory.knows(address);
  for (const address of ['jane@example.org', 'any@example.net', '*star@example.org'])
    assert.deepEqual(known(address), { known: true }, address);
  for (const address of ['no@example.org', '@example.net', 'jane@example.com', 'example.net'])
    assert.deepEqual(known(address), { known: false }, address);
});

// --- HTTP ---

async function httpServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/known?tenant=1`;
}

const http = (url: string, about: object = {}) => {
  const directory = new HttpDirectory(recipientsSection.parse({ source: 'http', url, ...about }) as HttpText, dns);
  after(() => directory.close());
  return directory;
};

test('a web server answers by its status', async () => {
  const seen: string[] = [];
  const url = await httpServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.statusCode = Number(/(\d+)%40/.exec(request.url!)![1]);
    if (response.statusCode === 302) response.setHeader('location', '/other');
    response.end(response.statusCode === 204 ? undefined : 'x'.repeat(100_000));
  });
  const directory = http(url, { token: 'secret' });
  assert.deepEqual(await directory.knows('200@x.test'), { known: true });
  assert.equal(seen[0], 'GET /known?tenant=1&address=200%40x.test Bearer secret');
  assert.deepEqual(await directory.knows('204@x.test'), { known: true });
  assert.deepEqual(await directory.knows('404@x.test'), { known: false });
  for (const status of [302, 401, 500])
    assert.deepEqual(await directory.knows(`${status}@x.test`), { trouble: `the server answered ${status}` });
  assert.equal(seen.length, 6);
});

test('a web server that is silent, hangs up, or is not there is trouble', async () => {
  const silent = await httpServer(() => {});
  assert.deepEqual(await http(silent, { timeoutMs: 100 }).knows('a@x.test'), { trouble: 'no answer in time' });
  const rude = await httpServer((request) => request.socket.destroy());
  assert.match(((await http(rude).knows('a@x.test')) as { trouble: string }).trouble, /cannot be asked/);
  assert.match(((await http('http://127.0.0.1:1/').knows('a@x.test')) as { trouble: string }).trouble, /ECONNREFUSED/);
});

test('a web server by name is looked up by our own client', async () => {
  const url = await httpServer((_, response) => response.end());
  assert.deepEqual(await http(url.replace('127.0.0.1', 'web.test')).knows('a@x.test'), { known: true });
  const gone = await http('http://gone.test/').knows('a@x.test');
  assert.deepEqual(gone, { trouble: 'the server cannot be asked (ENOTFOUND)' });
});

// --- callout ---

async function callout(options: PeerOptions, about: object = {}) {
  const peer = await SmtpPeer.start(options);
  const target = { host: '127.0.0.1', address: '127.0.0.1', port: peer.port, tls: 'may' } as const;
  const terms = { timeoutMs: 10_000, connectionsMax: 1, hostname: 'relay.test', deadlines, targets: () => [target] };
  const directory = new CalloutDirectory({ ...terms, ...about });
  after(async () => {
    directory.close();
    await peer.close();
  });
  return { peer, directory };
}

test('the inside server is asked over one connection, and no message begins', async () => {
  const { peer, directory } = await callout({
    script: (command) => (/no@/.test(command) ? '550 5.1.1 no such user' : undefined),
  });
  const answers = await Promise.all(['a@x.test', 'no@x.test', 'b@x.test'].map((each) => directory.knows(each)));
  assert.deepEqual(answers, [{ known: true }, { known: false }, { known: true }]);
  assert.deepEqual(peer.commands, [
    'EHLO relay.test',
    'MAIL FROM:<>',
    'RCPT TO:<a@x.test>',
    'RSET',
    'MAIL FROM:<>',
    'RCPT TO:<no@x.test>',
    'RSET',
    'MAIL FROM:<>',
    'RCPT TO:<b@x.test>',
  ]);
});

test('what replies to RCPT say', () => {
  const say = (code: number, enhanced: string) => knowledgeOf({ code, enhanced, lines: ['x'] });
  for (const [code, enhanced] of [
    [250, '2.1.5'],
    [251, ''],
    [252, ''],
    [552, '5.2.2'],
    [550, '5.2.1'],
  ] as const)
    assert.deepEqual(say(code, enhanced), { known: true }, `${code} ${enhanced}`);
  for (const [code, enhanced] of [
    [550, ''],
    [553, ''],
    [550, '5.1.1'],
    [554, '5.1.10'],
  ] as const)
    assert.deepEqual(say(code, enhanced), { known: false }, `${code} ${enhanced}`);
  for (const [code, enhanced] of [
    [450, '4.2.0'],
    [451, ''],
    [550, '5.7.1'],
    [550, '5.1.7'],
    [553, '5.1.8'],
    [554, ''],
    [530, '5.7.0'],
  ] as const)
    assert.ok('trouble' in say(code, enhanced), `${code} ${enhanced}`);
});

test('a connection that has died since is replaced without a word', async () => {
  const { peer, directory } = await callout({
    script: (command, { connection }) => (command === 'RSET' && connection === 0 ? HANG_UP : undefined),
  });
  assert.deepEqual(await directory.knows('a@x.test'), { known: true });
  assert.deepEqual(await directory.knows('b@x.test'), { known: true });
  assert.equal(peer.commands.filter((command) => command.startsWith('EHLO')).length, 2);
});

test('a server that refuses, hangs up or is silent is trouble, and the next target is asked', async () => {
  const refusing = await callout({ script: (command) => (command === '' ? '554 no service' : undefined) });
  assert.match(((await refusing.directory.knows('a@x.test')) as { trouble: string }).trouble, /^banner: 554/);
  const rude = await callout({ script: (command) => (command.startsWith('RCPT') ? HANG_UP : undefined) });
  assert.ok('trouble' in (await rude.directory.knows('a@x.test')));
  const busy = await callout({ script: (command) => (command.startsWith('MAIL') ? '451 4.3.0 later' : undefined) });
  assert.match(((await busy.directory.knows('a@x.test')) as { trouble: string }).trouble, /^MAIL: 451/);
  const good = await callout({});
  const one = { host: '127.0.0.1', address: '127.0.0.1', port: refusing.peer.port, tls: 'may' } as const;
  const two = { ...one, port: good.peer.port };
  const directory = new CalloutDirectory({
    timeoutMs: 10_000,
    connectionsMax: 2,
    hostname: 'relay.test',
    deadlines,
    targets: async () => [one, two],
  });
  assert.deepEqual(await directory.knows('a@x.test'), { known: true });
  directory.close();
  const nowhere = new CalloutDirectory({
    timeoutMs: 10_000,
    connectionsMax: 2,
    hostname: 'x',
    deadlines,
    targets: () => [],
  });
  assert.deepEqual(await nowhere.knows('a@x.test'), { trouble: 'no server to ask' });
});

test('silence has an end', async () => {
  const { directory } = await callout(
    { script: (command) => (command.startsWith('RCPT') ? '250-and' : undefined) },
    { timeoutMs: 200 },
  );
  assert.deepEqual(await directory.knows('a@x.test'), { trouble: 'no answer in time' });
});

test('a transaction keeps the policy that it began with: its directory answers behind the close, too', async () => {
  const url = await httpServer((_, response) => response.end());
  for (const directory of [http(url), (await callout({})).directory]) {
    const under = directory.knows('a@x.test');
    directory.close();
    assert.deepEqual(await under, { known: true });
    assert.deepEqual(await directory.knows('b@x.test'), { known: true });
  }
});
