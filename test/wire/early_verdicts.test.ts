/** A message that its header section has condemned is read to its end, and nothing else is done with it. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/deadline.ts';
import { FakeMilter } from '../support/fake_milter.ts';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const BOB = `bob@${DOMAIN}`;
const LINES = `${'x'.repeat(70)}\r\n`.repeat(15_000);

describe('a verdict over the header section', () => {
  let milter: FakeMilter;
  let inside: SmtpPeer;
  let postern: PosternProcess;
  let client: SmtpClient;
  before(async () => {
    milter = await FakeMilter.start();
    inside = await SmtpPeer.start();
    const file = join(temporaryFolder('early-verdicts'), 'policy.yaml');
    writeFileSync(
      file,
      `
rules:
  - { id: lottery, when: { header.subject: { like: "*lottery*" } }, do: { reject: "Not wanted" } }
  - { id: not-yet, when: { header.subject: { like: "*later*" } }, do: { defer: "Not now" } }
  - { id: away, when: { header.subject: { like: "*waste*" } }, do: { discard: true } }
  - { id: friend, when: { header.subject: { like: "*friend*" } }, do: { accept: true } }
filters:
  - { name: milt, type: milter, at: "${milter.at}" }
authentication: { privateClients: true }
`,
    );
    postern = await startPostern({ INSIDE_ROUTE: inside.url, CONFIG: file });
    client = await SmtpClient.greeted(postern.outside);
  });
  after(async () => {
    client?.destroy();
    await postern?.stop();
    await inside?.close();
    await milter?.close();
  });

  const contentFiles = (): string[] => readdirSync(join(postern.spoolDir, 'shard-00', 'content'));
  const bodyBytes = (): number => milter.told('B').reduce((sum, { length }) => sum + length, 0);
  async function begin(): Promise<void> {
    await client.command('MAIL FROM:<a@client.example>', 250);
    await client.command(`RCPT TO:<${BOB}>`, 250);
    milter.commands.length = 0;
  }

  for (const [subject, reply] of [
    ['lottery', /^550 5\.7\.1 Not wanted \[lottery\]$/],
    ['later', /^451 4\.7\.1 Not now \[not-yet\]$/],
    ['waste', /^250 2\.0\.0 /],
  ] as const) {
    test(`${subject}: by DATA, told at the end`, async () => {
      await begin();
      await client.command('DATA', 354);
      await client.send(`Subject: ${subject}\r\n\r\n${LINES}`);
      await milter.heard('A');
      await client.send(`${LINES}.\r\n`);
      assert.match((await client.reply()).text, reply);
      await eventually('no content is kept', () => contentFiles().length === 0);
      assert.equal(milter.told('E').length, 0, 'the filter is not asked');
      assert.ok(bodyBytes() < LINES.length / 4, `it was shown ${bodyBytes()} bytes`);
    });
  }

  test('by BDAT: chunks are taken, and the last one is refused', async () => {
    await begin();
    const first = `Subject: lottery\r\n\r\n${LINES}`;
    await client.send(`BDAT ${first.length}\r\n${first}`);
    await client.expect(250);
    await client.send(`BDAT ${LINES.length} LAST\r\n${LINES}`);
    assert.match((await client.reply()).text, /^550 5\.7\.1 Not wanted \[lottery\]$/);
    await eventually('no content is kept', () => contentFiles().length === 0);
  });

  test('a header section without a body, and one that is accepted, go on as ever', async () => {
    await begin();
    await client.command('DATA', 354);
    await client.send('Subject: lottery\r\n.\r\n');
    assert.match((await client.reply()).text, /\[lottery\]$/);
    const id = await client.deliver('a@client.example', [BOB], `Subject: friend\r\n\r\n${LINES}`);
    const { content } = await inside.receivedId(id);
    assert.ok(content.endsWith(LINES));
    const plain = await client.deliver('a@client.example', [BOB], 'Subject: plain\r\n\r\nx\r\n');
    await inside.receivedId(plain);
    const left = inside.messages.map((message) => /^Subject: (.*)\r$/m.exec(message.content)?.[1]);
    assert.deepEqual(left, ['friend', 'plain']);
  });
});
