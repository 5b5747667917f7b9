/** Content far above what is kept in memory goes through a file of its own, in either way in and out, unchanged. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { idOf, SmtpClient, stuffed } from '../support/smtp_client.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

const MIB = 1_048_576;
const KEYWORDS = ['PIPELINING', '8BITMIME', 'SIZE 0'];

/** Lines of base64, some of which start with a dot. */
function mail(bytes: number): string {
  const lines =
    randomBytes(Math.ceil(bytes / 76) * 57)
      .toString('base64')
      .match(/.{76}/g) ?? [];
  return `Subject: large\r\n\r\n${lines.map((line, at) => (at % 10 === 0 ? `.${line}` : line)).join('\r\n')}\r\n`;
}

const digest = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');

for (const [name, keywords] of [
  ['out by BDAT', [...KEYWORDS, 'CHUNKING']],
  ['out by DATA', KEYWORDS],
] as const) {
  describe(name, () => {
    let postern: PosternProcess;
    let peer: SmtpPeer;
    before(async () => {
      peer = await SmtpPeer.start({ keywords });
      postern = await startPostern({ INSIDE_ROUTE: peer.url });
    });
    after(async () => {
      await postern?.stop();
      await peer?.close();
    });

    for (const way of ['DATA', 'BDAT'] as const) {
      test(`5 MiB, in by ${way}`, async () => {
        const text = mail(5 * MIB);
        const client = await SmtpClient.greeted(postern.outside);
        await client.command(`MAIL FROM:<alice@client.example> SIZE=${text.length}`, 250);
        await client.command(`RCPT TO:<bob@${DOMAIN}>`, 250);
        if (way === 'DATA') {
          await client.command('DATA', 354);
          await client.send(`${stuffed(text)}.\r\n`);
        } else {
          const half = text.length >> 1;
          await client.send(
            `BDAT ${half}\r\n${text.slice(0, half)}BDAT ${text.length - half} LAST\r\n${text.slice(half)}`,
          );
          await client.expect(250);
        }
        const message = await peer.receivedId(idOf(await client.expect(250)));
        assert.equal(digest(withoutTrace(message.content)), digest(text));
        await client.quit();
      });
    }

    test('ten of 1 MiB at once, each intact', async () => {
      const sent = await Promise.all(
        Array.from({ length: 10 }, async () => {
          const text = mail(MIB);
          const client = await SmtpClient.greeted(postern.outside);
          const id = await client.deliver('alice@client.example', [`bob@${DOMAIN}`], text);
          await client.quit();
          return { id, sum: digest(text) };
        }),
      );
      for (const { id, sum } of sent) assert.equal(digest(withoutTrace((await peer.receivedId(id)).content)), sum);
    });
  });
}
