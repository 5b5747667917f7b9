/** Two shards before a site that takes few connections: neither waits for what the other one merely keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SiteCounts, siteCountsMemory } from '../../../src/relay/site_counts.ts';
import { eventually } from '../../support/deadline.ts';
import { OutboundStage } from '../../support/outbound_stage.ts';
import { SmtpPeer } from '../../support/smtp_peer.ts';

/** What one shard keeps, it keeps for longer than this test may take, unless it gives way. */
const RULES = { POSTERN_CONNECTION_IDLE_SECONDS_MAX: '300', POSTERN_CONNECTION_MESSAGES_MAX: '100' };
const mailOf = (sender: string) => (message: { readonly sender: string }) => message.sender === sender;

async function withTwo(
  connectionsMax: number,
  run: (peer: SmtpPeer, one: OutboundStage, other: OutboundStage) => Promise<void>,
): Promise<void> {
  const peer = await SmtpPeer.start();
  const memory = siteCountsMemory(2);
  const environment = { ...RULES, POSTERN_INSIDE_CONNECTIONS_MAX: `${connectionsMax}` };
  const [one, other] = [0, 1].map(
    (shard) => new OutboundStage(peer.url, environment, {}, new SiteCounts(memory, shard)),
  ) as [OutboundStage, OutboundStage];
  try {
    await run(peer, one, other);
  } finally {
    for (const stage of [one, other]) {
      stage.outbound.abort();
      await stage.end();
    }
    await peer.close();
  }
}

const connections = ({ outbound }: OutboundStage): number => outbound.numbers.connectionsOut;

test('idle connections are left to a shard that has none', () =>
  withTwo(1, async (peer, one, other) => {
    one.outbound.enqueue(one.put());
    await peer.receivedCount(1);
    await eventually('its mark', () => one.spool.index.messages === 0);
    assert.equal(connections(one), 1, 'it keeps the connection');
    other.outbound.enqueue(other.put({ sender: 'other@client.example' }));
    await peer.received('mail of the other shard', mailOf('other@client.example'));
    assert.equal(connections(one), 0);
  }));

/** It has mail that waits for a connection, whatever the speed of this machine. */
function busy(stage: OutboundStage): void {
  while (stage.outbound.numbers.ready < 100) stage.outbound.enqueue(stage.put());
}

test('a shard with a backlog leaves half of the connections to one whose mail comes later', () =>
  withTwo(4, async (peer, one, other) => {
    await eventually('it has all of them', () => {
      busy(one);
      return connections(one) === 4;
    });
    await eventually('they share', () => {
      busy(one);
      busy(other);
      return connections(one) === 2 && connections(other) === 2;
    });
    await eventually('all is delivered', () => one.spool.index.messages + other.spool.index.messages === 0);
    assert.ok(peer.messages.length > 200);
  }));

test('a site that takes one connection serves both, in turn, by what a connection may carry', () =>
  withTwo(1, async (peer, one, other) => {
    for (let n = 0; n < 250; n++) one.rest();
    one.outbound.start();
    await peer.receivedCount(1);
    other.outbound.enqueue(other.put({ sender: 'other@client.example' }));
    await peer.received('mail of the other shard', mailOf('other@client.example'));
    assert.ok(one.spool.index.messages > 0, 'it came before the end of the backlog');
  }));
