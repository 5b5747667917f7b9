/**
 * A filter that hangs, dies, talks nonsense, gives up among its changes or floods: where it must not be missed
 * (`closed`, the inside here) the message is deferred, and where it may be (`open`, the outside) it goes on as it came.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { MilterScript } from '../support/fake_milter.ts';
import { FakeMilter, number, reply } from '../support/fake_milter.ts';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import type { Reply } from '../support/smtp_client.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const BOB = `bob@${DOMAIN}`;
const TEXT = `Subject: one\r\n\r\n${'A line of it.\r\n'.repeat(10_000)}`;

const at =
  (wanted: string, answer: ReturnType<NonNullable<MilterScript['answer']>>): NonNullable<MilterScript['answer']> =>
  ({ letter }) =>
    letter === wanted ? answer : undefined;
const CHANGES = [reply('h', 'X-A\0b\0'), reply('m', Buffer.concat([number(1), Buffer.from('Subject\0two\0')]))];
const BODY = reply('b', 'Another body\r\n');

type Behaviour = Pick<MilterScript, 'answer' | 'lastLetter'>;
const BEHAVIOURS: readonly (readonly [name: string, how: Behaviour, reason: RegExp])[] = [
  ['hangs', { answer: at('E', null) }, /timeout/],
  ['dies before the first word', { answer: at('O', 'hang-up') }, /died/],
  ['dies in the middle of the body', { answer: at('B', 'hang-up') }, /died/],
  ['talks nonsense', { answer: at('E', [Buffer.from('220 hello\r\n')]) }, /malformed/],
  ['dies among its changes', { answer: at('E', [...CHANGES, BODY]), lastLetter: 'E' }, /died/],
  ['ends a change half way', { answer: at('E', [...CHANGES, BODY.subarray(0, 9)]), lastLetter: 'E' }, /died/],
  ['floods with changes', { answer: at('E', [...Array(600).fill(CHANGES[0]), reply('c')]) }, /bounds/],
  ['floods with a body', { answer: at('E', Array(2000).fill(reply('b', Buffer.alloc(65_535, 'x')))) }, /bounds/],
  ['says that it works, for ever', { answer: at('E', Array(11_000).fill(reply('p'))) }, /malformed/],
];

/** Of a whole transaction: a filter that is not there is missed at MAIL already. */
async function firstRefusal(client: SmtpClient): Promise<Reply> {
  for (const command of [`MAIL FROM:<alice@${DOMAIN}>`, `RCPT TO:<${BOB}>`]) {
    const reply = await client.command(command);
    if (reply.code !== 250) return reply;
  }
  await client.command('DATA', 354);
  await client.send(`${TEXT}.\r\n`);
  return await client.reply();
}

describe('a filter that', () => {
  let behaviour: Behaviour = {};
  let milter: FakeMilter;
  let peer: SmtpPeer;
  let postern: PosternProcess;
  before(async () => {
    milter = await FakeMilter.start({
      answer: (command) => behaviour.answer?.(command),
      get lastLetter() {
        return behaviour.lastLetter ?? '';
      },
    });
    peer = await SmtpPeer.start();
    const file = join(temporaryFolder('bad-filters'), 'policy.yaml');
    const common = `type: milter, at: "${milter.at}", stepMs: 3000, breaker: { failures: 1000 }`;
    const open = `{ name: open, onFailure: open, side: outside, ${common} }`;
    writeFileSync(file, `filters: [ ${open}, { name: closed, onFailure: closed, side: inside, ${common} } ]\n`);
    postern = await startPostern({ INSIDE_ROUTE: peer.url, CONFIG: file });
  });
  after(async () => {
    await postern?.stop();
    await peer?.close();
    await milter?.close();
  });

  test('works: its changes are made', async () => {
    behaviour = { answer: at('E', [...CHANGES, BODY, reply('c')]) };
    const client = await SmtpClient.greeted(postern.outside);
    const { content } = await peer.receivedId(await client.deliver('a@client.example', [BOB], TEXT));
    assert.match(content, /\r\nSubject: two\r\nX-A: b\r\n\r\nAnother body\r\n$/);
    await client.quit();
  });

  for (const [index, [name, how, reason]] of BEHAVIOURS.entries()) {
    test(name, async () => {
      behaviour = how;
      const before = peer.messages.length;
      const [stranger, own] = await Promise.all([
        SmtpClient.greeted(postern.outside, 'stranger.example'),
        SmtpClient.greeted(postern.inside, 'own.example'),
      ]);
      const [refused, id] = await Promise.all([firstRefusal(own), stranger.deliver('a@client.example', [BOB], TEXT)]);
      assert.equal(refused.code, 451, refused.text);
      const { content } = await peer.receivedId(id);
      assert.ok(content.endsWith(TEXT), content.slice(0, 1000));
      assert.doesNotMatch(content, /^X-A/m);
      assert.equal(peer.messages.length, before + 1, 'what was deferred went nowhere');
      const failures = await postern.loggedAll('filter', 2 * (index + 1), ({ detail }) => detail !== '');
      for (const { detail } of failures.slice(-2)) assert.match(String(detail), reason);
      await Promise.all([stranger.quit(), own.quit()]);
    });
  }
});
