/** Clients that keep a session without using it are told so with 421 and left (RFC 5321 §3.8, §4.5.3.2). */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { idOf, SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

describe('clients without hurry', () => {
  let postern: PosternProcess;
  let peer: SmtpPeer;
  before(async () => {
    peer = await SmtpPeer.start();
    const environment = { COMMAND_SECONDS_MAX: '1', DATA_SECONDS_MAX: '1', SESSION_SECONDS_MAX: '0' };
    postern = await startPostern({ INSIDE_ROUTE: peer.url, IDLE_COMMANDS_MAX: '10000', ...environment });
  });
  after(async () => {
    await postern?.stop();
    await peer?.close();
  });

  const begun = async (...commands: readonly string[]): Promise<SmtpClient> => {
    const client = await SmtpClient.greeted(postern.outside);
    for (const command of commands) await client.command(command);
    return client;
  };
  const cutOff = async (client: SmtpClient, key: string): Promise<void> => {
    const ended = postern.loggedAll('session', postern.logs.filter(({ event }) => event === 'session').length + 1);
    assert.equal((await client.reply()).code, 421);
    await client.close();
    assert.equal((await ended).at(-1)?.end, key);
  };
  const ENVELOPE = ['MAIL FROM:<alice@client.example>', `RCPT TO:<bob@${DOMAIN}>`];

  test('silence after the banner', async () => {
    const client = await SmtpClient.connect(postern.outside);
    await client.expect(220);
    await cutOff(client, 'timeout');
  });

  test('half a command', async () => {
    const client = await begun();
    await client.send('MAIL FR');
    await cutOff(client, 'timeout');
  });

  test('silence within a transaction', async () => cutOff(await begun(...ENVELOPE), 'timeout'));

  test('silence within content', async () => {
    const client = await begun(...ENVELOPE, 'DATA');
    await client.send('Subject: x\r\n\r\nhalf a li');
    await cutOff(client, 'timeout');
  });

  test('silence within a chunk', async () => {
    const client = await begun(...ENVELOPE);
    await client.send('BDAT 100 LAST\r\nhalf');
    await cutOff(client, 'timeout');
  });

  test('silence after STARTTLS is no session, either', async () => {
    const client = await begun();
    assert.equal((await client.command('STARTTLS')).code, 502, 'no certificate here');
    await cutOff(client, 'timeout');
  });

  test('none of them left a message, and a quick client is served', async () => {
    const client = await begun();
    const id = await client.deliver('alice@client.example', [`bob@${DOMAIN}`], 'quick\r\n');
    assert.equal(withoutTrace((await peer.receivedId(id)).content), 'quick\r\n');
    assert.equal(peer.messages.length, 1);
    await client.quit();
  });

  test('a client that does not take its replies is not read from, and goes on where it was', async () => {
    const client = await begun();
    client.pause();
    const helps = 3000; // 300 KB of replies: more than two sockets buffer would be 6 MB
    await client.send('NOOP\r\n'.repeat(helps));
    await client.send(`${ENVELOPE.join('\r\n')}\r\nBDAT 6 LAST\r\nText\r\n`);
    client.resume();
    for (let count = 0; count < helps + ENVELOPE.length; count++) await client.expect(250);
    const message = await peer.receivedId(idOf(await client.expect(250)));
    assert.equal(withoutTrace(message.content), 'Text\r\n');
    await client.quit();
  });
});
