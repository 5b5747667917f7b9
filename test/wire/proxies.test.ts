/** Whoever speaks for a client, the client's own address is in Received, in the log, and in what limits it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

let postern: PosternProcess;
let peer: SmtpPeer;
before(async () => {
  peer = await SmtpPeer.start();
  postern = await startPostern({
    INSIDE_ROUTE: peer.url,
    PROXY_NETWORKS: '127.0.0.1/32',
    XCLIENT_NETWORKS: '198.51.100.7/32',
    CLIENT_CONNECTIONS_MAX: '2',
  });
});
after(async () => {
  await postern?.stop();
  await peer?.close();
});

const connected = async (header: string): Promise<SmtpClient> => {
  const client = await SmtpClient.connect(postern.outside);
  await client.send(header);
  return client;
};

async function sendOne(client: SmtpClient): Promise<string> {
  const id = await client.deliver('a@client.example', [`b@${DOMAIN}`], 'Subject: one\r\n\r\nText.\r\n');
  await client.quit();
  return (await peer.receivedId(id)).content;
}

test('a client behind a balancer', async () => {
  const client = await connected('PROXY TCP6 2001:db8::7 2001:db8::25 51234 25\r\n');
  await client.expect(220);
  await client.command('EHLO mx.client.example', 250);
  assert.match(await sendOne(client), /^Received: from mx\.client\.example \(\[IPv6:2001:db8::7\]\)\r\n/);
  const line = await postern.logged('session', ({ helo }) => helo === 'mx.client.example');
  assert.deepEqual([line.client, line.proxy, line.side], ['2001:db8::7', '127.0.0.1', 'outside']);
});

test('a client of a listed peer, which is behind a balancer itself', async () => {
  const client = await connected('PROXY TCP4 198.51.100.7 192.0.2.25 51234 25\r\n');
  await client.expect(220);
  await client.command('EHLO proxy.example', 250);
  await client.command('XCLIENT HELO=mx.named.example PROTO=SMTP LOGIN=bob', 220);
  await client.command('XCLIENT NAME=host.client.example ADDR=192.0.2.7', 220);
  await client.command('EHLO proxy.example', 250);
  const received =
    /^Received: from mx\.named\.example \(host\.client\.example \[192\.0\.2\.7\]\)\r\n\tby \S+ \S+ with SMTP /;
  assert.match(await sendOne(client), received);
  const line = await postern.logged('session', ({ helo }) => helo === 'mx.named.example');
  assert.deepEqual([line.client, line.proxy, line.login], ['192.0.2.7', '198.51.100.7', 'bob']);
});

test('one client behind a balancer does not take the place of others', async () => {
  const greedy = 'PROXY TCP4 203.0.113.1 192.0.2.25 51234 25\r\n';
  const clients = [await connected(greedy), await connected(greedy)];
  for (const client of clients) await client.expect(220);
  const third = await connected(greedy);
  assert.match((await third.expect(421)).text, /4\.7\.0/);
  const refused = await postern.logged('connection-refused', ({ reason }) => reason === 'tooManyFromClient');
  assert.deepEqual([refused.client, refused.proxy], ['203.0.113.1', '127.0.0.1']);
  const other = await connected('PROXY TCP4 203.0.113.2 192.0.2.25 51234 25\r\n');
  await other.expect(220);
  clients[0]?.destroy();
  await postern.logged('session', ({ client }) => client === '203.0.113.1');
  const again = await connected(greedy);
  await again.expect(220);
  for (const each of [...clients, third, other, again]) each.destroy();
});

test('a balancer that goes away without a word leaves nothing behind', async () => {
  const silent = await Promise.all([1, 2, 3, 4].map(() => connected('PROXY TC')));
  for (const each of silent) each.destroy();
  const client = await connected('PROXY UNKNOWN\r\n');
  await client.expect(220);
  await client.command('QUIT', 221);
  await postern.loggedAll(
    'session',
    1,
    ({ proxy, client: address }) => proxy === '127.0.0.1' && address === '127.0.0.1',
  );
});
