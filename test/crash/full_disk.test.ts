/** A disk that is really full: 452 for what is new, delivery of what is there, and mail again when there is room. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import nodemailer from 'nodemailer';
import { temporaryFolder } from '../support/folders.ts';
import { DOMAIN, type HostPort, startPostern } from '../support/postern.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

const MIB = 1 << 20;
const MESSAGE = `Subject: large\r\n\r\n${`${'z'.repeat(70)}\r\n`.repeat(Math.floor((8 * MIB) / 72))}`;
const MESSAGES_MAX = 10;

/** A file system of so many bytes in a folder; null where this process may not mount one. */
function smallDisk(bytes: number): { readonly folder: string; readonly unmount: () => void } | null {
  const folder = temporaryFolder('disk');
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]);
  return mount.status === 0 ? { folder, unmount: () => void spawnSync('umount', ['-l', folder]) } : null;
}

async function send(at: HostPort): Promise<number> {
  const transport = nodemailer.createTransport({ host: at.host, port: at.port, ignoreTLS: true });
  try {
    await transport.sendMail({ envelope: { from: 'a@client.example', to: [`b@${DOMAIN}`] }, raw: MESSAGE });
    return 250;
  } catch (error) {
    return (error as { responseCode?: number }).responseCode ?? 0;
  } finally {
    transport.close();
  }
}

test('a full disk defers what is new, delivers what it has, and heals', async (context) => {
  const disk = smallDisk(48 * MIB);
  if (disk === null) return context.skip('this process may not mount a file system (CI runs as root)');
  let up = false;
  const peer = await SmtpPeer.start({ script: (command) => (command === '' && !up ? '421 4.3.2 not yet' : undefined) });
  const settings = { INSIDE_ROUTE: peer.url, SEGMENT_BYTES: String(2 * MIB), RETRY_SECONDS: '1' };
  const postern = await startPostern(settings, join(disk.folder, 'spool'));
  try {
    let accepted = 0;
    let code = await send(postern.outside);
    for (; code === 250 && accepted < MESSAGES_MAX; code = await send(postern.outside)) accepted++;
    assert.equal(code, 452);
    assert.ok(accepted >= 2, 'the disk held some');
    up = true;
    await peer.receivedCount(accepted);
    for (const { content } of peer.messages) assert.equal(withoutTrace(content), MESSAGE);
    await postern.loggedAll('delivery', accepted, ({ delivered }) => delivered === 1);
    assert.equal(await send(postern.outside), 250);
    await peer.receivedCount(accepted + 1);
  } finally {
    await postern.stop();
    await peer.close();
    disk.unmount();
  }
});
