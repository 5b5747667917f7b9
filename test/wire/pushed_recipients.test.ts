/** The inside pushes hashes of its addresses, and who is not among them is unknown from then on. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Client } from 'undici';
import { eventually } from '../support/deadline.ts';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { INTEROP_SKIPPED, run } from '../support/programs.ts';
import { SmtpClient } from '../support/smtp_client.ts';

const SALT = '00112233445566778899aabbccddeeff';
const TOKENS = ['0123456789abcdef'.repeat(4), 'fedcba9876543210'.repeat(4)] as const;
const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

const hashOf = (address: string): string =>
  createHash('sha256').update(Buffer.from(SALT, 'hex')).update(address).digest('hex');

const folder = temporaryFolder('pushed');
const tokenFile = join(folder, 'token');
const configFile = join(folder, 'policy.yaml');
let postern: PosternProcess;
let admin: Client;
before(async () => {
  writeFileSync(configFile, 'recipients: { source: hashes, onFailure: defer }\n');
  writeFileSync(tokenFile, `${TOKENS[0]}\n`);
  postern = await startPostern({ CONFIG: configFile, ADMIN_TOKEN_FILE: tokenFile });
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

async function push(body: string, token: string, at = postern): Promise<number> {
  const { host, port } = at.admin;
  const headers = { 'x-salt': SALT, authorization: `Bearer ${token}` };
  const answer = await fetch(`http://${host}:${port}/api/recipients`, { method: 'PUT', headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

/** The codes to RCPT, of local parts here. */
async function codesOf(at: PosternProcess, ...locals: readonly string[]): Promise<number[]> {
  const client = await SmtpClient.greeted(at.outside);
  await client.command('MAIL FROM:<a@client.example>', 250);
  const codes: number[] = [];
  for (const local of locals) codes.push((await client.command(`RCPT TO:<${local}@${DOMAIN}>`)).code);
  await client.quit();
  return codes;
}

/** A shard hears of a push a moment after the one who pushed. */
const becomes = (codes: readonly number[], ...locals: readonly string[]) =>
  eventually(`${codes} for ${locals}`, async () => isDeepStrictEqual(await codesOf(postern, ...locals), codes));

test('recipients are unsure before the first push, and known or unknown after it', async () => {
  const client = await SmtpClient.greeted(postern.outside);
  await client.command('MAIL FROM:<a@client.example>', 250);
  await client.command(`RCPT TO:<bob@${DOMAIN}>`, 451);
  assert.equal(await put('short', hashOf('x')), 400);
  assert.equal(await put(SALT, 'no hash\n'), 400);
  assert.equal(await put(SALT, `${hashOf(`bob@${DOMAIN}`)}\n`), 204);
  await becomes([250, 550], 'bob', 'eve');
  await client.command('RSET', 250);
  await client.command('MAIL FROM:<a@client.example>', 250);
  await client.command(`RCPT TO:<bob@${DOMAIN}>`, 250);
  const reply = await client.command(`RCPT TO:<eve@${DOMAIN}>`, 550);
  assert.equal(reply.text, '550 5.1.1 No such recipient here [unknown-recipient]');
  client.destroy();
});

test('over TCP with the token, which SIGHUP changes; neither it nor a guess is ever in the log', async () => {
  assert.equal(await push(`${hashOf(`ann@${DOMAIN}`)}\n`, 'a-wrong-guess-at-the-token'), 401);
  assert.equal(await push(`${hashOf(`ann@${DOMAIN}`)}\n`, TOKENS[0]), 204);
  await becomes([250, 550], 'ann', 'bob');
  writeFileSync(tokenFile, 'short');
  postern.signal('SIGHUP');
  await postern.logged('token-refused');
  assert.equal(await push(`${hashOf(`cid@${DOMAIN}`)}\n`, TOKENS[0]), 204, 'the old one stays');
  writeFileSync(tokenFile, TOKENS[1]);
  postern.signal('SIGHUP');
  await postern.logged('token-loaded');
  assert.equal(await push(`${hashOf(`eve@${DOMAIN}`)}\n`, TOKENS[0]), 401);
  assert.equal(await push(`${hashOf(`dan@${DOMAIN}`)}\n`, TOKENS[1]), 204);
  const pushed = await postern.loggedAll('recipients-pushed', 4);
  assert.deepEqual(
    pushed.map(({ client, recipients }) => [client, recipients]),
    [['admin.sock', 1], ...new Array(3).fill(['127.0.0.1', 1])],
  );
  const log = JSON.stringify(postern.logs);
  for (const secret of [...TOKENS, 'a-wrong-guess', SALT]) assert.ok(!log.includes(secret));
});

test('what is pushed is in force though the policy file has faults meanwhile, and stays so', async () => {
  const text = readFileSync(configFile, 'utf8');
  writeFileSync(configFile, `${text}limts: []\n`);
  postern.signal('SIGHUP');
  await postern.logged('policy-refused');
  const readings = postern.logs.filter(({ event }) => event === 'policy-loaded').length;
  assert.equal(await push(`${hashOf(`fay@${DOMAIN}`)}\n`, TOKENS[1]), 204);
  await becomes([250, 550], 'fay', 'dan');
  writeFileSync(configFile, text);
  postern.signal('SIGHUP');
  await postern.loggedAll('policy-loaded', readings + 1);
  await becomes([250, 550], 'fay', 'dan');
});

test('what was pushed outlives a process that is killed in the middle of the next push', async (context) => {
  const environment = { CONFIG: configFile, ADMIN_TOKEN_FILE: tokenFile };
  const first = await startPostern(environment);
  context.after(() => first.kill());
  assert.equal(await push(`${hashOf(`ann@${DOMAIN}`)}\n`, TOKENS[1], first), 204);
  const half = async function* () {
    yield Buffer.from(`${hashOf(`bob@${DOMAIN}`)}\n`);
    await first.kill();
  };
  const { host, port } = first.admin;
  const headers = { 'x-salt': SALT, authorization: `Bearer ${TOKENS[1]}` };
  const init = { method: 'PUT', headers, body: half(), duplex: 'half' } as unknown as RequestInit;
  await assert.rejects(fetch(`http://${host}:${port}/api/recipients`, init));
  const second = await startPostern(environment, first.spoolDir);
  context.after(() => second.kill());
  assert.deepEqual(await codesOf(second, 'ann', 'bob'), [250, 550]);
});

test("README's script makes the hashes and pushes them", { skip: INTEROP_SKIPPED }, async () => {
  const inside = temporaryFolder('inside');
  const { host, port } = postern.admin;
  const script = /```sh\n(#!\/bin\/sh\n[\s\S]*?)```/.exec(README)?.[1]?.replace('10.0.0.2:8025', `${host}:${port}`);
  assert.ok(script?.includes(`${host}:${port}/api/recipients`), 'README has it');
  const runScript = () => run('sh', ['-c', `cd '${inside}'\n${script}`]);
  writeFileSync(join(inside, 'addresses.txt'), `Jane@${DOMAIN}\r\n\nj\u00fcrgen@${DOMAIN}\n`);
  writeFileSync(join(inside, 'token.header'), `Authorization: Bearer ${TOKENS[0]}\n`);
  const refused = await runScript();
  assert.deepEqual(
    [refused.code === 0, /no token, or a wrong one/.test(refused.output)],
    [false, true],
    refused.output,
  );
  writeFileSync(join(inside, 'token.header'), `Authorization: Bearer ${TOKENS[1]}\n`);
  const { code, output } = await runScript();
  assert.equal(code, 0, output);
  await becomes([250, 550], 'jane', 'dan');
  const client = await SmtpClient.greeted(postern.outside);
  await client.command('MAIL FROM:<a@client.example> SMTPUTF8', 250);
  await client.command(Buffer.from(`RCPT TO:<J\u00dcRGEN@${DOMAIN}>`).toString('latin1'), 250);
  await client.quit();
});
