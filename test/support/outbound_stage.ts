/** The outbound half of a shard on a memory spool and real sockets, with what it logs. */
import type { Envelope } from '../../src/message/envelope.ts';
import type { Deadlines } from '../../src/net/connection.ts';
import { Outbound } from '../../src/relay/outbound.ts';
import type { Relay } from '../../src/relay/relay.ts';
import { Router } from '../../src/relay/router.ts';
import type { Hop } from '../../src/relay/routing.ts';
import { SiteCounts, siteCountsMemory } from '../../src/relay/site_counts.ts';
import type { Row, Stored } from '../../src/spool/spool.ts';
import { Changes } from './deadline.ts';
import type { MemorySpool } from './memory_spool.ts';
import type { Line } from './relay.ts';
import { testRelay } from './relay.ts';
import type { Waiting } from './waiting.ts';
import { waiting } from './waiting.ts';

type Mail = {
  readonly sender?: string;
  readonly to?: readonly string[];
  readonly bytes?: Buffer;
  readonly acceptedMs?: number;
};

const CONTENT = Buffer.from('Subject: x\r\n\r\ny\r\n');

export class OutboundStage {
  readonly spool: MemorySpool;
  readonly lines: readonly Line[];
  readonly relay: Relay;
  readonly outbound: Outbound;
  readonly #deadlines: Deadlines;
  readonly #changes = new Changes();
  #sent = 0;

  /**
   * `url` is the inside server of here.example; `hops`, by domain, stand before what the configuration says. `counts`:
   * this is one shard of several.
   */
  constructor(
    url: string,
    environment: Readonly<Record<string, string>> = {},
    hops: Readonly<Record<string, () => Hop | Promise<Hop>>> = {},
    counts = new SiteCounts(siteCountsMemory(1), 0),
  ) {
    const { config, relay, spool, lines, deadlines } = testRelay({ POSTERN_INSIDE_ROUTE: url, ...environment }, () =>
      this.#changes.note(),
    );
    this.relay = relay;
    this.spool = spool;
    this.lines = lines;
    this.#deadlines = deadlines;
    const router = new Router(null as never, {
      local: this.relay.local,
      insideRoute: config.insideRoute,
      outsideRoute: config.insideRoute,
      outsidePort: 25,
      insideTls: config.insideTls,
      outsideTls: config.outsideTls,
      mx: { hostname: config.hostname, ownAddresses: new Set<string>() as never, allowPrivate: true },
    });
    const nextHop = router.nextHop.bind(router);
    router.nextHop = (domain) => (hops[domain]?.() ?? nextHop(domain)) as ReturnType<typeof nextHop>;
    const rules = {
      connectionsMax: config.insideConnectionsMax,
      connectionMessagesMax: config.connectionMessagesMax,
      connectionAgeMsMax: 3_600_000,
      blockMs: (config.retrySeconds[0]! * 1000) / 2,
    };
    this.outbound = new Outbound(this.relay, router, counts, { inside: rules, outside: rules });
    this.relay.outbound = this.outbound;
  }

  /** Just committed: held once. */
  put({ sender = 'alice@client.example', to = ['bob@here.example'], bytes = CONTENT, acceptedMs }: Mail = {}): Stored {
    const envelope: Envelope = {
      id: `id-${++this.#sent}`,
      origin: 'outside',
      acceptedMs: acceptedMs ?? Date.now(),
      sender,
      smtpUtf8: false,
      recipients: to.map((address) => ({ address })),
      content: { bytes: bytes.length, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: 14 },
      edits: [],
    };
    return this.spool.put(envelope, bytes);
  }

  /** At rest, as recovery finds it. */
  rest(mail: Mail = {}, state: Partial<Waiting> = {}): Row {
    const message = this.put(mail);
    const { row } = message;
    this.spool.index.apply(
      row,
      message.envelope.recipients.map((_, recipient) => ({ recipient, state: waiting(state) })),
    );
    this.spool.rest(message);
    return row;
  }

  logged(event: string, matches: (line: Line) => boolean = () => true): Promise<Line> {
    const find = () => this.lines.find((line) => line.event === event && matches(line));
    return this.#changes.until(() => `${event} in the log, which has ${this.lines.map((line) => line.event)}`, find);
  }

  async end(): Promise<void> {
    await this.outbound.drain();
    this.#deadlines.stop();
  }
}
