/**
 * What the policy makes of content: filters, authentication, the header firewall, rewriting, parts that are taken
 * out.
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
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const BOB = `bob@${DOMAIN}`;

/** A hook whose answer the subject asks for. */
function answerTo(message: string): unknown {
  if (message.includes('Subject: refuse me')) return { verdict: 'reject', reply: { text: 'Not this one' } };
  if (message.includes('Subject: own code'))
    return { verdict: 'reject', reply: { code: 554, enhanced: '5.6.0', text: 'Not in this form' } };
  if (message.includes('Subject: mark me'))
    return { verdict: 'accept', headers: [{ do: 'add', name: 'X-Hook', value: 'seen' }] };
  if (message.includes('Subject: other body'))
    return { verdict: 'accept', body: Buffer.from('.Another\r\n.\r\nend\r\n').toString('base64') };
  return { verdict: 'accept' };
}

describe('content under a policy', () => {
  const file = join(temporaryFolder('content-policy'), 'policy.yaml');
  const clients: SmtpClient[] = [];
  let hook: http.Server;
  let inside: SmtpPeer;
  let outside: SmtpPeer;
  let postern: PosternProcess;
  before(async () => {
    hook = http.createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answerTo(Buffer.concat(parts).toString('latin1'))));
    });
    hook.listen(0, '127.0.0.1');
    await once(hook, 'listening');
    const { port } = hook.address() as AddressInfo;
    writeFileSync(
      file,
      `
rules:
  - { id: subject, when: { header.subject: { like: "*lottery*" } }, do: { reject: "No" } }
filters:
  - { name: hook, type: http, at: "http://127.0.0.1:${port}/", onFailure: closed, side: outside }
authentication: { privateClients: true }
mime:
  strip: [ { id: no-programs, extensions: [exe], notice: "A program was removed." } ]
rewrite:
  addresses: [ { inside: "alice@${DOMAIN}", outside: "a.liddell@${DOMAIN}" } ]
`,
    );
    inside = await SmtpPeer.start();
    outside = await SmtpPeer.start();
    postern = await startPostern({ INSIDE_ROUTE: inside.url, OUTSIDE_ROUTE: outside.url, CONFIG: file });
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await postern?.stop();
    await inside?.close();
    await outside?.close();
    hook?.close();
  });

  const greeted = async (at = postern.outside): Promise<SmtpClient> => {
    const client = await SmtpClient.greeted(at);
    clients.push(client);
    return client;
  };
  const arrives = async (text: string, to = BOB) => {
    const id = await (await greeted()).deliver('a@client.example', [to], text);
    return await inside.receivedId(id);
  };

  test('a filter refuses, in its own words', async () => {
    const client = await greeted();
    const reply = await client.offer('a@client.example', [BOB], 'Subject: refuse me\r\n\r\nx\r\n');
    assert.equal(reply.text, '550 5.7.1 Not this one [hook]');
  });

  test('a filter has its own codes, too', async () => {
    const client = await greeted();
    const reply = await client.offer('a@client.example', [BOB], 'Subject: own code\r\n\r\nx\r\n');
    assert.equal(reply.text, '554 5.6.0 Not in this form [hook]');
  });

  test('a filter adds a field, where it says', async () => {
    const { content } = await arrives('Subject: mark me\r\n\r\nx\r\n');
    assert.match(content, /\r\nSubject: mark me\r\nX-Hook: seen\r\n\r\nx\r\n$/);
  });

  test("a filter's body takes the place of the old one, with its dots", async () => {
    const { content } = await arrives('Subject: other body\r\n\r\nold\r\n');
    assert.match(content, /\r\nSubject: other body\r\n\r\n\.Another\r\n\.\r\nend\r\n$/);
  });

  test('our results are written on top, and forged ones are gone', async () => {
    const forged = 'Authentication-Results: postern.example; dkim=pass header.d=bank.example\r\n';
    const { content } = await arrives(`${forged}From: a@client.example\r\nSubject: x\r\n\r\nx\r\n`);
    assert.doesNotMatch(content, /bank\.example/);
    assert.match(content, /\r\nAuthentication-Results: postern\.example;[\s\S]*spf=temperror/);
  });

  test('what only the inside may say does not come from outside', async () => {
    const { content } = await arrives('X-MS-Exchange-Organization-SCL: -1\r\nX-Other: y\r\nSubject: x\r\n\r\nx\r\n');
    assert.doesNotMatch(content, /Exchange-Organization/);
    assert.match(content, /\r\nX-Other: y\r\n/);
  });

  test('a rule asks for the subject as people see it', async () => {
    const client = await greeted();
    const subject = `=?utf-8?B?${Buffer.from('the lottery').toString('base64')}?=`;
    const reply = await client.offer('a@client.example', [BOB], `Subject: ${subject}\r\n\r\nx\r\n`);
    assert.equal(reply.text, '550 5.7.1 No [subject]');
  });

  test('a part is taken out, and a notice stands in its place', async () => {
    const part = (name: string, text: string) =>
      `--b\r\nContent-Disposition: attachment; filename=${name}\r\n\r\n${text}\r\n`;
    const parts = `${part('ok.txt', 'kept')}${part('bad.exe', 'MZ')}--b--\r\n`;
    const header = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nSubject: parts\r\n\r\n';
    const { content } = await arrives(header + parts);
    assert.match(content, /kept/);
    assert.doesNotMatch(content, /MZ/);
    assert.match(content, /A program was removed\./);
  });

  test('an address is another one outside, in envelope and header, and finds its way back', async () => {
    const client = await greeted(postern.inside);
    const from = `From: Alice <alice@${DOMAIN}>\r\n`;
    const id = await client.deliver(`alice@${DOMAIN}`, ['x@else.example'], `${from}Subject: x\r\n\r\nx\r\n`);
    const { sender, content } = await outside.receivedId(id);
    assert.equal(sender, `a.liddell@${DOMAIN}`);
    assert.match(content, new RegExp(`\r\nFrom: Alice <a\\.liddell@${DOMAIN}>\r\n`));
    const { recipients } = await arrives('Subject: back\r\n\r\nx\r\n', `a.liddell@${DOMAIN}`);
    assert.deepEqual(recipients, [`alice@${DOMAIN}`]);
  });
});
