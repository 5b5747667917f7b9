/**
 * The sockets that listen: every address of both sides, each with its side. Accepted sockets are paused, to be
 * transferred.
 */
import net from 'node:net';
import { assert } from '../base/assert.ts';
import { printHostPort } from '../config/checks.ts';
import { LIMITS } from '../config/limits.ts';
import type { HostPort, OptionKey } from '../config/options.ts';
import { variableOf } from '../config/options.ts';
import type { Side } from '../message/envelope.ts';

export type Listening = { readonly outside: readonly HostPort[]; readonly inside: readonly HostPort[] };

/** Nothing of ours is wrong: an address cannot be had. Each fault is a line for the operator. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.faults = faults;
  }
}

export type Accept = (socket: net.Socket, side: Side, local: string) => void;

export class Listeners {
  readonly #servers: { readonly side: Side; readonly server: net.Server }[] = [];
  readonly #accept: Accept;
  readonly #onError: (local: string, detail: string) => void;

  constructor(accept: Accept, onError: (local: string, detail: string) => void) {
    this.#accept = accept;
    this.#onError = onError;
  }

  /** Rejects with StartFailure that names every address that cannot be had; then none is held. */
  async listen(addresses: Listening): Promise<Listening> {
    const wanted = [
      ...addresses.outside.map((at) => ({ side: 'outside' as const, at })),
      ...addresses.inside.map((at) => ({ side: 'inside' as const, at })),
    ];
    const results = await Promise.allSettled(wanted.map(({ side, at }) => this.#open(side, at)));
    const faults = results.flatMap((result, index) =>
      result.status === 'rejected'
        ? [listenFault(`${wanted[index]!.side}Listen` as OptionKey, wanted[index]!.at, result.reason)]
        : [],
    );
    if (faults.length > 0) {
      this.close();
      throw new StartFailure(faults);
    }
    const bound = results.map((result, index) => ({ side: wanted[index]!.side, result }));
    const boundOf = (side: Side) =>
      bound.flatMap((each) => (each.side === side && each.result.status === 'fulfilled' ? [each.result.value] : []));
    return { outside: boundOf('outside'), inside: boundOf('inside') };
  }

  /**
   * No address is held any more. Sockets that were accepted are not touched, and not waited for: they are the
   * shards'.
   */
  close(): void {
    for (const { server } of this.#servers.splice(0)) server.close();
  }

  async #open(side: Side, { host, port }: HostPort): Promise<HostPort> {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: false, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, backlog: LIMITS.listenBacklog, ipv6Only: host.includes(':') }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#servers.push({ side, server });
    const address = server.address();
    assert(typeof address === 'object' && address !== null, 'a TCP server has an address');
    const bound = { host, port: address.port };
    const local = printHostPort(bound);
    server.on('connection', (socket) => this.#accept(socket, side, local));
    server.on('error', (error: NodeJS.ErrnoException) => this.#onError(local, error.code ?? error.message));
    return bound;
  }
}

/** One line: which variable, which address, why, and what to do. */
export function listenFault(key: OptionKey, at: HostPort, error: NodeJS.ErrnoException): string {
  const advice: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program listens there; stop it, or write another address',
    EADDRNOTAVAIL: 'this machine does not have the address; write one of its own, or 0.0.0.0 or [::]',
    EACCES: 'ports below 1024 need CAP_NET_BIND_SERVICE; grant it, or write a higher port and redirect',
  };
  const code = error.code ?? error.message;
  const written = `${variableOf(key)}="${printHostPort(at)}"`;
  return `${written}: cannot listen (${code}): ${advice[code] ?? 'write another address'}`;
}
