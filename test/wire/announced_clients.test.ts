/** Rules about who connects hold for the client that XCLIENT names, as they do for one that comes by itself. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';

const RULES = `
rules:
  - { id: unwelcome, when: { client.address: { in: bad } }, do: { reject: "Not you" } }
  - { id: slow, when: { client.address: { in: slow } }, do: { tarpit: 1 } }
lists: { bad: { entries: [203.0.113.0/24] }, slow: { entries: [198.51.100.0/24] } }
`;

let postern: PosternProcess;
before(async () => {
  const file = join(temporaryFolder('announced'), 'policy.yaml');
  writeFileSync(file, RULES);
  postern = await startPostern({ CONFIG: file, XCLIENT_NETWORKS: '127.0.0.1/32' });
});
after(async () => {
  await postern?.stop();
});

test('who is refused when he connects is refused when he is announced', async () => {
  const client = await SmtpClient.greeted(postern.outside);
  const reply = await client.command('XCLIENT ADDR=203.0.113.9', 554);
  assert.equal(reply.text, '554 5.7.1 Not you [unwelcome]');
  const line = await postern.logged('session', (each) => each.client === '203.0.113.9');
  assert.equal(line.end, 'policyClosed');
});

test('who waits for his banner waits for the one after XCLIENT, and then he is served', async () => {
  const client = await SmtpClient.greeted(postern.outside);
  const start = performance.now();
  await client.command('XCLIENT ADDR=198.51.100.9', 220);
  assert.ok(performance.now() - start > 900);
  await client.command('EHLO client.example', 250);
  await client.command('MAIL FROM:<a@client.example>', 250);
  await client.command(`RCPT TO:<b@${DOMAIN}>`, 250);
  await client.command('QUIT', 221);
});
