/** What becomes of mail on its way on: LMTP, MX, smart host, refusals, deferrals, and who is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import nodemailer from 'nodemailer';
import { startDnsServer } from '../../bench/load/dns_server.ts';
import { makeCertificate } from '../support/certificates.ts';
import { temporaryFolder, writeCertificate } from '../support/folders.ts';
import type { Environment, HostPort, PosternProcess } from '../support/postern.ts';
import { DOMAIN, HOSTNAME, startPostern } from '../support/postern.ts';
import type { PeerOptions } from '../support/smtp_peer.ts';
import { HANG_UP, SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

type Letter = { readonly from: string; readonly to: readonly string[]; readonly raw?: string; readonly dsn?: object };
const RAW = 'Subject: hello\r\nMessage-ID: <one@client.example>\r\n\r\n.dot\r\nbody\r\n';

async function send(at: HostPort, { from, to, raw = RAW }: Letter): Promise<void> {
  const transport = nodemailer.createTransport({ host: at.host, port: at.port, ignoreTLS: true });
  await transport.sendMail({ envelope: { from, to: [...to] }, raw });
  transport.close();
}

type World = { readonly peer: SmtpPeer; readonly postern: PosternProcess };

/** One peer and one Postern, both gone at the end. */
async function world(
  options: PeerOptions,
  environment: (peer: SmtpPeer) => Environment,
  story: (at: World) => Promise<void>,
) {
  const peer = await SmtpPeer.start(options);
  const postern = await startPostern(environment(peer));
  try {
    await story({ peer, postern });
  } finally {
    await postern.stop();
    await peer.close();
  }
}

const inside = (peer: SmtpPeer): Environment => ({ INSIDE_ROUTE: peer.url });

test('LMTP: each recipient has a reply of its own', async () => {
  const script: PeerOptions['script'] = (command, { recipient }) =>
    command === '.' && recipient === `bad@${DOMAIN}` ? '550 5.1.1 no such user here' : undefined;
  const route = (peer: SmtpPeer) => ({ ...inside(peer), OUTSIDE_ROUTE: peer.url.replace('lmtp', 'smtp') });
  await world({ protocol: 'lmtp', script }, route, async ({ peer, postern }) => {
    await send(postern.outside, { from: '', to: [`good@${DOMAIN}`, `bad@${DOMAIN}`] });
    const { content } = await peer.received('the message', ({ recipients }) => recipients.includes(`good@${DOMAIN}`));
    assert.equal(withoutTrace(content), RAW);
    const line = await postern.logged('delivery');
    assert.deepEqual([line.delivered, line.failed], [1, 1]);
  });
});

test('a failure comes back to the sender as a notification', async () => {
  const script: PeerOptions['script'] = (command) =>
    command.startsWith(`RCPT TO:<gone@`) ? '550 5.1.1 <gone> has left' : undefined;
  const route = (peer: SmtpPeer) => ({ ...inside(peer), OUTSIDE_ROUTE: peer.url });
  await world({ script }, route, async ({ peer, postern }) => {
    await send(postern.outside, { from: 'alice@client.example', to: [`gone@${DOMAIN}`] });
    const dsn = await peer.received('the DSN', ({ recipients }) => recipients.includes('alice@client.example'));
    assert.equal(dsn.sender, '');
    assert.match(dsn.content, /Content-Type: multipart\/report; report-type=delivery-status/);
    assert.match(dsn.content, new RegExp(`Final-Recipient: rfc822; ?gone@${DOMAIN}`));
    assert.match(dsn.content, /Action: failed\r\nStatus: 5\.1\.1/);
    assert.match(dsn.content, /Diagnostic-Code: smtp; ?550 5\.1\.1 <gone> has left/);
    assert.match(dsn.content, /Message-ID: <one@client\.example>/i);
  });
});

test('nobody is told of a failure of the null sender', async () => {
  const script: PeerOptions['script'] = (command) => (command.startsWith('RCPT') ? '550 5.1.1 no' : undefined);
  await world({ script }, inside, async ({ peer, postern }) => {
    await send(postern.outside, { from: '', to: [`gone@${DOMAIN}`] });
    await postern.logged('bounce-dropped');
    assert.equal(peer.messages.length, 0);
  });
});

test('a deferred recipient is tried again, and only that one', async () => {
  let refusals = 0;
  const script: PeerOptions['script'] = (command) =>
    command.startsWith('RCPT TO:<later@') && refusals++ === 0 ? '451 4.7.1 greylisted' : undefined;
  await world({ script }, inside, async ({ peer, postern }) => {
    await send(postern.outside, { from: 'alice@client.example', to: [`now@${DOMAIN}`, `later@${DOMAIN}`] });
    await peer.receivedCount(2);
    const recipients = peer.messages.map((each) => each.recipients);
    assert.deepEqual(recipients, [[`now@${DOMAIN}`], [`later@${DOMAIN}`]]);
    assert.equal(withoutTrace(peer.messages[1]!.content), RAW, 'read back from the journal as it was');
  });
});

test('what is deferred until its time is over bounces', async () => {
  const script: PeerOptions['script'] = (command) =>
    command.startsWith(`RCPT TO:<full@`) ? '452 4.2.2 full' : undefined;
  const route = (peer: SmtpPeer) => ({ ...inside(peer), OUTSIDE_ROUTE: peer.url, QUEUE_SECONDS_MAX: '2' });
  await world({ script }, route, async ({ peer, postern }) => {
    await send(postern.outside, { from: 'alice@client.example', to: [`full@${DOMAIN}`] });
    const dsn = await peer.received('the DSN', ({ recipients }) => recipients.includes('alice@client.example'));
    assert.match(dsn.content, /Status: [45]\.4\.7/);
    assert.match(dsn.content, /452 4\.2\.2 full/);
  });
});

test('the next server of the inside route is tried when the first is down', async () => {
  const peer = await SmtpPeer.start();
  const closed = await SmtpPeer.start();
  const dead = closed.url;
  await closed.close();
  const postern = await startPostern({ INSIDE_ROUTE: `${dead},${peer.url}` });
  try {
    await send(postern.outside, { from: 'alice@client.example', to: [`bob@${DOMAIN}`] });
    await peer.receivedCount(1);
  } finally {
    await postern.stop();
    await peer.close();
  }
});

test('a connection that is cut within the content costs nothing but another attempt', async () => {
  let cuts = 0;
  const script: PeerOptions['script'] = (command) => (command === '.' && cuts++ === 0 ? HANG_UP : undefined);
  const keywords = ['PIPELINING', '8BITMIME'];
  await world({ script, keywords }, inside, async ({ peer, postern }) => {
    await send(postern.outside, { from: 'alice@client.example', to: [`bob@${DOMAIN}`] });
    await postern.loggedAll('delivery', 2);
    assert.equal(withoutTrace(peer.messages.at(-1)!.content), RAW);
  });
});

test('outbound: by MX, in order of preference, one copy for domains that share their hosts', async () => {
  const keywords = ['PIPELINING', '8BITMIME', 'SIZE 0'];
  const peer = await SmtpPeer.start({ keywords });
  const MX = [{ preference: 10, exchange: 'mx.far.example' }];
  const zone = { 'one.example': { MX }, 'two.example': { MX }, 'mx.far.example': { A: ['127.0.0.1'] } };
  const dns = await startDnsServer({ zone });
  const postern = await startPostern({ DNS_SERVERS: `${dns.host}:${dns.port}`, OUTSIDE_PORT: String(peer.port) });
  try {
    await send(postern.inside, { from: `bob@${DOMAIN}`, to: ['x@one.example', 'y@two.example'] });
    await peer.receivedCount(1);
    assert.deepEqual(peer.messages[0]!.recipients, ['x@one.example', 'y@two.example']);
    assert.equal(peer.messages[0]!.by, 'DATA');
    assert.match(peer.messages[0]!.wire, /\r\n\.\.dot\r\n/);
    assert.equal(withoutTrace(peer.messages[0]!.content), RAW);
    await send(postern.inside, { from: `bob@${DOMAIN}`, to: ['x@nowhere.example'] });
    const line = await postern.logged('delivery', ({ failed }) => failed === 1);
    assert.match(String(line.enhanced), /^5\./);
  } finally {
    await postern.stop();
    await dns.close();
    await peer.close();
  }
});

test('a smart host gets a password over TLS only', async () => {
  const certificate = makeCertificate({ names: ['127.0.0.1', HOSTNAME], authority: true });
  const credentials = { user: 'postern', password: 'p:w@d' };
  const peer = await SmtpPeer.start({ tls: certificate, credentials });
  const open = await SmtpPeer.start();
  const login = 'postern:p%3Aw%40d';
  const { certFile } = writeCertificate(temporaryFolder('smarthost'), 'authority', certificate);
  const trust = { NODE_EXTRA_CA_CERTS: certFile };
  const host = (at: SmtpPeer) => ({ OUTSIDE_ROUTE: `smtp://${login}@127.0.0.1:${at.port}`, ...trust });
  const secure = await startPostern(host(peer));
  const bare = await startPostern(host(open));
  try {
    await send(secure.inside, { from: `bob@${DOMAIN}`, to: ['x@one.example'] });
    await peer.receivedCount(1);
    assert.deepEqual([peer.messages[0]!.tls, peer.messages[0]!.user], [true, 'postern']);
    await send(bare.inside, { from: `bob@${DOMAIN}`, to: ['x@one.example'] });
    const line = await bare.logged('deferred');
    assert.equal(line.recipients, 1);
    assert.ok(!open.commands.some((command) => /AUTH/i.test(command)));
    for (const each of [...secure.logs, ...bare.logs]) assert.doesNotMatch(JSON.stringify(each), /p:w@d|p%3Aw%40d/);
  } finally {
    await secure.stop();
    await bare.stop();
    await peer.close();
    await open.close();
  }
});
