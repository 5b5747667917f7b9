/**
 * The world around the demo's Postern: an inside server, two mail exchangers of the Internet, and the DNS that names
 * them.
 */
import { type DnsServer, startDnsServer, type Zone } from '../load/dns_server.ts';
import type { Ledger } from '../load/ledger.ts';
import { type Delivered, Sink } from '../load/sink.ts';

export const INSIDE_DOMAINS = ['castle.example', 'keep.example'];
export const INTERNET_SENDERS = ['far.example', 'away.example', 'abroad.example'];
/** Two domains at one exchanger, one behind an exchanger that is down, one without MX: RFC 5321 §5.1. */
export const ZONE: Zone = {
  'one.example': { MX: [{ preference: 10, exchange: 'mx1.example' }] },
  'two.example': { MX: [{ preference: 10, exchange: 'mx2.example' }] },
  'three.example': { MX: [{ preference: 20, exchange: 'mx2.example' }] },
  'four.example': {
    MX: [
      { preference: 5, exchange: 'down.example' },
      { preference: 10, exchange: 'mx1.example' },
    ],
  },
  'five.example': { A: ['127.0.0.3'] },
  'mx1.example': { A: ['127.0.0.2'] },
  'mx2.example': { A: ['127.0.0.3'] },
  'down.example': { A: ['127.0.0.4'] },
};
export const INTERNET_DOMAINS = ['one.example', 'two.example', 'three.example', 'four.example', 'five.example'];
const PORT_TRIES = 20;

/** What Postern delivers to, and the ledgers in which that is written down. */
export class World {
  readonly #ledgers = new Map<number, Ledger>();
  #strange = 0;
  #sinks: Sink[] = [];
  #dns: DnsServer | undefined;

  static async start(): Promise<World> {
    const world = new World();
    const onMessage = (message: Delivered): void => world.#arrived(message);
    world.#sinks = [
      await Sink.listen({ hostname: 'inside.castle.example', onMessage }),
      ...(await exchangers(onMessage)),
    ];
    world.#dns = await startDnsServer({ zone: ZONE });
    return world;
  }

  /** What POSTERN_* must say for this world. */
  environment(): Record<string, string> {
    const [inside, exchanger] = this.#sinks;
    return {
      DOMAINS: INSIDE_DOMAINS.join(','),
      INSIDE_ROUTE: `smtp://127.0.0.1:${inside?.port}`,
      OUTSIDE_PORT: `${exchanger?.port}`,
      ALLOW_PRIVATE_MX: '1',
      DNS_SERVERS: `127.0.0.1:${this.#dns?.port}`,
    };
  }

  expect(ledger: Ledger): void {
    this.#ledgers.set(ledger.run, ledger);
  }

  /** Mail that belongs to no ledger: reports of failure, for instance. */
  get strange(): number {
    return this.#strange;
  }

  async close(): Promise<void> {
    for (const sink of this.#sinks) await sink.close();
    await this.#dns?.close();
  }

  #arrived(message: Delivered): void {
    const ledger = this.#ledgers.get(message.stamp?.run ?? -1);
    if (ledger === undefined) this.#strange++;
    else ledger.arrived(message);
  }
}

/** Two addresses with one port, as all mail exchangers of the world have one. */
async function exchangers(onMessage: (message: Delivered) => void): Promise<Sink[]> {
  for (let attempt = 1; ; attempt++) {
    const first = await Sink.listen({ host: '127.0.0.2', hostname: 'mx1.example', onMessage });
    try {
      return [first, await Sink.listen({ host: '127.0.0.3', port: first.port, hostname: 'mx2.example', onMessage })];
    } catch (error) {
      await first.close();
      if (attempt === PORT_TRIES) throw error;
    }
  }
}
