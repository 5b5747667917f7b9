/**
 * Whatever bytes a client sends as content, by DATA or BDAT, in whatever pieces: one message arrives, its bytes are
 * those
 * that were sent with each bare CR or LF made CRLF, and on the wire no CR or LF stands alone.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { idOf, SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

const RUNS = 150;
const KEYWORDS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'SIZE 0', 'ENHANCEDSTATUSCODES'];

/** Made of what matters, with anything between; one char per byte. */
const content = fc
  .array(
    fc.oneof(
      { arbitrary: fc.constantFrom('\r\n', '\r\n.', '\r\n.\r\n', '\n', '\r', '.', '\n.\n', '\r.\r', '\0'), weight: 3 },
      {
        arbitrary: fc.constantFrom('a', 'Subject: x\r\n', 'Received: y\r\n', 'MAIL FROM:<a@b.example>', '\xff\x80'),
        weight: 2,
      },
      { arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')), weight: 1 },
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

/** Where the wire bytes are cut, as parts of their length. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

const mended = (text: string): string => text.replace(/\r\n|\r|\n/g, '\r\n');
const ended = (text: string): string => (text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`);

function pieces(bytes: string, at: readonly number[]): string[] {
  const ends = [...at.map((part) => Math.floor(part * bytes.length)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end)).filter((piece) => piece !== '');
}

for (const [name, keywords] of [
  ['a next hop with CHUNKING', [...KEYWORDS, 'CHUNKING']],
  ['a next hop that knows DATA only', KEYWORDS],
] as const) {
  describe(name, () => {
    let postern: PosternProcess;
    let peer: SmtpPeer;
    let client: SmtpClient;
    before(async () => {
      peer = await SmtpPeer.start({ keywords });
      postern = await startPostern({ INSIDE_ROUTE: peer.url, SESSION_MESSAGES_MAX: '100000' });
      client = await SmtpClient.greeted(postern.outside);
    });
    after(async () => {
      client?.destroy();
      await postern?.stop();
      await peer?.close();
    });

    const envelope = async (): Promise<void> => {
      await client.command('MAIL FROM:<alice@client.example>', 250);
      await client.command(`RCPT TO:<bob@${DOMAIN}>`, 250);
    };

    /** After DATA there is always a last CRLF, after BDAT only where the next hop can do without one. */
    const arrives = async (id: string, expected: string): Promise<void> => {
      const message = await peer.receivedId(id);
      assert.equal(withoutTrace(message.content), message.by === 'DATA' ? ended(expected) : expected);
      assert.doesNotMatch(message.wire, /\r(?!\n)|(?<!\r)\n/);
      assert.equal(peer.messages.filter(({ content }) => content.includes(id)).length, 1);
    };

    test('by DATA', async () => {
      const property = fc.asyncProperty(content, cuts, async (text, at) => {
        await envelope();
        await client.command('DATA', 354);
        const lines = ended(text);
        const wire = `${`\r\n${lines}`.replaceAll('\r\n.', '\r\n..').slice(2)}.\r\n`;
        for (const piece of pieces(wire, at)) await client.send(piece);
        await arrives(idOf(await client.expect(250)), mended(lines));
      });
      await fc.assert(property, { numRuns: RUNS });
    });

    test('by BDAT', async () => {
      const property = fc.asyncProperty(content, cuts, cuts, async (text, at, chunkAt) => {
        await envelope();
        const chunks = pieces(text, chunkAt);
        const commands = chunks.map((chunk) => `BDAT ${chunk.length}\r\n${chunk}`);
        for (const piece of pieces(`${commands.join('')}BDAT 0 LAST\r\n`, at)) await client.send(piece);
        for (const _ of chunks) await client.expect(250);
        await arrives(idOf(await client.expect(250)), mended(text));
      });
      await fc.assert(property, { numRuns: RUNS });
    });
  });
}
