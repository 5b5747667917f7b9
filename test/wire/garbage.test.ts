/** Bytes that mean nothing get replies that mean something, or 421 and a close; no other session notices. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { within } from '../support/deadline.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

const RUNS = 150;
/** RFC 5321 §4.2: each line is a reply's, printable, of at most 512 octets. */
const REPLIES = /^(?:[2-5]\d\d[ -][\x20-\x7e]{0,506}\r\n)*$/;

const words = fc.constantFrom(
  ...['EHLO a\r\n', 'MAIL FROM:<', 'MAIL FROM:<a@b.example>', 'RCPT TO:<', `RCPT TO:<b@${DOMAIN}>`, 'BDAT 10', ' LAST'],
  ...[
    ' SIZE=',
    ' SMTPUTF8',
    ' ORCPT=rfc822;',
    ' NOTIFY=NEVER',
    '@',
    '[IPv6:',
    ']',
    '>',
    '"',
    '\\',
    'RSET\r\n',
    'NOOP\r\n',
  ],
  ...['\r\n', '\n', '\r', '\xc3', '\xff'],
);
const garbage = fc
  .array(
    fc.oneof(
      words,
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

describe('garbage', () => {
  let postern: PosternProcess;
  let peer: SmtpPeer;
  let witness: SmtpClient;
  before(async () => {
    peer = await SmtpPeer.start();
    postern = await startPostern({ INSIDE_ROUTE: peer.url });
    witness = await SmtpClient.greeted(postern.outside);
  });
  after(async () => {
    witness?.destroy();
    await postern?.stop();
    await peer?.close();
  });

  test('is answered line by line until the client has enough', async () => {
    const property = fc.asyncProperty(garbage, async (bytes) => {
      const { host, port } = postern.outside;
      const socket = net.connect({ host, port });
      let said = '';
      socket.on('error', () => undefined);
      const banner = new Promise<void>((resolve) => {
        socket.on('data', (chunk: Buffer) => {
          said += chunk.toString('latin1');
          resolve();
        });
      });
      await within('the banner', banner);
      const closed = once(socket, 'close');
      socket.end(bytes, 'latin1');
      await within(() => `the close; Postern said ${said}`, closed);
      assert.match(said, REPLIES);
    });
    await fc.assert(property, { numRuns: RUNS });
  });

  test('a session that was there all the time goes on', async () => {
    const before = peer.messages.length;
    const id = await witness.deliver('alice@client.example', [`bob@${DOMAIN}`], 'still here\r\n');
    assert.equal(withoutTrace((await peer.receivedId(id)).content), 'still here\r\n');
    assert.equal(peer.messages.length, before + 1);
    assert.equal(postern.logs.filter(({ event }) => event === 'shard-died').length, 0);
  });
});
