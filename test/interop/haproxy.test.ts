/** A real HAProxy in front, which says by PROXY header whom it speaks for; its health checks are no clients. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Daemon } from '../support/daemons.ts';
import { startDaemon } from '../support/daemons.ts';
import { temporaryFolder } from '../support/folders.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { INTEROP_SKIPPED } from '../support/programs.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const startHaproxy = (to: number, how: string): Promise<Daemon> =>
  startDaemon({
    name: 'haproxy',
    prepare: (port) => {
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
      return ['-f', file, '-db'];
    },
  });

for (const [name, how] of [
  ['version 1', 'send-proxy'],
  ['version 2', 'send-proxy-v2'],
  ['version 2 with a checksum and TLVs', 'send-proxy-v2 proxy-v2-options crc32c,unique-id'],
] as const) {
  test(`HAProxy in front, ${name}: mail of a client has its own address`, { skip: INTEROP_SKIPPED }, async () => {
    const peer = await SmtpPeer.start();
    const postern = await startPostern({ INSIDE_ROUTE: peer.url, PROXY_NETWORKS: '127.0.0.1/32' });
    const haproxy = await startHaproxy(postern.outside.port, `${how} check check-send-proxy inter 100`);
    try {
      const client = await SmtpClient.connect({ host: '127.0.0.1', port: haproxy.port }, '127.0.0.77');
      await client.expect(220);
      await client.command('EHLO client.example', 250);
      const id = await client.deliver('a@client.example', [`b@${DOMAIN}`], 'Subject: one\r\n\r\nText.\r\n');
      const { content } = await peer.receivedId(id);
      assert.match(content, /^Received: from client\.example \(\[127\.0\.0\.77\]\)\r\n/);
      await client.quit();
      const session = await postern.logged('session', ({ helo }) => helo === 'client.example');
      assert.deepEqual([session.client, session.proxy], ['127.0.0.77', '127.0.0.1']);
    } finally {
      await haproxy.stop();
      await postern.stop();
      await peer.close();
    }
  });
}
