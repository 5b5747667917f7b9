/** Rules that send mail elsewhere: what goes where, and that it still does after whatever ends the process. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { temporaryFolder } from '../support/folders.ts';
import { freePort } from '../support/free_port.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { queue } from '../support/queue_command.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const TEXT = 'Subject: x\r\n\r\nText\r\n';
const [BOB, NEW] = [`bob@${DOMAIN}`, `new@${DOMAIN}`];

/** Gone with the test, however it ends. */
async function startPeer(t: TestContext, port = 0): Promise<SmtpPeer> {
  const peer = await SmtpPeer.start({ port });
  t.after(() => peer.close());
  return peer;
}

async function sendTo(at: PosternProcess['outside'], sender: string, to: readonly string[], text = TEXT) {
  const client = await SmtpClient.greeted(at);
  const id = await client.deliver(sender, to, text);
  await client.quit();
  return id;
}

const recipientsAt = (peer: SmtpPeer): string[] => peer.messages.flatMap(({ recipients }) => recipients).sort();

describe('rules that send mail elsewhere', () => {
  let inside: SmtpPeer;
  let outside: SmtpPeer;
  let elsewhere: SmtpPeer;
  let postern: PosternProcess;
  before(async () => {
    [inside, outside, elsewhere] = await Promise.all([SmtpPeer.start(), SmtpPeer.start(), SmtpPeer.start()]);
    const file = join(temporaryFolder('routes'), 'policy.yaml');
    writeFileSync(
      file,
      `
rules:
  - { id: new-server, when: { rcpt: ${NEW} }, do: { route: "${elsewhere.url}" } }
  - { id: spam, when: { side: outside, header.subject: { like: "*lottery*" } }, do: { route: "${elsewhere.url}" } }
  - { id: bulk, when: { side: inside, from: { like: "news@*" } }, do: { route: "${elsewhere.url}" } }
`,
    );
    postern = await startPostern({ INSIDE_ROUTE: inside.url, OUTSIDE_ROUTE: outside.url, CONFIG: file });
  });
  after(async () => {
    await postern?.stop();
    for (const peer of [inside, outside, elsewhere]) await peer?.close();
  });

  test('a recipient goes to its server, the other one of the message as ever', async () => {
    const id = await sendTo(postern.outside, 'a@client.example', [BOB, NEW]);
    const [there, here] = [await elsewhere.receivedId(id), await inside.receivedId(id)];
    assert.deepEqual([there.recipients, here.recipients], [[NEW], [BOB]]);
    assert.ok(there.content.endsWith(TEXT));
    const { site } = await postern.logged('delivery', ({ to }) => to === NEW);
    assert.equal(site, `inside ${elsewhere.url}?tls=may`);
  });

  test('a rule over the content sends all recipients there', async () => {
    const id = await sendTo(postern.outside, 'a@client.example', [BOB, NEW], TEXT.replace(': x', ': the lottery'));
    assert.deepEqual((await elsewhere.receivedId(id)).recipients, [BOB, NEW]);
  });

  test('mail outwards is routed as well', async () => {
    const id = await sendTo(postern.inside, `news@${DOMAIN}`, ['x@else.example']);
    assert.deepEqual((await elsewhere.receivedId(id)).recipients, ['x@else.example']);
    const other = await sendTo(postern.inside, `alice@${DOMAIN}`, ['x@else.example']);
    await outside.receivedId(other);
    assert.deepEqual([recipientsAt(outside), recipientsAt(inside)], [['x@else.example'], [BOB]]);
  });
});

for (const end of ['kill', 'stop'] as const) {
  test(`what waits for another server goes there after a ${end}, though no rule says so any more`, async (t) => {
    const inside = await startPeer(t);
    const port = await freePort();
    const folder = temporaryFolder('routes');
    const file = join(folder, 'policy.yaml');
    writeFileSync(
      file,
      `
rules:
  - { id: keep, when: { from: keep@client.example }, do: { hold: true } }
  - { id: new-server, when: { rcpt: ${NEW} }, do: { route: "smtp://127.0.0.1:${port}?tls=never" } }
`,
    );
    const settings = { INSIDE_ROUTE: inside.url, CONFIG: file };
    const first = await startPostern(settings);
    t.after(() => first.kill());
    const id = await sendTo(first.outside, 'a@client.example', [BOB, NEW]);
    const held = await sendTo(first.outside, 'keep@client.example', [NEW]);
    await inside.receivedId(id);
    const site = `inside smtp://127.0.0.1:${port}?tls=never`;
    await first.logged('deferred', (line) => line.site === site);
    const waiting = await queue(first.spoolDir, 'list', '--site', '*tls=never');
    assert.deepEqual(
      waiting.map(({ recipient, site: at, attempts }) => [recipient, at, Number(attempts) > 0]),
      [[NEW, site, true]],
    );
    await first[end]();
    writeFileSync(file, '');
    const [shown] = await queue(first.spoolDir, 'show', held);
    assert.deepEqual(
      (shown!.recipients as Record<string, unknown>[]).map(({ route, state }) => [route, state]),
      [[`smtp://127.0.0.1:${port}?tls=never`, 'held']],
    );
    const elsewhere = await startPeer(t, port);
    const second = await startPostern(settings, first.spoolDir);
    t.after(() => second.kill());
    assert.deepEqual((await elsewhere.receivedId(id)).recipients, [NEW]);
    await queue(first.spoolDir, 'release', held);
    assert.deepEqual((await elsewhere.receivedId(held)).recipients, [NEW]);
    assert.deepEqual([recipientsAt(inside), recipientsAt(elsewhere)], [[BOB], [NEW, NEW]]);
    assert.equal(await second.stop(), 0);
  });
}

test('a route that leads back to us ends as any loop does, with a bounce', async (t) => {
  const [inside, outside] = [await startPeer(t), await startPeer(t)];
  const at = `127.0.0.1:${await freePort()}`;
  const file = join(temporaryFolder('routes'), 'policy.yaml');
  writeFileSync(file, `rules: [ { id: round, when: { rcpt: ${NEW} }, do: { route: "smtp://${at}" } } ]`);
  const postern = await startPostern({
    ...{ INSIDE_ROUTE: inside.url, OUTSIDE_ROUTE: outside.url, CONFIG: file },
    ...{ OUTSIDE_LISTEN: at, RECEIVED_FIELDS_MAX: '10' },
  });
  t.after(() => postern.kill());
  await sendTo(postern.outside, 'a@client.example', [NEW]);
  const bounce = await outside.received('the bounce', ({ recipients }) => recipients.includes('a@client.example'));
  assert.match(bounce.content, /5\.4\.6/);
  assert.equal((await postern.loggedAll('accepted', 11)).length, 11, 'with no field of ours, and with ten');
  assert.deepEqual(inside.messages, []);
});
