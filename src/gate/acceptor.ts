/**
 * Listening on one address, in two ways that are held to the same cases: the addon's accepts descriptors, Node's server
 * accepts sockets and serves where the addon was not built. Each accepted connection, and who it is, is told once; it
 * belongs to the hearer then.
 *
 * A socket that is transferred is made in main, taken apart, and made again in the shard; the descriptor saves that: a
 * seventh of a message's CPU where each has a connection of its own.
 */
import net from 'node:net';
import { loadAddon } from '../base/addon.ts';
import { LIMITS } from '../config/limits.ts';
import type { HostPort } from '../config/options.ts';
import type { Accepted } from '../net/accepted.ts';

export type Hearer = {
  /** `address` is the system's text of it. */
  accepted(connection: Accepted, address: string): void;
  /** The system gives no more connections just now: descriptors or memory have run out. It goes on by itself. */
  fault(code: string): void;
};

/** Nobody is accepted any more, and the address is free, when `close` returns. */
export type Listener = { readonly port: number; close(): void };

/** Rejects with an error that has the system's code. */
export type Listen = (at: HostPort, hearer: Hearer) => Promise<Listener>;

/** native/src/acceptor.cc. */
type Addon = {
  listen(
    host: string,
    port: number,
    backlog: number,
    heard: (descriptors: readonly number[], addresses: readonly string[], fault: string) => void,
  ): Listener & { pause(): void; resume(): void };
};

export const chooseListen = (): Listen => nativeListen() ?? serverListen;

/** Null: the addon was not built. `file` is another one in tests. */
export function nativeListen(file?: string): Listen | null {
  const loaded = loadAddon<Addon>(file);
  return 'why' in loaded ? null : async (at, hearer) => listenByAddon(loaded.addon, at, hearer);
}

/**
 * Who comes while descriptors have run out waits in the kernel's backlog. Polling for them would turn the loop without
 * end, since they are there all the time; so it looks again after a while.
 */
function listenByAddon(addon: Addon, { host, port }: HostPort, hearer: Hearer): Listener {
  let again: NodeJS.Timeout | undefined;
  let faulty = false;
  const listener = addon.listen(host, port, LIMITS.listenBacklog, (descriptors, addresses, fault) => {
    const news = fault !== '' && !faulty;
    faulty = fault !== '';
    if (faulty) {
      listener.pause();
      again = setTimeout(() => listener.resume(), LIMITS.acceptPauseMs);
    }
    for (const [index, descriptor] of descriptors.entries()) hearer.accepted(descriptor, addresses[index]!);
    if (news) hearer.fault(fault);
  });
  const close = () => {
    clearTimeout(again);
    listener.close();
  };
  return { port: listener.port, close };
}

export const serverListen: Listen = async ({ host, port }, hearer) => {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: false, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: LIMITS.listenBacklog, ipv6Only: host.includes(':') }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('connection', (socket) => {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined)
      socket.destroy(); // it has gone already
    else hearer.accepted(socket, remoteAddress);
  });
  server.on('error', (error: NodeJS.ErrnoException) => hearer.fault(error.code ?? error.message));
  return { port: (server.address() as net.AddressInfo).port, close: () => void server.close() };
};
