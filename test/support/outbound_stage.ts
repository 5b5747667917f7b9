/** The outbound half of a shard on a memory spool and real sockets, with what it logs. */

import assert from 'node:assert/strict';
import { idSource } from '../../src/base/ids.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Envelope } from '../../src/message/envelope.ts';
import { Deadlines } from '../../src/net/connection.ts';
import { Outbound } from '../../src/relay/outbound.ts';
import { PressureWord, pressureMemory } from '../../src/relay/pressure_word.ts';
import { Relay } from '../../src/relay/relay.ts';
import { Router } from '../../src/relay/router.ts';
import type { Hop } from '../../src/relay/routing.ts';
import { SiteCounts, siteCountsMemory } from '../../src/relay/site_counts.ts';
import { twin } from '../../src/scanner/twin.ts';
import type { RecipientState, Row, Stored } from '../../src/spool/spool.ts';
import { createMetricsMemory, Metrics } from '../../src/telemetry/metrics.ts';
import { Changes } from './deadline.ts';
import { MemorySpool } from './memory_spool.ts';
import { testPolicy } from './policy.ts';

type Line = Readonly<Record<string, unknown>> & { readonly event: string };
type Mail = {
  readonly sender?: string;
  readonly to?: readonly string[];
  readonly bytes?: Buffer;
  readonly acceptedMs?: number;
};

const CONTENT = Buffer.from('Subject: x\r\n\r\ny\r\n');

export class OutboundStage {
  readonly spool = new MemorySpool();
  readonly lines: Line[] = [];
  readonly relay: Relay;
  readonly outbound: Outbound;
  readonly #deadlines = new Deadlines();
  readonly #changes = new Changes();
  #sent = 0;

  /** `url` is the inside server of here.example; `hops`, by domain, stand before what the configuration says. */
  constructor(
    url: string,
    environment: Readonly<Record<string, string>> = {},
    hops: Readonly<Record<string, () => Hop | Promise<Hop>>> = {},
  ) {
    const loaded = loadConfig({
      POSTERN_DOMAINS: 'here.example',
      POSTERN_INSIDE_ROUTE: url,
      POSTERN_HOSTNAME: 'mx.here.example',
      POSTERN_WORKERS: '1',
      ...environment,
    });
    assert.ok('config' in loaded, JSON.stringify(loaded));
    const { config } = loaded;
    this.relay = new Relay({
      config,
      spool: this.spool,
      scanner: twin,
      deadlines: this.#deadlines,
      policy: testPolicy(),
      pressure: new PressureWord(pressureMemory()),
      metrics: new Metrics(createMetricsMemory(1), 0),
      logger: {
        log: (event, fields = {}) => {
          this.lines.push({ event, ...fields });
          this.#changes.note();
        },
      },
      nextId: idSource('node00', 0),
      onSessionClosed: () => {},
      onBroken: () => {},
    });
    const router = new Router(null as never, {
      local: this.relay.local,
      insideRoute: config.insideRoute,
      outsideRoute: config.insideRoute,
      outsidePort: 25,
      outsideTls: config.outsideTls,
      mx: { hostname: config.hostname, ownAddresses: new Set<string>() as never, allowPrivate: true },
    });
    const nextHop = router.nextHop.bind(router);
    router.nextHop = (domain) => (hops[domain]?.() ?? nextHop(domain)) as ReturnType<typeof nextHop>;
    const rules = {
      connectionsMax: config.insideConnectionsMax,
      connectionIdleMsMax: 10_000,
      connectionMessagesMax: config.connectionMessagesMax,
      connectionAgeMsMax: 3_600_000,
      blockMs: (config.retrySeconds[0]! * 1000) / 2,
    };
    const counts = new SiteCounts(siteCountsMemory(1), 0);
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
  rest(mail: Mail = {}, state: Partial<Extract<RecipientState, { tag: 'waiting' }>> = {}): Row {
    const message = this.put(mail);
    const { row } = message;
    const waiting = { tag: 'waiting', attempts: 0, nextMs: 0, site: '', detail: '', warned: false, ...state } as const;
    this.spool.index.apply(
      row,
      message.envelope.recipients.map((_, recipient) => ({ recipient, state: waiting })),
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
