/**
 * One shard: everything a message needs from banner to delivery, in one thread. Builds the rooms, connects them, and
 * is what the gate speaks to.
 */
import type net from 'node:net';
import { idSource } from '../base/ids.ts';
import { LIMITS } from '../config/limits.ts';
import type { Config } from '../config/options.ts';
import type { TlsMaterial } from '../config/tls_material.ts';
import { loadMailauth } from '../facts/mailauth.ts';
import type { Side } from '../message/envelope.ts';
import { Deadlines } from '../net/connection.ts';
import { serverContext } from '../net/tls.ts';
import { chooseScanner } from '../scanner/index.ts';
import { openSpool } from '../spool/index.ts';
import type { SpoolStats } from '../spool/spool.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { BalancedConnection } from './balanced.ts';
import { Operator } from './operator.ts';
import type { QueueNumbers } from './outbound.ts';
import { Outbound } from './outbound.ts';
import type { PolicyInForce, PolicyTools } from './policy.ts';
import { Policy } from './policy.ts';
import { policyTools } from './policy_tools.ts';
import { PressureWord } from './pressure_word.ts';
import type { QueueSource } from './queue_requests.ts';
import { Relay } from './relay.ts';
import { InboundSession } from './session.ts';
import { SiteCounts } from './site_counts.ts';

/** Where a connection came in, and from where. */
export type Door = {
  /** The client's, normalised (net/addresses.ts). */
  readonly address: string;
  /** The side of the listener, and that of the client. */
  readonly door: Side;
  readonly side: Side;
  /** The other end is a balancer: it says whom it speaks for before all else. */
  readonly balanced: boolean;
  /** The address:port that was connected to. */
  readonly local: string;
};

export type ShardContext = {
  readonly shard: number;
  readonly config: Config;
  readonly node: string;
  readonly tls: TlsMaterial | null;
  readonly policy: PolicyInForce;
  /** The same for all shards of the process, at least 32 random bytes. */
  readonly ticketSecret: Uint8Array;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly siteCounts: SharedArrayBuffer;
  readonly pressure: SharedArrayBuffer;
  readonly onSessionClosed: (place: number) => void;
  readonly onBroken: (detail: string) => void;
};

export type ShardStatus = QueueNumbers & {
  readonly sessions: number;
  readonly messages: number;
  readonly spool: SpoolStats;
};

export class Shard {
  readonly #relay: Relay;
  readonly #context: ShardContext;
  readonly #policyTools: PolicyTools;
  readonly #operator: Operator;

  constructor(relay: Relay, context: ShardContext, policyTools: PolicyTools) {
    this.#relay = relay;
    this.#policyTools = policyTools;
    this.#context = context;
    this.#operator = new Operator(relay);
  }

  /** Where the operator's questions go. */
  get queue(): QueueSource {
    return this.#operator;
  }

  accept(socket: net.Socket, { address, door, side, balanced }: Door, place: number): void {
    const peer = { address, door, place };
    const relay = this.#relay;
    const session = balanced
      ? new BalancedConnection(relay, socket, peer)
      : new InboundSession(relay, socket, relay.frontDoor.direct(peer, side));
    relay.sessions.add(session);
  }

  reloadTls(material: TlsMaterial): void {
    this.#relay.useTls(contexts(material, this.#context.ticketSecret));
  }

  /** In force from the next transaction of each session on. */
  reloadPolicy(inForce: PolicyInForce): void {
    const before = this.#relay.policy;
    this.#relay.policy = policyOf(inForce, this.#policyTools);
    before.close();
  }

  status(): ShardStatus {
    const { sessions, spool, outbound } = this.#relay;
    return { sessions: sessions.size, messages: spool.index.messages, ...outbound.numbers, spool: spool.stats };
  }

  /** Open transactions and deliveries finish within `msMax`; what is left then is cut, and nothing accepted is lost. */
  async drain(msMax: number): Promise<void> {
    const relay = this.#relay;
    const cut = setTimeout(() => {
      for (const session of [...relay.sessions]) session.destroy();
      relay.outbound.abort();
    }, msMax);
    await relay.drainSessions();
    await this.#operator.stop();
    await relay.outbound.drain();
    clearTimeout(cut);
    relay.deadlines.stop();
    await relay.spool.close();
  }
}

/** Resolves when the journal is replayed; what it held is queued from then on, in slices. */
export async function startShard(context: ShardContext): Promise<Shard> {
  const { shard, config, metrics, logger } = context;
  const spool = await openSpool({
    directory: config.spoolDir,
    shard,
    workers: config.workers,
    segmentBytes: config.segmentBytes,
    memoryBytesMax: Math.floor(config.memoryBytesMax / config.workers),
    report: (event, fields) => logger.log(event, fields),
  });
  const { scanner, relaxer, why } = chooseScanner();
  logger.log('scanner', { name: scanner.name, why });
  const deadlines = new Deadlines();
  const { tools, router } = policyTools({ config, relaxer, deadlines, hooks: filterHooks(logger), shard });
  const relay = new Relay({
    config,
    spool,
    policy: policyOf(context.policy, tools),
    scanner,
    deadlines,
    pressure: new PressureWord(context.pressure),
    metrics,
    logger,
    nextId: idSource(context.node, shard),
    onSessionClosed: context.onSessionClosed,
    onBroken: context.onBroken,
  });
  if (context.tls !== null) relay.useTls(contexts(context.tls, context.ticketSecret));
  const counts = new SiteCounts(context.siteCounts, shard);
  relay.outbound = new Outbound(relay, router, counts, siteRules(config));
  relay.outbound.start();
  return new Shard(relay, context, tools);
}

function policyOf(inForce: PolicyInForce, tools: PolicyTools): Policy {
  if (inForce.document.authentication.check) loadMailauth();
  return new Policy(inForce, tools);
}

/** One line for each message that a filter did not simply accept. */
const filterHooks = (logger: Logger): PolicyTools['hooks'] => ({
  ended: ({ filter, findings, filterSeconds }) => {
    const { verdict, failure, dryRun, names = [] } = findings;
    if (verdict === 'accept' && failure === undefined && dryRun === undefined) return;
    logger.log('filter', {
      filter,
      verdict: dryRun?.verdict ?? verdict,
      dryRun: dryRun !== undefined,
      names: names.slice(0, 5).join(' '),
      detail: failure === undefined ? '' : `${failure.reason}: ${failure.detail}`,
      ms: Math.round(filterSeconds * 1000),
    });
  },
  breaker: (filter, open) => logger.log('filter-breaker', { filter, open }),
});

const contexts = (material: TlsMaterial, ticketSecret: Uint8Array) => ({
  outside: serverContext(material, 'outside', ticketSecret),
  inside: serverContext(material, 'inside', ticketSecret),
});

function siteRules(config: Config): Outbound['rules'] {
  const rulesFor = (connectionsMax: number) => ({
    connectionsMax,
    connectionMessagesMax: config.connectionMessagesMax,
    connectionAgeMsMax: config.connectionAgeSecondsMax * 1000,
    // Half the first wait: who comes back from it finds the site tried again, not blocked. And not for long: the first
    // to come after it finds out that the site is up again, and releases all others.
    blockMs: Math.min((config.retrySeconds[0]! * 1000) / 2, LIMITS.blockedSiteMs),
  });
  return { inside: rulesFor(config.insideConnectionsMax), outside: rulesFor(config.siteConnectionsMax) };
}
