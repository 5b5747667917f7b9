/** A list of ten million lines is read while mail goes on, and one line more is refused: the list before stays. */
import assert from 'node:assert/strict';
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/folders.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const LINES = 10_000_000;
const BLOCK_LINES = 100_000;
const BOB = `bob@${DOMAIN}`;

test('a list of ten million lines', async (context) => {
  const folder = temporaryFolder('long-lists');
  const [file, list] = [join(folder, 'policy.yaml'), join(folder, 'list')];
  for (let block = 0; block < LINES; block += BLOCK_LINES)
    appendFileSync(list, Array.from({ length: BLOCK_LINES }, (_, at) => `h${block + at}.example\n`).join(''));
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const policyOf = (entries: string): string =>
    [
      'rules: [ { id: listed, when: { from.domain: { in: deny } }, do: { reject: "No" } } ]',
      `lists: { deny: { ${entries} } }`,
    ].join('\n');
  write(policyOf('entries: [before.example]'));
  const peer = await SmtpPeer.start();
  context.after(() => peer.close());
  const postern = await startPostern({ INSIDE_ROUTE: peer.url, CONFIG: file });
  context.after(() => postern.kill());
  const client = await SmtpClient.greeted(postern.outside);
  const codeOf = async (sender: string): Promise<number> => {
    const { code } = await client.command(`MAIL FROM:<a@${sender}>`);
    await client.command('RSET', 250);
    return code;
  };
  /** Until there is such a line; how many sessions came and went meanwhile, with a message each. */
  const mailUntil = async (event: string): Promise<number> => {
    let sessions = 0;
    for (; !postern.logs.some((line) => line.event === event); sessions++) {
      const other = await SmtpClient.greeted(postern.outside);
      await other.deliver('a@client.example', [BOB], 'Subject: x\r\n\r\nx\r\n');
      await other.quit();
    }
    return sessions;
  };

  assert.equal(await codeOf('before.example'), 550);
  write(policyOf(`file: ${list}`));
  assert.ok((await mailUntil('policy-loaded')) > 10, 'mail goes on');
  for (const sender of ['h0.example', 'h9999999.example']) assert.equal(await codeOf(sender), 550, sender);
  for (const sender of ['before.example', 'h10000000.example']) assert.equal(await codeOf(sender), 250, sender);

  appendFileSync(list, 'one.more.example\n');
  postern.signal('SIGHUP');
  await mailUntil('policy-refused');
  const { faults } = await postern.logged('policy-refused');
  assert.match(String(faults), /^deny: more than 10000000 lines/);
  assert.equal(await codeOf('h9999999.example'), 550, 'the list before stays');
});
