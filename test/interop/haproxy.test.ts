/** A real HAProxy in front, which says by PROXY header whom it speaks for; its health checks are no clients. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { within } from '../support/deadline.ts';
import { temporaryFolder } from '../support/folders.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { INTEROP_SKIPPED, program } from '../support/programs.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when it listens. */
async function startHaproxy(port: number, to: number, how: string) {
  const file = join(temporaryFolder('haproxy'), 'haproxy.cfg');
  const text = `defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen smtp
  bind 127.0.0.1:${port}
  server postern 127.0.0.1:${to} ${how}
`;
  writeFileSync(file, text);
  const child = spawn(program('haproxy'), ['-f', file, '-db'], { stdio: 'ignore' });
  const listening = async (): Promise<void> => {
    while (child.exitCode === null) {
      const socket = net.connect({ host: '127.0.0.1', port });
      const met = await Promise.race([
        once(socket, 'connect').then(() => true),
        once(socket, 'error').then(() => false),
      ]).catch(() => false);
      socket.destroy();
      if (met) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('HAProxy does not start');
  };
  await within('HAProxy', listening());
  return async () => {
    const closed = once(child, 'exit');
    child.kill('SIGKILL');
    await closed;
  };
}

for (const [name, how] of [
  ['version 1', 'send-proxy'],
  ['version 2', 'send-proxy-v2'],
  ['version 2 with a checksum and TLVs', 'send-proxy-v2 proxy-v2-options crc32c,unique-id'],
] as const) {
  test(`HAProxy in front, ${name}: mail of a client has its own address`, { skip: INTEROP_SKIPPED }, async () => {
    const peer = await SmtpPeer.start();
    const postern = await startPostern({ INSIDE_ROUTE: peer.url, PROXY_NETWORKS: '127.0.0.1/32' });
    const port = await freePort();
    const stop = await startHaproxy(port, postern.outside.port, `${how} check check-send-proxy inter 100`);
    try {
      const client = await SmtpClient.connect({ host: '127.0.0.1', port }, '127.0.0.77');
      await client.expect(220);
      await client.command('EHLO client.example', 250);
      await client.command('MAIL FROM:<a@client.example>', 250);
      await client.command(`RCPT TO:<b@${DOMAIN}>`, 250);
      await client.command('DATA', 354);
      await client.send('Subject: one\r\n\r\nText.\r\n.\r\n');
      const { text } = await client.expect(250);
      const { content } = await peer.receivedId(text.split(' ').at(-1) as string);
      assert.match(content, /^Received: from client\.example \(\[127\.0\.0\.77\]\)\r\n/);
      await client.command('QUIT', 221);
      const session = await postern.logged('session', ({ helo }) => helo === 'client.example');
      assert.deepEqual([session.client, session.proxy], ['127.0.0.77', '127.0.0.1']);
    } finally {
      await stop();
      await postern.stop();
      await peer.close();
    }
  });
}
