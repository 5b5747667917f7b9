/** A shard that hangs in the middle of load: its thread is ended, and its successor delivers all that was promised. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { startPostern } from '../../src/gate/postern.ts';
import { eventually } from '../support/deadline.ts';
import { temporaryFolder } from '../support/folders.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';

const DOMAIN = 'here.example';
const CLIENTS = 8;
/** Answered before it hangs. */
const ANSWERED = 100;

const bodyOf = (name: string): string => `Subject: ${name}\r\n\r\n${`${name} `.repeat(500)}\r\n`;

test('a shard that hangs under load loses nothing that was answered 250', { timeout: 60_000 }, async (context) => {
  let up = false;
  const peer = await SmtpPeer.start({ script: (command) => (command === '' && !up ? '421 4.3.2 not yet' : undefined) });
  context.after(() => peer.close());
  const loaded = loadConfig({
    POSTERN_HOSTNAME: 'mx.here.example',
    POSTERN_DOMAINS: DOMAIN,
    POSTERN_INSIDE_ROUTE: peer.url,
    POSTERN_OUTSIDE_LISTEN: '127.0.0.1:0',
    POSTERN_INSIDE_LISTEN: '',
    POSTERN_ADMIN_LISTEN: '',
    POSTERN_WORKERS: '1',
    POSTERN_RETRY_SECONDS: '1',
    POSTERN_SEGMENT_BYTES: '1048576',
    POSTERN_SPOOL_FREE_BYTES_MIN: '0',
    POSTERN_SPOOL_DIR: temporaryFolder('spool'),
  });
  assert.ok('config' in loaded, JSON.stringify(loaded));
  const workerFile = new URL('../support/hanging_shard.ts', import.meta.url).href;
  const patience = { lookMs: 200, looksMax: 15 };
  const postern = await startPostern(loaded.config, { workerFile, patience, logTo: '/dev/null' });
  context.after(() => postern.stop(0));
  const hang = new BroadcastChannel('hang');
  context.after(() => hang.close());

  const promised: string[] = [];
  let next = 0;
  const sendUntilCut = async (): Promise<void> => {
    const client = await SmtpClient.greeted(postern.listening.outside[0]!);
    for (;;) {
      const name = `m${next++}`;
      await client.deliver('a@client.example', [`b@${DOMAIN}`], bodyOf(name));
      promised.push(name);
      if (promised.length === ANSWERED) hang.postMessage('');
    }
  };
  for (const { status } of await Promise.allSettled(Array.from({ length: CLIENTS }, sendUntilCut)))
    assert.equal(status, 'rejected', 'each of its connections was cut');
  await eventually('its successor', () => postern.report().shards[0]!.restarts === 1 && postern.health().ok);

  up = true;
  const arrived = () =>
    new Map(peer.messages.map(({ content }) => [/^Subject: (\S+)\r$/m.exec(content)?.[1] ?? '', content]));
  await peer.received('all that was promised', () => {
    const names = arrived();
    return promised.every((name) => names.has(name));
  });
  for (const [name, content] of arrived()) assert.equal(withoutTrace(content), bodyOf(name));
});
