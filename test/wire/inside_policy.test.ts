/**
 * Mail from inside under a policy: who may send as whom, by network and by login; a hijacked account is held, not
 * carried; and the same rules, filters, parts and headers as for mail from outside.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { queue as queueOf } from '../support/queue_command.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const OUT = 'x@else.example';
const TEXT = 'Subject: x\r\n\r\nText\r\n';

/** 10.1: servers with one sender domain. 10.2: people, who log in with a server that says so by XCLIENT. */
const policy = (hook: number): string => `
rules:
  - id: servers-as-themselves
    when: { side: inside, client.address: { in: 10.1.0.0/16 }, not: { from.domain: app.${DOMAIN} } }
    do: { reject: "These servers send as app.${DOMAIN}" }
  - id: login-needed
    stage: mail
    when: { side: inside, client.address: { in: 10.2.0.0/16 }, client.login: { known: false } }
    do: { reject: "Log in first" }
  - id: alice-as-alice
    when: { client.login: alice, not: { from: [ "alice@${DOMAIN}", "" ] } }
    do: { reject: "alice sends as alice" }
  - { id: not-there, when: { side: inside, rcpt.domain: rival.example }, do: { reject: "Not to them" } }
  - { id: secret, when: { side: inside, header.subject: { like: "*secret*" } }, do: { reject: "It stays inside" } }
  - { id: no-macros, when: { mime.extensions: [ docm ] }, do: { reject: "No macros" } }
limits:
  - { name: account, by: [ identity ], side: inside, rate: 2/d }
  - { name: sender, by: [ sender ], side: inside, count: recipients, rate: 3/d }
filters:
  - { name: hook, type: http, at: "http://127.0.0.1:${hook}/", onFailure: closed, side: inside }
mime: { strip: [ { id: no-programs, extensions: [ exe ], notice: "A program was removed." } ] }
headers: { inside: { received: mask, hideNames: [ "*.corp.example" ], remove: [ X-Internal ] } }
`;

const part = (name: string): string => `--b\r\nContent-Disposition: attachment; filename=${name}\r\n\r\nMZ\r\n`;
const withPart = (name: string): string =>
  `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nSubject: parts\r\n\r\n${part(name)}--b--\r\n`;

describe('mail from inside', () => {
  let outside: SmtpPeer;
  let hook: http.Server;
  let postern: PosternProcess;
  const clients: SmtpClient[] = [];
  before(async () => {
    hook = http.createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const each of request) parts.push(each as Buffer);
      const bad = Buffer.concat(parts).toString('latin1').includes('Subject: refuse me');
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify(bad ? { verdict: 'reject', reply: { text: 'Not this one' } } : { verdict: 'accept' }),
      );
    });
    hook.listen(0, '127.0.0.1');
    await once(hook, 'listening');
    const file = join(temporaryFolder('inside-policy'), 'policy.yaml');
    writeFileSync(file, policy((hook.address() as AddressInfo).port));
    outside = await SmtpPeer.start();
    postern = await startPostern({
      OUTSIDE_ROUTE: outside.url,
      CONFIG: file,
      INSIDE_NETWORKS: '127.0.0.0/8,10.0.0.0/8',
      XCLIENT_NETWORKS: '127.0.0.1/32',
    });
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await postern?.stop();
    await outside?.close();
    hook?.close();
  });

  /** A client of this address, logged in as `login`. */
  const comes = async (address: string, login = '[UNAVAILABLE]'): Promise<SmtpClient> => {
    const client = await SmtpClient.greeted(postern.inside);
    clients.push(client);
    await client.command(`XCLIENT ADDR=${address} LOGIN=${login}`, 220);
    await client.command('EHLO client.example', 250);
    return client;
  };
  const carried = async (id: string): Promise<string> => (await outside.receivedId(id)).content;
  const queue = (...args: string[]) => queueOf(postern.spoolDir, ...args);

  test('a network sends as its own senders only', async () => {
    const server = await comes('10.1.0.5');
    const refused = await server.command(`MAIL FROM:<ceo@${DOMAIN}>`, 550);
    assert.equal(refused.text, `550 5.7.1 These servers send as app.${DOMAIN} [servers-as-themselves]`);
    await carried(await server.deliver(`a@app.${DOMAIN}`, [OUT], TEXT));
    await (await comes('10.3.0.5')).command(`MAIL FROM:<ceo@${DOMAIN}>`, 250);
  });

  test('who must log in sends nothing before, and then as himself', async () => {
    const stranger = await comes('10.2.0.5');
    const first = await stranger.command(`MAIL FROM:<alice@${DOMAIN}>`, 550);
    assert.equal(first.text, '550 5.7.1 Log in first [login-needed]');
    const alice = await comes('10.2.0.5', 'alice');
    const refused = await alice.command(`MAIL FROM:<ceo@${DOMAIN}>`, 550);
    assert.equal(refused.text, '550 5.7.1 alice sends as alice [alice-as-alice]');
    await alice.command(`MAIL FROM:<alice@${DOMAIN}>`, 250);
  });

  test('an account beyond its rate is held, whatever it sends as, and everybody else is carried', async () => {
    const thief = await comes('10.2.0.66', 'mallory');
    const ids: string[] = [];
    for (let n = 0; n < 4; n++) ids.push(await thief.deliver(`n${n}@${DOMAIN}`, [OUT], TEXT));
    await Promise.all(ids.slice(0, 2).map(carried));
    await carried(await (await comes('10.2.0.7', 'carol')).deliver(`carol@${DOMAIN}`, [OUT], TEXT));
    const held = await queue('list', '--state', 'held');
    assert.deepEqual(held.map(({ id }) => id).sort(), ids.slice(2).sort());
    const { rule } = await postern.logged('rule', ({ rule: id }) => id === 'rate-inside');
    assert.equal(rule, 'rate-inside');
    await queue('release', ids[2]!);
    await carried(ids[2]!);
    await queue('delete', ids[3]!);
    assert.deepEqual(await queue('list', '--state', 'held'), []);
  });

  test('a sender beyond its recipients is held', async () => {
    const client = await comes('10.3.0.8');
    const many = ['a', 'b', 'c', 'd'].map((local) => `${local}@else.example`);
    const id = await client.deliver(`bulk@${DOMAIN}`, many, TEXT);
    await postern.logged('accepted', (line) => line.id === id);
    assert.equal((await queue('list', '--state', 'held', id)).length, 4);
  });

  test('recipients, subjects and parts are judged as from outside', async () => {
    const client = await comes('10.3.0.9');
    await client.command(`MAIL FROM:<r1@${DOMAIN}>`, 250);
    assert.match((await client.command('RCPT TO:<x@rival.example>', 550)).text, /Not to them \[not-there\]$/);
    await client.command('RSET', 250);
    const offered = async (text: string): Promise<string> => (await client.offer(`r2@${DOMAIN}`, [OUT], text)).text;
    assert.match(await offered('Subject: our secret\r\n\r\nx\r\n'), /^550 5\.7\.1 It stays inside \[secret\]$/);
    assert.match(await offered(withPart('letter.docm')), /^550 5\.7\.1 No macros \[no-macros\]$/);
    assert.match(await offered('Subject: refuse me\r\n\r\nx\r\n'), /^550 5\.7\.1 Not this one \[hook\]$/);
  });

  test('parts are taken out and headers go through the firewall on the way out', async () => {
    const client = await comes('10.3.0.10');
    const trace = 'Received: from pc7.corp.example (pc7.corp.example [10.9.8.7]) by mail.corp.example\r\n';
    const content = await carried(
      await client.deliver(`p@${DOMAIN}`, [OUT], `${trace}X-Internal: yes\r\n${withPart('tool.exe')}`),
    );
    assert.match(content, /A program was removed\./);
    assert.doesNotMatch(content, /MZ|X-Internal|10\.9\.8\.7|corp\.example/);
  });
});
