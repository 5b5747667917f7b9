/** A milter has its word at MAIL and RCPT, in the reply that the client is waiting for. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { MilterCommand } from '../support/fake_milter.ts';
import { FakeMilter, reply } from '../support/fake_milter.ts';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const TEXT = 'Subject: x\r\n\r\nx\r\n';

/** By letter and a word in its data. */
const ANSWERS: readonly (readonly [letter: string, word: string, answer: Buffer])[] = [
  ['M', 'refused@', reply('y', '553 5.7.9 I know %%you\0')],
  ['M', 'later@', reply('t')],
  ['M', 'away@', reply('d')],
  ['M', 'broken@', reply('y', '250 2.0.0 fine\0')],
  ['R', 'gone@', reply('y', '550-5.1.1 Moved\r\n550 5.1.1 to nowhere\0')],
  ['R', 'full@', reply('y', '452 4.2.2 Mailbox full\0')],
  ['R', 'long@', reply('y', `550 5.7.1 ${'x'.repeat(3000)}\0`)],
  ['R', 'bells@', reply('y', '550 5.7.1 \x07a\tb\x7f\0')],
  ['E', '', reply('y', '554 5.6.0 Not this content\0')],
];

describe('a milter', () => {
  const clients: SmtpClient[] = [];
  let milter: FakeMilter;
  let inside: SmtpPeer;
  let postern: PosternProcess;
  let refusesContent = false;
  /** Resolved: the milter goes on with its body. */
  let body = Promise.resolve<readonly Buffer[]>([reply('c')]);
  /** What it says, in its time, of the recipient `slow`. */
  const slow = Promise.withResolvers<readonly Buffer[]>();
  const answer = ({ letter, data }: MilterCommand) => {
    if (letter === 'B') return body;
    if (letter === 'R' && data.toString('latin1').includes('slow@')) return slow.promise;
    if (letter === 'E' && !refusesContent) return undefined;
    const found = ANSWERS.find(([of, word]) => of === letter && data.toString('latin1').includes(word));
    return found && [found[2]];
  };
  before(async () => {
    milter = await FakeMilter.start({ answer });
    inside = await SmtpPeer.start();
    const file = join(temporaryFolder('milter'), 'policy.yaml');
    writeFileSync(
      file,
      `
rules:
  - { id: friend, when: { helo: friend.example }, do: { accept: true } }
  - { id: not-here, when: { rcpt: { like: "not-here@*" } }, do: { reject: "Not here" } }
filters:
  - { name: milt, type: milter, at: "${milter.at}", breaker: { failures: 1000 } }
authentication: { check: false }
`,
    );
    postern = await startPostern({ INSIDE_ROUTE: inside.url, CONFIG: file, WORKERS: '1' });
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await postern?.stop();
    await inside?.close();
    await milter?.close();
  });

  const greeted = async (name?: string): Promise<SmtpClient> => {
    const client = await SmtpClient.greeted(postern.outside, name);
    clients.push(client);
    return client;
  };
  const rcpt = (name: string) => `RCPT TO:<${name}@${DOMAIN}>`;

  test('refuses a sender in its own words, and the session goes on', async () => {
    const client = await greeted();
    const refused = await client.command('MAIL FROM:<refused@client.example>', 553);
    assert.equal(refused.text, '553 5.7.9 I know %you [milt]');
    assert.equal((await client.command('MAIL FROM:<later@client.example>', 451)).text.slice(0, 9), '451 4.7.1');
    await client.command(rcpt('bob'), 503);
    await client.deliver('a@client.example', [`bob@${DOMAIN}`], TEXT);
    const { reason, detail, stage, filter } = await postern.logged('refused', ({ code }) => code === 553);
    assert.deepEqual([reason, detail], ['policyReject', 'I know %you [milt]']);
    assert.deepEqual([stage, filter], ['mail', 'milt']);
  });

  test('refuses single recipients, and the message goes to the others', async () => {
    const client = await greeted();
    await client.command('MAIL FROM:<a@client.example>', 250);
    assert.equal((await client.command(rcpt('gone'), 550)).text, '550 5.1.1 Moved to nowhere [milt]');
    assert.equal((await client.command(rcpt('full'), 452)).text, '452 4.2.2 Mailbox full [milt]');
    const cut = (await client.command(rcpt('long'), 550)).text;
    assert.match(cut, /^550 5\.7\.1 x{400} \[milt\]$/);
    assert.equal((await client.command(rcpt('bells'), 550)).text, '550 5.7.1 ?a b? [milt]');
    await client.command(rcpt('bob'), 250);
    await client.command('DATA', 354);
    const queued = await client.command(`${TEXT}.`, 250);
    const { recipients } = await inside.receivedId(/queued as (\S+)/.exec(queued.text)![1]!);
    assert.deepEqual(recipients, [`bob@${DOMAIN}`]);
  });

  test('hears of those alone whom the rules let pass, each once', async () => {
    const client = await greeted();
    const heard = milter.told('R').length;
    await client.command('MAIL FROM:<a@client.example>', 250);
    await client.command(rcpt('not-here'), 550);
    await client.command(rcpt('carol'), 250);
    assert.deepEqual(milter.told('R').slice(heard), [`<carol@${DOMAIN}>|`]);
  });

  test('all in one write is answered in its order', async () => {
    const client = await greeted();
    const group = ['MAIL FROM:<a@client.example>', rcpt('gone'), rcpt('bob'), 'DATA'];
    await client.send(`${group.join('\r\n')}\r\n`);
    for (const code of [250, 550, 250, 354]) await client.expect(code);
    await client.command(`${TEXT}.`, 250);
  });

  test('that takes its time: replies to a group that is here leave together, and no later than they must', async () => {
    const client = await greeted();
    const other = await greeted();
    const heard = milter.told('R').length;
    await client.send(`${['MAIL FROM:<a@client.example>', rcpt('slow'), 'DATA'].join('\r\n')}\r\n`);
    await milter.heard('R', heard + 1);
    for (let turn = 0; turn < 3; turn++) await other.command('NOOP', 250);
    assert.equal(client.unread, '', 'DATA is here, and nobody waits for the reply to MAIL');
    slow.resolve([reply('c')]);
    for (const code of [250, 250, 354]) await client.expect(code);
    await client.command(`${TEXT}.`, 250);
    const late = await greeted();
    await late.send(`MAIL FROM:<a@client.example>\r\n${rcpt('bob')}\r\n`);
    for (const code of [250, 250]) await late.expect(code);
  });

  test('that discards at MAIL has all accepted, and nothing arrives', async () => {
    const client = await greeted();
    const heard = milter.told('R').length;
    await client.deliver('away@client.example', [`bob@${DOMAIN}`, `gone@${DOMAIN}`], TEXT);
    assert.equal(milter.told('R').length, heard);
    await postern.logged('discarded', ({ from }) => from === 'away@client.example');
  });

  test('whose word is none has failed: closed, so 451', async () => {
    const client = await greeted();
    const { text } = await client.command('MAIL FROM:<broken@client.example>', 451);
    assert.match(text, /^451 4\.3\.0 .*\[milt\]$/);
  });

  test('refuses the content with its own code', async () => {
    refusesContent = true;
    const { text } = await (await greeted()).offer('a@client.example', [`bob@${DOMAIN}`], TEXT);
    refusesContent = false;
    assert.equal(text, '554 5.6.0 Not this content [milt]');
  });

  test('that is behind holds up a client that sends small chunks, too (RFC 3030)', async () => {
    const client = await greeted();
    const goOn = Promise.withResolvers<readonly Buffer[]>();
    body = goOn.promise;
    await client.command('MAIL FROM:<a@client.example>', 250);
    await client.command(rcpt('bob'), 250);
    const heard = milter.told('B').length;
    await client.send('BDAT 5\r\n\r\nx\r\n');
    await milter.heard('B', heard + 1);
    const answered = () => client.transcript.split('4000 octets received').length - 1;
    const other = await greeted();
    let sent = 0;
    while (sent === answered() && sent < 25) {
      await client.send(`BDAT 4000\r\n${'x'.repeat(3998)}\r\n`);
      sent++;
      for (let turn = 0; turn < 3; turn++) await other.command('NOOP', 250); // every socket has been read meanwhile
    }
    body = Promise.resolve([reply('c')]);
    goOn.resolve([reply('c')]);
    for (let chunk = 0; chunk <= sent; chunk++) await client.expect(250);
    await client.command('BDAT 0 LAST', 250);
    assert.ok(sent < 25, `${sent} chunks were taken while nobody read them`);
  });

  test('is counted', async () => {
    const counted = async () => [
      await postern.metric('postern_filter_verdicts_total', 'filter="milt",verdict="accept"'),
      await postern.metric('postern_filter_failures_total', 'filter="milt",reason="malformed"'),
      await postern.metric('postern_filter_recipients_refused_total', 'filter="milt"'),
      await postern.metric('postern_filter_seconds_count', 'filter="milt"'),
    ];
    const before = await counted();
    const client = await greeted();
    await client.command('MAIL FROM:<broken@client.example>', 451);
    await client.command('MAIL FROM:<a@client.example>', 250);
    await client.command(rcpt('gone'), 550);
    await client.command(rcpt('bob'), 250);
    await client.command('DATA', 354);
    await client.command(`${TEXT}.`, 250);
    const now = await counted();
    assert.deepEqual(
      now.map((count, at) => count - before[at]!),
      [1, 1, 1, 2],
    );
    assert.equal(await postern.metric('postern_filter_breaker_open', 'filter="milt",shard="0"'), 0);
  });

  test('is not heard where a rule has accepted', async () => {
    const client = await greeted('friend.example');
    await client.deliver('refused@client.example', [`bob@${DOMAIN}`], TEXT);
  });

  for (const [what, ends] of [
    ['RSET', (client: SmtpClient) => client.command('RSET', 250)],
    ['EHLO', (client: SmtpClient) => client.command('EHLO again.example', 250)],
    ['QUIT', (client: SmtpClient) => client.command('QUIT', 221)],
    ['the end of the connection', async (client: SmtpClient) => client.destroy()],
  ] as const) {
    test(`is told by ${what} that the message is not coming`, async () => {
      const client = await greeted();
      await client.command('MAIL FROM:<a@client.example>', 250);
      await client.command(rcpt('bob'), 250);
      const aborts = milter.told('A').length;
      await ends(client);
      await milter.heard('A', aborts + 1);
    });
  }
});
