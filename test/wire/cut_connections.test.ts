/**
 * A transaction whose connection is cut after each of its bytes in turn, by FIN and by reset: before the end of data
 * nothing arrives, after it one message does; and nothing is left in Postern, neither session nor file.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/deadline.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const ENVELOPE = `EHLO c.example\r\nMAIL FROM:<alice@client.example>\r\nRCPT TO:<bob@${DOMAIN}>\r\n`;
const SCRIPTS = { DATA: `${ENVELOPE}DATA\r\nText\r\n.\r\n`, BDAT: `${ENVELOPE}BDAT 3\r\nTexBDAT 3 LAST\r\nt\r\n` };
/** Above what is kept in memory, so that the content has a file while it arrives. */
const LARGE = 'x'.repeat(76).concat('\r\n').repeat(2000);

describe('cut connections', () => {
  let postern: PosternProcess;
  let peer: SmtpPeer;
  before(async () => {
    peer = await SmtpPeer.start();
    postern = await startPostern({ INSIDE_ROUTE: peer.url, CLIENT_CONNECTIONS_MAX: '10000' });
  });
  after(async () => {
    await postern?.stop();
    await peer?.close();
  });

  const sessionsEnded = (): number => postern.logs.filter(({ event }) => event === 'session').length;

  /** Says `bytes` and goes; resolves when Postern has noticed. */
  async function cut(bytes: string, how: 'end' | 'reset'): Promise<void> {
    const client = await SmtpClient.connect(postern.outside);
    await client.expect(220);
    await client.send(bytes);
    if (how === 'end') {
      client.end();
      await client.close();
    } else client.reset();
  }

  async function nothingIsLeft(): Promise<void> {
    await eventually('no session', async () => (await postern.metric('postern_sessions_open')) === 0);
    await eventually('no file of content', () => contentFiles(postern.spoolDir).length === 0);
  }

  for (const way of ['DATA', 'BDAT'] as const) {
    for (const how of ['end', 'reset'] as const) {
      test(`${way}, ${how === 'end' ? 'FIN' : 'reset'} after each byte`, async () => {
        const script = SCRIPTS[way];
        const ended = sessionsEnded();
        const before = peer.messages.length;
        const lengths = Array.from({ length: script.length }, (_, length) => length);
        for (const length of lengths) await cut(script.slice(0, length), how);
        await postern.loggedAll('session', ended + lengths.length);
        assert.equal(peer.messages.length, before, 'nothing arrives without its last byte');
        await cut(script, 'end');
        await postern.loggedAll('session', ended + lengths.length + 1);
        await peer.receivedCount(before + 1);
        assert.equal(peer.messages.length, before + 1, 'with its last byte it arrives');
        await nothingIsLeft();
      });
    }
  }

  test('large content, cut while its file is written', async () => {
    const ended = sessionsEnded();
    const before = peer.messages.length;
    for (const how of ['end', 'reset'] as const) {
      for (const parts of [1, 2, 3, 4]) {
        await cut(`${ENVELOPE}DATA\r\n${LARGE.slice(0, (LARGE.length * parts) / 4)}`, how);
        await cut(`${ENVELOPE}BDAT ${LARGE.length} LAST\r\n${LARGE.slice(0, (LARGE.length * parts) / 4 - 1)}`, how);
      }
    }
    await postern.loggedAll('session', ended + 16);
    assert.equal(peer.messages.length, before);
    await nothingIsLeft();
  });
});

/** Files of content; segments of the journal are not among them. */
const contentFiles = (spoolDir: string): string[] =>
  readdirSync(spoolDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && basename(entry.parentPath) === 'content')
    .map((entry) => entry.name);
