/** Clients of other makes hand mail over, in clear and over STARTTLS; what they sent arrives byte for byte. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import nodemailer from 'nodemailer';
import { makeCertificate } from '../support/certificates.ts';
import { temporaryFolder, writeCertificate } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, HOSTNAME, startPostern } from '../support/postern.ts';
import { INTEROP_SKIPPED, run } from '../support/programs.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

const BODY = ['A line.', '.', '..', '.a dot before text', '', 'x'.repeat(900), 'the end'];

/** Header and body with CRLF line ends, and a mark by which it is found again. */
function message(mark: string): string {
  const header = [`Subject: ${mark}`, 'From: alice@client.example', `To: bob@${DOMAIN}`, 'X-Folded: one', '\ttwo'];
  return [...header, '', ...BODY, ''].join('\r\n');
}

const SMTPLIB = `
import smtplib, ssl, sys
port, secure, sender, recipient = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
client = smtplib.SMTP('127.0.0.1', port, local_hostname='client.example')
if secure == 'tls':
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client.starttls(context=context)
client.sendmail(sender, [recipient], sys.stdin.buffer.read())
client.quit()
`;

describe('clients of other makes', { skip: INTEROP_SKIPPED }, () => {
  let peer: SmtpPeer;
  let postern: PosternProcess;
  const folder = temporaryFolder('clients');

  before(async () => {
    peer = await SmtpPeer.start();
    const { certFile, keyFile } = writeCertificate(folder, 'server', makeCertificate({ names: [HOSTNAME] }));
    const tls = { TLS_CERT: certFile, TLS_KEY: keyFile };
    postern = await startPostern({ INSIDE_ROUTE: peer.url, ...tls });
  });
  after(async () => {
    await postern?.stop();
    await peer?.close();
  });

  /** The mark is random, so that a message is its test's own. */
  const newMark = () => randomBytes(8).toString('hex');
  async function arrives(mark: string, expected: string): Promise<void> {
    const { content } = await peer.received(mark, (each) => each.content.includes(mark));
    assert.equal(withoutTrace(content), expected);
  }

  for (const secure of ['clear', 'tls'] as const) {
    test(`swaks, ${secure}`, async () => {
      const mark = newMark();
      const file = join(folder, mark);
      writeFileSync(file, message(mark));
      const server = ['--server', '127.0.0.1', '--port', String(postern.outside.port), '--data', `@${file}`];
      const envelope = ['--from', 'alice@client.example', '--to', `bob@${DOMAIN}`];
      const { code, output } = await run('swaks', [...server, ...envelope, ...(secure === 'tls' ? ['--tls'] : [])]);
      assert.equal(code, 0, output);
      // swaks ends what it is given with a line end of its own.
      await arrives(mark, `${message(mark)}\r\n`);
    });

    test(`Python's smtplib, ${secure}`, async () => {
      const mark = newMark();
      const args = ['-c', SMTPLIB, String(postern.outside.port), secure, 'alice@client.example', `bob@${DOMAIN}`];
      const { code, output } = await run('python3', args, message(mark));
      assert.equal(code, 0, output);
      await arrives(mark, message(mark));
    });

    test(`nodemailer, ${secure}`, async () => {
      const mark = newMark();
      const transport = nodemailer.createTransport({
        host: '127.0.0.1',
        port: postern.outside.port,
        ignoreTLS: secure === 'clear',
        requireTLS: secure === 'tls',
        tls: { rejectUnauthorized: false },
      });
      const envelope = { from: 'alice@client.example', to: [`bob@${DOMAIN}`] };
      await transport.sendMail({ envelope, raw: message(mark) });
      transport.close();
      await arrives(mark, message(mark));
    });
  }

  test('swaks, pipelined', async () => {
    const mark = newMark();
    const server = ['--server', '127.0.0.1', '--port', String(postern.outside.port), '--pipeline'];
    const envelope = ['--from', 'alice@client.example', '--to', `bob@${DOMAIN}`, '--header', `Subject: ${mark}`];
    const { code, output } = await run('swaks', [...server, ...envelope]);
    assert.equal(code, 0, output);
    await peer.received(mark, ({ content }) => content.includes(mark));
  });

  test('smtp-source, twenty sessions at once', async () => {
    const sender = `${newMark()}@client.example`;
    const load = ['-s', '20', '-m', '200', '-l', '5000', '-f', sender, '-t', `bob@${DOMAIN}`];
    const { code, output } = await run('smtp-source', [...load, `127.0.0.1:${postern.outside.port}`]);
    assert.equal(code, 0, output);
    const ours = () => peer.messages.filter((each) => each.sender === sender);
    await peer.received('the last of 200', () => ours().length === 200);
    const bodies = new Set(
      ours().map(({ content }) => withoutTrace(content).split('\r\n\r\n').slice(1).join('\r\n\r\n')),
    );
    assert.equal(bodies.size, 1, 'all 200 have the same body');
  });
});
