/** Rules of the policy file at each stage of a dialogue, and the file read again while sessions go on. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const TEXT = 'Subject: x\r\n\r\nText\r\n';

const RULES = `
rules:
  - { id: bad-helo, when: { helo: { like: "*.spam.example" } }, do: { reject: "Not you" } }
  - { id: slow, when: { helo: slow.example }, do: { tarpit: 1 } }
  - { id: friend, when: { from: friend@client.example }, do: { accept: true } }
  - { id: bad-sender, when: { from.domain: bad.example }, do: { defer: "Not now" } }
  - { id: only-tried, when: { from.domain: client.example }, do: { reject: "never said" }, dryRun: true }
  - { id: gone, when: { rcpt: { like: "gone@*" } }, do: { reject: { text: "Gone", status: 5.1.1 } } }
  - { id: mark, when: { side: outside }, do: { tag: { header: X-Seen, value: "yes" } } }
  - { id: big, when: { bytes: { atLeast: 1000 } }, do: { reject: "Too big for us" } }
  - { id: away, when: { from: away@client.example }, do: { discard: true } }
  - { id: keep, when: { from: keep@client.example }, do: { hold: true } }
`;

describe('the policy file', () => {
  const folder = temporaryFolder('policy');
  const file = join(folder, 'policy.yaml');
  let peer: SmtpPeer;
  let postern: PosternProcess;
  const clients: SmtpClient[] = [];
  before(async () => {
    writeFileSync(file, RULES);
    peer = await SmtpPeer.start();
    postern = await startPostern({ INSIDE_ROUTE: peer.url, CONFIG: file });
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await postern?.stop();
    await peer?.close();
  });

  const greeted = async (name?: string): Promise<SmtpClient> => {
    const client = await SmtpClient.greeted(postern.outside, name);
    clients.push(client);
    return client;
  };

  test('refuses by the name in EHLO, with the rule in the reply, in the log and in the metrics', async () => {
    const client = await SmtpClient.connect(postern.outside);
    clients.push(client);
    await client.expect(220);
    const reply = await client.command('EHLO a.spam.example', 550);
    assert.equal(reply.text, '550 5.7.1 Not you [bad-helo]');
    const line = await postern.logged('refused', ({ rule }) => rule === 'bad-helo');
    assert.equal(line.facts, 'helo=a.spam.example');
    assert.deepEqual([line.reason, line.stage, line.helo, line.tried], ['policyReject', 'helo', 'a.spam.example', 1]);
    const held = (labels: string) => postern.metric('postern_rule_matches_total', labels);
    assert.equal(await held('rule="bad-helo",action="reject",dry_run="false"'), 1);
    assert.equal(await held('rule="only-tried",action="reject",dry_run="true"'), 0);
    assert.equal(await held('rule="dmarc-reject",action="reject",dry_run="false"'), 0);
    await client.command('EHLO fine.example', 250);
  });

  test('defers a sender, and the session goes on', async () => {
    const client = await greeted();
    const reply = await client.command('MAIL FROM:<a@bad.example>', 451);
    assert.equal(reply.text, '451 4.7.1 Not now [bad-sender]');
    await client.command('MAIL FROM:<a@client.example>', 250);
  });

  test('refuses one recipient and takes the other', async () => {
    const client = await greeted();
    await client.command('MAIL FROM:<a@client.example>', 250);
    const reply = await client.command(`RCPT TO:<gone@${DOMAIN}>`, 550);
    assert.equal(reply.text, '550 5.1.1 Gone [gone]');
    await client.command(`RCPT TO:<bob@${DOMAIN}>`, 250);
  });

  test('keeps a pipelining client in step while a reply waits', async () => {
    const client = await SmtpClient.connect(postern.outside);
    clients.push(client);
    await client.expect(220);
    await client.send(`EHLO slow.example\r\nMAIL FROM:<a@bad.example>\r\nNOOP\r\n`);
    await client.expect(250);
    await client.expect(451);
    await client.expect(250);
  });

  test('a dry run is logged and refuses nothing, a tag is a header field', async () => {
    const client = await greeted();
    await client.deliver('dry@client.example', [`tagged@${DOMAIN}`], TEXT);
    const message = await peer.received('it', ({ recipients }) => recipients.includes(`tagged@${DOMAIN}`));
    assert.match(message.content, /\r\nX-Seen: yes\r\nSubject: x\r\n/);
    const line = await postern.logged('rule', ({ rule }) => rule === 'only-tried');
    assert.equal(line.dryRun, true);
  });

  test('refuses after the content, but not whom an earlier rule accepted', async () => {
    const client = await greeted();
    const large = `Subject: x\r\n\r\n${'text\r\n'.repeat(300)}`;
    const refused = await client.offer('a@client.example', [`bob@${DOMAIN}`], large);
    assert.equal(refused.text, '550 5.7.1 Too big for us [big]');
    await client.deliver('friend@client.example', [`large@${DOMAIN}`], large);
  });

  test('discards with a 250, and holds in the queue', async () => {
    const client = await greeted();
    await client.deliver('away@client.example', [`discarded@${DOMAIN}`], TEXT);
    await client.deliver('keep@client.example', [`held@${DOMAIN}`], TEXT);
    await client.deliver('a@client.example', [`last@${DOMAIN}`], TEXT);
    await peer.received('it', ({ recipients }) => recipients.includes(`last@${DOMAIN}`));
    await postern.logged('discarded');
    const recipients = peer.messages.flatMap((each) => each.recipients);
    assert.ok(!recipients.includes(`discarded@${DOMAIN}`) && !recipients.includes(`held@${DOMAIN}`));
    await postern.logged('accepted', ({ to }) => to === `held@${DOMAIN}`);
  });

  test('is read again when it changes: whole, or not at all, and sessions go on', async () => {
    const client = await greeted();
    const replace = (text: string) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    const faulty = RULES.replace('from.domain: bad.example', 'from.domian: bad.example');
    replace(`${faulty}greylist: { waitSeconds: soon }\nlimts: []\n`);
    const refused = await postern.logged('policy-refused');
    const lines = faulty.split('\n').length;
    const expected = [
      /policy\.yaml:6: rules\.3\.when\.from\.domian: there is no fact/,
      new RegExp(`policy\\.yaml:${lines}: greylist\\.waitSeconds: `),
      new RegExp(`policy\\.yaml:${lines + 1}: limts: there is no such key`),
    ];
    for (const fault of expected) assert.match((refused.faults as string[]).join('\n'), fault);
    assert.equal((refused.faults as string[]).length, expected.length);
    await client.command('MAIL FROM:<a@bad.example>', 451);
    replace(RULES.replace('bad.example', 'other.example'));
    await postern.logged('policy-loaded');
    await client.command('MAIL FROM:<a@bad.example>', 250);
    await client.command('RSET', 250);
    await client.command('MAIL FROM:<a@other.example>', 451);
  });
});
