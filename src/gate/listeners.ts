/** The listeners: every address of both sides, each with its side; all of them, or none. */
import { printHostPort } from '../config/checks.ts';
import type { HostPort, OptionKey } from '../config/options.ts';
import { variableOf } from '../config/options.ts';
import type { Side } from '../message/envelope.ts';
import type { Accepted } from '../net/accepted.ts';
import type { Listen, Listener } from './acceptor.ts';

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

/** `address` is the system's text of the client's; `local` the address:port that it connected to. */
export type Accept = (accepted: Accepted, address: string, side: Side, local: string) => void;

export class Listeners {
  readonly #open: Listener[] = [];
  readonly #listen: Listen;
  readonly #accept: Accept;
  readonly #onError: (local: string, detail: string) => void;

  constructor(listen: Listen, accept: Accept, onError: (local: string, detail: string) => void) {
    this.#listen = listen;
    this.#accept = accept;
    this.#onError = onError;
  }

  /** Rejects with StartFailure that names every address that cannot be had; then none is held. */
  async listen(addresses: Listening): Promise<Listening> {
    const wanted = [
      ...addresses.outside.map((at) => ({ side: 'outside' as const, at })),
      ...addresses.inside.map((at) => ({ side: 'inside' as const, at })),
    ];
    const results = await Promise.allSettled(wanted.map(({ side, at }) => this.#listenAt(side, at)));
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
   * No address is held any more. What was accepted is not touched, and not waited for: it is the shards'.
   */
  close(): void {
    for (const listener of this.#open.splice(0)) listener.close();
  }

  async #listenAt(side: Side, at: HostPort): Promise<HostPort> {
    let local = '';
    const listener = await this.#listen(at, {
      accepted: (accepted, address) => this.#accept(accepted, address, side, local),
      fault: (code) => this.#onError(local, code),
    });
    this.#open.push(listener);
    const bound = { host: at.host, port: listener.port };
    local = printHostPort(bound);
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
