/**
 * A queue that grows because the inside server is down defers outside, then everybody, and is relieved by delivery
 * alone.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { HostPort, LogLine, PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const QUEUE_MESSAGES_MAX = 10; // level 1 from 9 on, level 2 from 10 on
const SENDER = 'alice@client.example';
const CODES_CHARS = '421 4.3.2'.length;
const MAIL = `MAIL FROM:<${SENDER}>`;

type Health = {
  readonly ok: boolean;
  readonly pressure: {
    readonly level: number;
    readonly reasons: readonly string[];
    readonly quantities: readonly { quantity: string; value: number | null; level: number; marks: number[] | null }[];
  };
};

describe('a queue that grows and drains', () => {
  let up = false;
  let peer: SmtpPeer;
  let postern: PosternProcess;
  const clients: SmtpClient[] = [];
  before(async () => {
    const script = (command: string) => (command === '' && !up ? '421 4.3.2 not yet' : undefined);
    peer = await SmtpPeer.start({ script });
    postern = await startPostern({ INSIDE_ROUTE: peer.url, QUEUE_MESSAGES_MAX: `${QUEUE_MESSAGES_MAX}`, WORKERS: '2' });
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await postern?.stop();
    await peer?.close();
  });

  const greeted = async (at: HostPort): Promise<SmtpClient> => {
    const client = await SmtpClient.greeted(at);
    clients.push(client);
    return client;
  };
  const deliver = async (client: SmtpClient, count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await client.deliver(SENDER, [`bob@${DOMAIN}`], 'Subject: x\r\n\r\nText\r\n');
  };
  const level = (wanted: number): Promise<LogLine> => postern.logged('pressure', (line) => line.level === wanted);
  const health = async (): Promise<{ status: number; body: Health }> => {
    const response = await fetch(`http://${postern.admin.host}:${postern.admin.port}/healthz`);
    return { status: response.status, body: (await response.json()) as Health };
  };
  /** The beginning of the gate's last line to a new connection: code and enhanced code. */
  const turnedAway = async (at: HostPort): Promise<string> => {
    const client = await SmtpClient.connect(at);
    const { text } = await client.reply();
    await client.close();
    return text.slice(0, CODES_CHARS);
  };
  const deferred = async (client: SmtpClient): Promise<string> =>
    (await client.command(MAIL)).text.slice(0, CODES_CHARS);

  test('level 1, level 2, and back, with the same sessions open all the while', async () => {
    const [outside, inside] = [await greeted(postern.outside), await greeted(postern.inside)];
    assert.deepEqual([(await health()).status, (await health()).body.pressure.level], [200, 0]);

    // A transaction that is open when a level begins may finish: `begun` does, within level 2.
    const begun = await greeted(postern.outside);
    await begun.command(MAIL, 250);
    await deliver(outside, 9);
    const first = await level(1);
    assert.deepEqual(first.reasons, ['queue']);
    assert.equal((first.readings as Record<string, number>).queue, 9);
    assert.equal(await turnedAway(postern.outside), '421 4.3.2');
    assert.equal(await deferred(outside), '452 4.3.2');

    const atOne = await health();
    assert.equal(atOne.status, 200);
    assert.deepEqual([atOne.body.ok, atOne.body.pressure.level, atOne.body.pressure.reasons], [true, 1, ['queue']]);
    const queue = atOne.body.pressure.quantities.find(({ quantity }) => quantity === 'queue');
    assert.deepEqual(queue, { quantity: 'queue', value: 9, level: 1, marks: [9, QUEUE_MESSAGES_MAX] });
    assert.equal(await postern.metric('postern_pressure_level'), 1);
    assert.equal(await postern.metric('postern_pressure_quantity_level', 'quantity="queue"'), 1);

    await deliver(inside, 1);
    await level(2);
    assert.equal(await turnedAway(postern.inside), '421 4.3.2');
    assert.equal(await turnedAway(postern.outside), '421 4.3.2');
    assert.equal(await deferred(inside), '452 4.3.2');
    await begun.command(`RCPT TO:<carol@${DOMAIN}>`, 250);
    await begun.command('DATA', 354);
    await begun.send('open before\r\n.\r\n');
    await begun.expect(250);
    const atTwo = await health();
    assert.deepEqual([atTwo.status, atTwo.body.ok, atTwo.body.pressure.level], [200, true, 2]);

    up = true;
    await peer.receivedCount(11);
    assert.deepEqual((await level(0)).reasons, []);
    await deliver(outside, 1);
    await deliver(inside, 1);
    await deliver(await greeted(postern.outside), 1);
    await peer.receivedCount(14);
    assert.equal(await postern.metric('postern_pressure_level'), 0);
  });

  test('what was deferred is counted by its reason, and each level was said once', async () => {
    assert.equal(await postern.metric('postern_refusals_total', 'reason="queueLong"'), 2);
    const refused = (side: string) => `side="${side}",reason="pressure-queue"`;
    assert.equal(await postern.metric('postern_connections_refused_total', refused('outside')), 2);
    assert.equal(await postern.metric('postern_connections_refused_total', refused('inside')), 1);
    const levels = postern.logs.filter(({ event }) => event === 'pressure').map((line) => line.level);
    assert.deepEqual(
      levels.filter((each, at) => each !== levels[at - 1]),
      levels,
    );
    assert.deepEqual([levels[0], levels.at(-1)], [1, 0]);
  });
});

test('a disk without the room that is asked for: 4.3.1, and the rest of Postern works', async () => {
  const postern = await startPostern({ SPOOL_FREE_BYTES_MIN: '70368744177664' });
  try {
    const line = await postern.logged('pressure');
    assert.deepEqual([line.level, line.reasons], [2, ['spool-bytes']]);
    const client = await SmtpClient.connect(postern.outside);
    assert.match((await client.reply()).text, /^421 4\.3\.1 /);
    await client.close();
    const free = await postern.metric('postern_spool_free_bytes');
    assert.ok(free > 0 && free < 70_368_744_177_664, `${free}`);
    assert.ok((await postern.metric('process_unreclaimable_memory_bytes')) > 0);
  } finally {
    assert.equal(await postern.stop(), 0);
  }
});
