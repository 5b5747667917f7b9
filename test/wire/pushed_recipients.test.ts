/** The inside pushes hashes of its addresses, and who is not among them is unknown from then on. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from 'undici';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';

const SALT = '00112233445566778899aabbccddeeff';
const hashOf = (address: string): string =>
  createHash('sha256').update(Buffer.from(SALT, 'hex')).update(address).digest('hex');

let postern: PosternProcess;
let admin: Client;
before(async () => {
  const file = join(temporaryFolder('pushed'), 'policy.yaml');
  writeFileSync(file, 'recipients: { source: hashes, onFailure: defer }\n');
  postern = await startPostern({ CONFIG: file });
  admin = new Client('http://localhost', { socketPath: join(postern.spoolDir, 'admin.sock') });
});
after(async () => {
  await admin?.close();
  await postern?.stop();
});

async function put(salt: string, body: string): Promise<number> {
  const answer = await admin.request({ method: 'PUT', path: '/api/recipients', headers: { 'x-salt': salt }, body });
  await answer.body.dump();
  return answer.statusCode;
}

test('recipients are unsure before the first push, and known or unknown after it', async () => {
  const client = await SmtpClient.greeted(postern.outside);
  await client.command('MAIL FROM:<a@client.example>', 250);
  await client.command(`RCPT TO:<bob@${DOMAIN}>`, 451);
  assert.equal(await put('short', hashOf('x')), 400);
  assert.equal(await put(SALT, 'no hash\n'), 400);
  assert.equal(await put(SALT, `${hashOf(`bob@${DOMAIN}`)}\n`), 204);
  await postern.logged('policy-loaded');
  await client.command('RSET', 250);
  await client.command('MAIL FROM:<a@client.example>', 250);
  await client.command(`RCPT TO:<bob@${DOMAIN}>`, 250);
  const reply = await client.command(`RCPT TO:<eve@${DOMAIN}>`, 550);
  assert.equal(reply.text, '550 5.1.1 No such recipient here [unknown-recipient]');
  client.destroy();
});
