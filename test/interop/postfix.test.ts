/** A real Postfix on both sides: as the inside server that Postern delivers to, and as the one that hands mail out. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startDnsServer } from '../../bench/load/dns_server.ts';
import { postfixInstalled, startPostfix } from '../../bench/peers/postfix.ts';
import { makeCertificate } from '../support/certificates.ts';
import { openFolder, writeCertificate } from '../support/folders.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { INTEROP_SKIPPED, run } from '../support/programs.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const BODY = `.a dot\r\n..two\r\n${'long '.repeat(180)}\r\n\r\nthe end\r\n`;
const MESSAGE = `Subject: by way of Postfix\r\nFrom: alice@client.example\r\nTo: bob@${DOMAIN}\r\n\r\n${BODY}`;

const bodyOf = (message: string): string => message.slice(message.search(/\r?\n\r?\n/)).replace(/^\r?\n\r?\n/, '');

async function handOver(port: number, from: string, to: string): Promise<void> {
  const program = `
import smtplib, sys
client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]), local_hostname='client.example')
client.sendmail(sys.argv[2], [sys.argv[3]], sys.stdin.buffer.read())
client.quit()
`;
  const { code, output } = await run('python3', ['-c', program, String(port), from, to], MESSAGE);
  assert.equal(code, 0, output);
}

test('Postfix is there to be tested with', { skip: INTEROP_SKIPPED }, () => {
  assert.ok(postfixInstalled(), 'install it (apt-get install postfix) and run as root');
});

test('Postfix as inside server: mail from outside lands in its Maildir as sent, over STARTTLS', {
  skip: INTEROP_SKIPPED,
}, async () => {
  const folder = openFolder('postfix-inside');
  const certificate = writeCertificate(folder, 'inside', makeCertificate({ names: ['127.0.0.1'], kind: 'rsa' }));
  const postfix = await startPostfix({ folder: join(folder, 'postfix'), domains: [DOMAIN], tls: certificate });
  const postern = await startPostern({ INSIDE_ROUTE: `smtp://127.0.0.1:${postfix.port}` });
  try {
    await handOver(postern.outside.port, 'alice@client.example', `bob@${DOMAIN}`);
    const line = await postern.logged('delivery', ({ delivered }) => delivered === 1);
    assert.match(String(line.tls), /^TLSv1\.[23]$/);
    const arrived = join(postfix.inbox, 'new');
    // Postfix delivers after its 250, and says so to nobody that we could wait for.
    while (!existsSync(arrived) || readdirSync(arrived).length === 0) await pause(20);
    const [message] = postfix.messages();
    assert.equal(bodyOf(String(message)), BODY.replaceAll('\r\n', '\n'));
    assert.match(String(message), /^Received: from client\.example \(\[127\.0\.0\.1\]\)$/m);
  } finally {
    await postern.stop();
    await postfix.stop();
  }
});

test('Postfix as inside client: its mail goes out by MX as sent', { skip: INTEROP_SKIPPED }, async () => {
  const peer = await SmtpPeer.start();
  const zone = {
    'far.example': { MX: [{ preference: 10, exchange: 'mx.far.example' }] },
    'mx.far.example': { A: ['127.0.0.1'] },
  };
  const dns = await startDnsServer({ zone });
  const postern = await startPostern({ DNS_SERVERS: `${dns.host}:${dns.port}`, OUTSIDE_PORT: String(peer.port) });
  const folder = openFolder('postfix-outside');
  const relayTo = `127.0.0.1:${postern.inside.port}`;
  const postfix = await startPostfix({ folder: join(folder, 'postfix'), relayTo });
  try {
    await handOver(postfix.port, `bob@${DOMAIN}`, 'carol@far.example');
    const { content, recipients } = await peer.received('the message', ({ sender }) => sender === `bob@${DOMAIN}`);
    assert.deepEqual(recipients, ['carol@far.example']);
    assert.equal(bodyOf(content), BODY);
  } finally {
    await postfix.stop();
    await postern.stop();
    await dns.close();
    await peer.close();
  }
});
