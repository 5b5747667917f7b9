import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NextHop, NoHop } from '../../../src/relay/router.ts';
import type { Row } from '../../../src/spool/spool.ts';
import { SpoolFailure } from '../../../src/spool/spool.ts';
import { eventually } from '../../support/deadline.ts';
import { OutboundStage } from '../../support/outbound_stage.ts';
import { SmtpPeer } from '../../support/smtp_peer.ts';

const HOUR_MS = 3_600_000;
const { POSITIVE_INFINITY } = Number;

/** Where nobody listens. */
async function closedUrl(): Promise<string> {
  const peer = await SmtpPeer.start();
  const { url } = peer;
  await peer.close();
  return url;
}

async function withPeer(
  run: (peer: SmtpPeer, stage: OutboundStage) => Promise<void>,
  environment: Readonly<Record<string, string>> = {},
  script?: (command: string) => string | undefined,
): Promise<void> {
  const peer = await SmtpPeer.start(script === undefined ? {} : { script });
  const stage = new OutboundStage(peer.url, environment);
  try {
    await run(peer, stage);
  } finally {
    stage.outbound.abort();
    await stage.end();
    await peer.close();
  }
}

const gone = (stage: OutboundStage) =>
  eventually('everything is final and nobody holds a message', () => {
    const { messages, recipientsClaimed } = stage.spool.index;
    return messages + recipientsClaimed + stage.spool.holds === 0;
  });

test('a fresh message is on its way within the call that queues it', () =>
  withPeer(async (peer, stage) => {
    stage.outbound.enqueue(stage.put());
    await peer.receivedCount(1);
    await stage.logged('delivery');
    stage.outbound.enqueue(stage.put());
    assert.deepEqual([stage.outbound.places.size, stage.outbound.numbers.ready], [0, 0]);
    await peer.receivedCount(2);
    await gone(stage);
    assert.equal(peer.connections, 1);
  }));

test('recipients of one site travel together, whatever their domains', () =>
  withPeer(
    async (peer, stage) => {
      const to = ['a@here.example', 'b@there.example', 'c@here.example'];
      stage.outbound.enqueue(stage.put({ to }));
      await peer.receivedCount(1);
      assert.deepEqual(peer.messages[0]!.recipients, to);
      await gone(stage);
    },
    { POSTERN_DOMAINS: 'here.example,there.example' },
  ));

test('mail for a site that is down waits on without being woken, and the log has a line, not a million', async () => {
  const stage = new OutboundStage(await closedUrl());
  const rows = Array.from({ length: 500 }, (_, n) => stage.rest({ sender: `s${n % 7}@x.example` }));
  let wakes = 0;
  const wake = stage.spool.wake.bind(stage.spool);
  stage.spool.wake = (row) => {
    wakes++;
    return wake(row);
  };
  stage.outbound.start();
  await eventually('all are deferred', () => stage.spool.marks.length === rows.length);
  for (const row of rows) {
    const state = stage.spool.index.state(row, 0);
    assert.ok(state.tag === 'waiting' && state.attempts === 1 && state.site.startsWith('inside '));
    assert.match(state.detail, /4\.4\.1 connection refused/);
    assert.ok(state.nextMs > Date.now());
  }
  await stage.logged('deferred');
  const lines = stage.lines.filter(({ event }) => event === 'deferred');
  assert.ok(lines.length <= 2, `${lines.length} lines`);
  assert.ok(wakes <= 2, `${wakes} were woken: one finds out that nobody is there`);
  await eventually('nobody holds or claims', () => stage.spool.index.recipientsClaimed + stage.spool.holds === 0);
  assert.equal(stage.outbound.numbers.scheduled, rows.length);
  await stage.end();
});

test('when a site answers again its queue is released at once, over few connections first', () =>
  withPeer(async (peer, stage) => {
    const site = `inside ${peer.url}`;
    const waiting = { attempts: 5, nextMs: Date.now() + HOUR_MS, site };
    for (let n = 0; n < 40; n++) stage.rest({}, waiting);
    const held = stage.rest({}, { ...waiting, nextMs: POSITIVE_INFINITY });
    const elsewhere = stage.rest({}, { ...waiting, site: 'inside another' });
    stage.outbound.start();
    await eventually('recovery has looked at them', () => stage.outbound.numbers.scheduled === 41);
    stage.outbound.enqueue(stage.put());
    await peer.receivedCount(41);
    await eventually('their marks', () => stage.spool.index.messages === 2);
    assert.ok(stage.spool.index.has(held) && stage.spool.index.has(elsewhere));
    assert.equal(stage.outbound.numbers.held, 1);
    const first = peer.messages.slice(0, 2).map(({ connection }) => connection);
    assert.deepEqual(first, [0, 0], 'two messages over the first connection before there is a second');
  }));

test('who sends hundreds delays another by a few messages', () =>
  withPeer(
    async (peer, stage) => {
      for (let n = 0; n < 300; n++) stage.rest({ sender: 'bulk@client.example' });
      stage.outbound.start();
      await peer.receivedCount(20);
      const before = peer.messages.length;
      stage.outbound.enqueue(stage.put({ sender: 'carol@client.example' }));
      const { sender } = await peer.received('mail of Carol', (message) => message.sender === 'carol@client.example');
      const at = peer.messages.findIndex((message) => message.sender === sender);
      assert.ok(at - before <= 8, `it came after ${at - before} others`);
      await peer.receivedCount(301);
      await gone(stage);
    },
    { POSTERN_INSIDE_CONNECTIONS_MAX: '2' },
  ));

test('new mail does not wait behind what an outage has piled up', () =>
  withPeer(
    async (peer, stage) => {
      for (let n = 0; n < 600; n++) stage.rest({ sender: `s${n}@client.example` }, { attempts: 2 });
      stage.outbound.start();
      await peer.receivedCount(20);
      const before = peer.messages.length;
      stage.outbound.enqueue(stage.put({ sender: 'carol@client.example' }));
      await peer.received('mail of Carol', (message) => message.sender === 'carol@client.example');
      const at = peer.messages.findIndex((message) => message.sender === 'carol@client.example');
      assert.ok(at - before <= 8, `it came after ${at - before} others`);
      await peer.receivedCount(601);
      await gone(stage);
    },
    { POSTERN_INSIDE_CONNECTIONS_MAX: '2' },
  ));

test('mail whose time is over at a site that is down is woken, and its sender is told', async () => {
  const stage = new OutboundStage(await closedUrl(), { POSTERN_QUEUE_SECONDS_MAX: '100' });
  stage.rest({ acceptedMs: Date.now() - 200_000 }, { attempts: 3, nextMs: Date.now() - 1000 });
  stage.outbound.start();
  const line = await stage.logged('bounce');
  assert.equal(line.to, 'alice@client.example');
  await eventually('the failure is marked', () =>
    stage.spool.marks.some(({ changes }) => changes[0]!.state.tag === 'failed'),
  );
  await stage.end();
});

test('who waits late at a site that is down is told so once, and waits on', async () => {
  const environment = { POSTERN_DELAY_WARNING_SECONDS: '100', POSTERN_QUEUE_SECONDS_MAX: '100000' };
  const stage = new OutboundStage(await closedUrl(), environment);
  const row = stage.rest({ acceptedMs: Date.now() - 200_000 }, { attempts: 3, nextMs: Date.now() - 1000 });
  const young = stage.rest({}, { attempts: 3, nextMs: Date.now() - 1000 });
  stage.outbound.start();
  assert.equal((await stage.logged('bounce')).kind, 'delayed');
  const state = stage.spool.index.state(row, 0);
  assert.ok(state.tag === 'waiting' && state.warned && state.attempts === 4);
  const other = stage.spool.index.state(young, 0);
  assert.ok(other.tag === 'waiting' && !other.warned && other.nextMs <= Date.now() + 100_000);
  await stage.end();
});

test('mail gets a last attempt at the end of its time, but no connection for ever', () =>
  withPeer(
    async (peer, stage) => {
      const row = stage.rest({ acceptedMs: Date.now() - 200_000 });
      const { spool, outbound } = stage;
      spool.index.claim(row, 0);
      const site = { key: 'inside a site that hangs' } as never;
      const nowSeconds = Math.floor(Date.now() / 1000);
      assert.deepEqual(outbound.inTime(row, [0], nowSeconds, site), [0]);
      assert.deepEqual(outbound.inTime(row, [0], nowSeconds - 61, site), []);
      await stage.logged('bounce', ({ to }) => to === 'alice@client.example');
      await peer.receivedCount(1);
      assert.equal(peer.messages[0]!.sender, '');
      await gone(stage);
    },
    { POSTERN_QUEUE_SECONDS_MAX: '100', POSTERN_DOMAINS: 'here.example,client.example' },
  ));

test('nobody keeps a claim on a message that the disk has lost while it waited', async () => {
  const stage = new OutboundStage(await closedUrl());
  const { index } = stage.spool;
  const row = stage.rest({ to: ['bob@here.example', 'eve@here.example'] });
  index.claim(row, 0);
  index.claim(row, 1);
  index.lose(row);
  index.end(row);
  const nowSeconds = Math.floor(Date.now() / 1000);
  assert.deepEqual(stage.outbound.inTime(row, [0, 1], nowSeconds, { key: 'inside' } as never), []);
  assert.equal(index.recipientsClaimed, 0);
  await stage.end();
});

test('a released message goes, a held one does not, and a look at one that is gone is harmless', () =>
  withPeer(async (peer, stage) => {
    const { spool, outbound } = stage;
    const row = stage.rest({}, { nextMs: POSITIVE_INFINITY });
    outbound.look(row);
    assert.equal(spool.index.recipientsClaimed, 0);
    const released = { tag: 'waiting', attempts: 0, nextMs: 0, site: '', detail: '', warned: false } as const;
    await spool.mark(row, [{ recipient: 0, state: released }]);
    outbound.look(row);
    outbound.look(row);
    await peer.receivedCount(1);
    await gone(stage);
    outbound.look(row);
    assert.equal(peer.messages.length, 1);
  }));

test('a message that the disk does not give back is tried again, and given up when its time is over', async () => {
  const stage = new OutboundStage(await closedUrl(), { POSTERN_QUEUE_SECONDS_MAX: '100' });
  const { spool, outbound } = stage;
  spool.wake = () => Promise.reject(new SpoolFailure('unreadable', 'a bad sector'));
  const young = stage.rest();
  const old = stage.rest({ acceptedMs: Date.now() - 200_000 });
  const key = spool.index.key(old);
  outbound.start();
  assert.equal((await stage.logged('spool-lost')).key, key);
  await eventually('the young one waits', () => spool.index.has(young) && !spool.index.claimed(young, 0));
  assert.equal(spool.index.messages, 1);
  await stage.end();
});

test('what has no way for good fails with those words, what has none now waits', async () => {
  const none = (permanent: boolean): NoHop => ({ tag: 'none', permanent, enhanced: '5.1.2', detail: 'no such domain' });
  const stage = new OutboundStage(
    await closedUrl(),
    {},
    {
      'never.example': async () => none(true),
      'later.example': async () => none(false),
    },
  );
  const message = stage.put({ to: ['x@never.example', 'y@later.example'] });
  stage.outbound.enqueue(message);
  await stage.logged('bounce');
  const state = stage.spool.index.state(message.row, 1);
  assert.ok(state.tag === 'waiting' && state.attempts === 1 && state.detail === '5.1.2 no such domain');
  await stage.end();
});

test('a site that does not answer holds up no other', async () => {
  const hanging = await SmtpPeer.start({ script: () => '' });
  const answering = await SmtpPeer.start();
  const hop = (peer: SmtpPeer, site: string) => (): NextHop => ({
    tag: 'hop',
    site,
    side: 'inside',
    targets: [
      { protocol: 'smtp', host: 'peer', address: '127.0.0.1', port: peer.port, tls: 'never', credentials: undefined },
    ],
  });
  const stage = new OutboundStage(
    await closedUrl(),
    {},
    {
      'hangs.example': hop(hanging, 'inside hangs'),
      'answers.example': hop(answering, 'inside answers'),
    },
  );
  for (let n = 0; n < 300; n++) stage.rest({ to: ['x@hangs.example'] });
  const rows: Row[] = [];
  for (let n = 0; n < 50; n++) rows.push(stage.rest({ to: ['x@answers.example'] }));
  stage.outbound.start();
  await answering.receivedCount(50);
  await eventually('theirs are final', () => rows.every((row) => !stage.spool.index.has(row)));
  assert.equal(stage.spool.index.messages, 300);
  stage.outbound.abort();
  await stage.end();
  await hanging.close();
  await answering.close();
});

test('after the end of the shard nothing is begun, and nobody holds what was put', async () => {
  const stage = new OutboundStage(await closedUrl());
  await stage.end();
  stage.outbound.enqueue(stage.put());
  stage.outbound.look(stage.rest());
  assert.deepEqual([stage.spool.holds, stage.spool.index.recipientsClaimed, stage.outbound.numbers.sites], [0, 0, 0]);
});
