/** SIGKILL in the middle of load, ten times over on one spool: what was answered 250 is delivered, whole. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { temporaryFolder } from '../support/folders.ts';
import { DOMAIN, type HostPort, startPostern } from '../support/postern.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

const KILLS = 10;
const CLIENTS = 8;
/** Answered in one life before it is ended. */
const ANSWERED_EACH = 60;

const bodyOf = (name: string): string => `Subject: ${name}\r\n\r\n${`${name} `.repeat(name.length * 40)}\r\n.end\r\n`;

/** Sends one message after the other until the connection goes; reports each 250 at the end of data. */
async function sendUntilCut(at: HostPort, names: () => string, answered: (name: string) => void): Promise<void> {
  const socket = net.connect(at.port, at.host);
  socket.setEncoding('latin1');
  socket.on('error', () => {}); // it is going to be cut
  const closed = new Promise((resolve) => socket.once('close', resolve));
  let name = names();
  const say = (): boolean =>
    socket.write(
      `MAIL FROM:<a@client.example>\r\nRCPT TO:<b@${DOMAIN}>\r\nBDAT ${bodyOf(name).length} LAST\r\n${bodyOf(name)}`,
    );
  let heard = '';
  socket.on('data', (text: string) => {
    heard += text;
    for (let end = heard.indexOf('\r\n'); end !== -1; end = heard.indexOf('\r\n')) {
      const line = heard.slice(0, end);
      heard = heard.slice(end + 2);
      if (line.startsWith('220')) socket.write('EHLO client.example\r\n');
      else if (line === '250 HELP') say();
      else if (line.includes('queued as')) {
        answered(name);
        name = names();
        say();
      }
    }
  });
  await closed;
}

test('ten kills: nothing that was answered 250 is lost or altered', { timeout: 100_000 }, async () => {
  const peer = await SmtpPeer.start();
  const spool = temporaryFolder('sigkill');
  const settings = { INSIDE_ROUTE: peer.url, SEGMENT_BYTES: '1048576', SESSION_MESSAGES_MAX: '100000', WORKERS: '2' };
  const promised = new Set<string>();
  let next = 0;
  for (let life = 0; life < KILLS; life++) {
    const postern = await startPostern(settings, spool);
    const enough = promised.size + ANSWERED_EACH;
    let kill: () => void = () => {};
    const killed = new Promise<void>((resolve) => {
      kill = resolve;
    });
    const answered = (name: string): void => {
      promised.add(name);
      if (promised.size >= enough) kill();
    };
    const clients = Array.from({ length: CLIENTS }, () => sendUntilCut(postern.outside, () => `m${next++}`, answered));
    await killed;
    await postern.kill();
    await Promise.all(clients);
  }
  const postern = await startPostern(settings, spool);
  const arrived = () =>
    new Map(peer.messages.map(({ content }) => [/^Subject: (\S+)$/m.exec(content)?.[1] ?? '', content]));
  await peer.received('the last of what was promised', () => {
    const names = arrived();
    return [...promised].every((name) => names.has(name));
  });
  for (const [name, content] of arrived()) assert.equal(withoutTrace(content), bodyOf(name));
  assert.ok(promised.size >= KILLS * ANSWERED_EACH);
  assert.equal(await postern.stop(), 0);
  await peer.close();
});
