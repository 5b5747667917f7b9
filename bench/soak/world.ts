/**
 * The world around a Postern that is soaked: programs that are killed and come back where they were.
 *
 *   Internet source ─► outside ─► Postern ─► inside server                     killed now and then
 *   inside source   ─► inside  ─► Postern ─► mx1                               steady
 *                                        └─► mx2                               takes mail, or defers all of it (451)
 *
 * Everything that is dialled has an address of its own on loopback: a client that dials a closed port of the address
 * that it dials from may be given that very port, and meet itself.
 */
import { join } from 'node:path';
import { INSIDE_DOMAINS, INTERNET_DOMAINS, INTERNET_SENDERS, ZONE } from '../demo/world.ts';
import { type ArrivalLine, parseArrival } from '../load/arrivals_file.ts';
import { Child } from '../load/child.ts';
import { type DnsServer, startDnsServer } from '../load/dns_server.ts';
import type { Correspondents } from '../load/messages.ts';
import type { SinkApi } from '../load/sink.ts';
import { Tail } from '../peers/tail.ts';

const POSTERN_HOST = '127.0.0.7';
const INSIDE_HOST = '127.0.0.6';
const INSIDE_CONNECTIONS_MAX = 5;
const OUTSIDE_CONNECTIONS_MAX = 2;
/** Postern's sites for the zone: by its sets of hosts, each of mx1 and mx2 is in two. */
const SITES_OF_EACH_EXCHANGER = 2;
const PORT_TRIES = 20;

export const WAYS: readonly Correspondents[] = [
  { senderDomains: INTERNET_SENDERS, recipientDomains: INSIDE_DOMAINS },
  { senderDomains: INSIDE_DOMAINS, recipientDomains: INTERNET_DOMAINS },
];

/** A next hop: a sink program that may be killed, and what it wrote down in all its lives. */
export class Site {
  readonly name: string;
  readonly connectionsMax: number;
  readonly #host: string;
  readonly #arrivalsFile: string;
  #tail: Tail | undefined;
  #piece = '';
  #sink: Child<SinkApi> | undefined;
  port = 0;

  constructor(name: string, host: string, connectionsMax: number, folder: string) {
    this.name = name;
    this.connectionsMax = connectionsMax;
    this.#host = host;
    this.#arrivalsFile = join(folder, `${name}.arrivals`);
  }

  /** Where it was before, if it was. Rejects where the port is taken. */
  async start(defers: boolean, port = this.port): Promise<void> {
    const sink = new Child<SinkApi>('sink.ts');
    this.#sink = sink;
    const listening = await sink.call('listen', {
      host: this.#host,
      port,
      hostname: `${this.name}.example`,
      arrivalsFile: this.#arrivalsFile,
      ...(defers && { refuse: { rcpt: [{ code: 451, share: 1 }] } }),
    });
    this.port = listening.port;
    this.#tail ??= new Tail(this.#arrivalsFile);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#sink?.stop();
  }

  /** What has come since the last call. */
  *arrivals(): Generator<ArrivalLine> {
    const lines = (this.#piece + (this.#tail?.read() ?? '')).split('\n');
    this.#piece = lines.pop() ?? '';
    for (const line of lines) {
      const arrival = parseArrival(line);
      if (arrival !== undefined) yield arrival;
    }
  }
}

export class World {
  readonly inside: Site;
  readonly steady: Site;
  readonly moody: Site;
  readonly #dns: DnsServer;

  private constructor(folder: string, dns: DnsServer) {
    const exchangerMax = OUTSIDE_CONNECTIONS_MAX * SITES_OF_EACH_EXCHANGER;
    this.inside = new Site('inside', INSIDE_HOST, INSIDE_CONNECTIONS_MAX, folder);
    this.steady = new Site('mx1', '127.0.0.2', exchangerMax, folder);
    this.moody = new Site('mx2', '127.0.0.3', exchangerMax, folder);
    this.#dns = dns;
  }

  static async start(folder: string): Promise<World> {
    const world = new World(folder, await startDnsServer({ zone: ZONE }));
    await world.inside.start(false);
    await world.#startExchangers();
    return world;
  }

  get sites(): readonly Site[] {
    return [this.inside, this.steady, this.moody];
  }

  /** Connections to next hops, at most. */
  get connectionsMax(): number {
    return this.sites.reduce((sum, site) => sum + site.connectionsMax, 0);
  }

  /** What POSTERN_* must say for this world. */
  environment(): Record<string, string> {
    return {
      OUTSIDE_LISTEN: `${POSTERN_HOST}:0`,
      INSIDE_LISTEN: `${POSTERN_HOST}:0`,
      ADMIN_LISTEN: `${POSTERN_HOST}:0`,
      DOMAINS: INSIDE_DOMAINS.join(','),
      INSIDE_ROUTE: `smtp://${INSIDE_HOST}:${this.inside.port}`,
      INSIDE_CONNECTIONS_MAX: `${INSIDE_CONNECTIONS_MAX}`,
      SITE_CONNECTIONS_MAX: `${OUTSIDE_CONNECTIONS_MAX}`,
      OUTSIDE_PORT: `${this.steady.port}`,
      ALLOW_PRIVATE_MX: '1',
      DNS_SERVERS: `127.0.0.1:${this.#dns.port}`,
    };
  }

  async close(): Promise<void> {
    for (const site of this.sites) await site.kill();
    await this.#dns.close();
  }

  /** Two addresses with one port, as all mail exchangers of the world have one. */
  async #startExchangers(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.steady.start(false, 0);
      try {
        return await this.moody.start(false, this.steady.port);
      } catch (error) {
        await this.steady.kill();
        await this.moody.kill();
        if (attempt === PORT_TRIES) throw error;
      }
    }
  }
}
