/**
 * Who a client is, where others may speak for it: listed balancers by a PROXY header before the banner, listed peers by
 * XCLIENT. From then on the client has its own address everywhere: in policy, Received, logs and limits. It is inside
 * only by that address, never by that of who speaks for it.
 *
 *   connection ─► nobody else ──────────────► Caller ─► session ─► XCLIENT ADDR= ─► Caller of the client ─► 220
 *              └► balancer ─► PROXY header ─► Caller ──┘
 *
 * The gate counts connections by whom they come from, and lets balancers have as many as they like. Clients behind them
 * are counted here, in each shard for itself: over all shards one may have so many times the limit.
 */
import { LIMITS } from '../config/limits.ts';
import type { Config } from '../config/options.ts';
import type { Side } from '../message/envelope.ts';
import { clientKey, NetworkSet } from '../net/addresses.ts';
import type { Announced } from '../net/proxy_protocol.ts';
import { Admission, type Refusal } from '../policy/admission.ts';
import { judgeSide } from '../policy/side.ts';
import type { Announcement } from '../smtp/xclient.ts';

export type Caller = {
  /** The client's own, or that of who speaks for it where that could not say. */
  readonly address: string;
  readonly side: Side;
  /** The side of the listener. */
  readonly door: Side;
  /** By this the gate knows the connection (gate/closings.ts). */
  readonly place: number;
  /** By this the client is counted here; null: it is not. */
  readonly countedKey: string | null;
  /** Who speaks for the client; null: it does so itself. */
  readonly proxy: string | null;
  /** By XCLIENT: its name, checked by who says it, and whom it has authenticated as. */
  readonly name: string | null;
  readonly login: string | null;
};

/** For log lines. */
export const loggedCaller = ({ side, address, proxy, login }: Caller) => ({
  side,
  client: address,
  ...(proxy === null ? {} : { proxy }),
  ...(login === null ? {} : { login }),
});

/** The other end of a connection. */
export type Peer = { readonly address: string; readonly door: Side; readonly place: number };

type Doors = Pick<
  Config,
  | 'insideNetworks'
  | 'insideOnOutside'
  | 'xclientNetworks'
  | 'clientConnectionsMax'
  | 'clientConnectionsPerMinuteMax'
  | 'workers'
>;

export class FrontDoor {
  readonly #inside: NetworkSet;
  readonly #announcers: NetworkSet;
  readonly #insideOnOutside: boolean;
  readonly #admission: Admission;

  constructor(config: Doors) {
    const { clientConnectionsMax, clientConnectionsPerMinuteMax } = config;
    this.#inside = new NetworkSet(config.insideNetworks);
    this.#announcers = new NetworkSet(config.xclientNetworks);
    this.#insideOnOutside = config.insideOnOutside;
    this.#admission = new Admission({
      connectionsMax: Number.POSITIVE_INFINITY, // the gate counts them all
      clientConnectionsMax,
      clientConnectionsPerMinuteMax,
      clientsTrackedMax: Math.ceil(LIMITS.clientsTrackedMax / config.workers),
    });
  }

  /** May it say XCLIENT? */
  mayAnnounce({ address }: Caller): boolean {
    return this.#announcers.contains(address);
  }

  /** Nobody speaks for it; the gate has said whose side it is on. */
  direct({ address, door, place }: Peer, side: Side): Caller {
    return { address, side, door, place, countedKey: null, proxy: null, name: null, login: null };
  }

  /** Who is behind a balancer, or why not: a key of the reply table. */
  behindBalancer(peer: Peer, announced: Announced, nowMs: number): Caller | 'insideOnly' | Refusal {
    const own = announced.tag === 'client' ? announced.address : peer.address;
    const side = this.sideOf(peer.door, announced.tag === 'unknown' ? null : own);
    if (side === null) return 'insideOnly';
    const caller = { ...this.direct(peer, side), address: own };
    if (announced.tag === 'local') return caller;
    return this.#counted({ ...caller, proxy: peer.address }, announced.tag === 'client' ? own : null, nowMs);
  }

  /** The caller from now on, or why not; then the old one still counts. */
  byXclient(caller: Caller, said: Announcement, nowMs: number): Caller | 'insideOnly' | Refusal {
    const { name = caller.name, login = caller.login, address } = said;
    if (address === undefined) return { ...caller, name, login };
    const side = this.sideOf(caller.door, address);
    if (side === null) return 'insideOnly';
    const client = { ...caller, side, name, login, address: address ?? caller.address, proxy: caller.address };
    const counted = this.#counted({ ...client, countedKey: null }, address, nowMs);
    if (typeof counted !== 'string') this.left(caller, nowMs);
    return counted;
  }

  /** Its session is over. */
  left({ countedKey }: Pick<Caller, 'countedKey'>, nowMs: number): void {
    if (countedKey !== null) this.#admission.release(countedKey, nowMs);
  }

  /** Of the client; null: a stranger on an inside door. Without an address it could be anybody: a stranger. */
  sideOf(door: Side, address: string | null): Side | null {
    const isInside = address !== null && this.#inside.contains(address);
    return judgeSide({ door, isInside, insideOnOutside: this.#insideOnOutside });
  }

  #counted(caller: Caller, address: string | null, nowMs: number): Caller | Refusal {
    if (address === null) return caller;
    const countedKey = clientKey(address);
    return this.#admission.admit(countedKey, nowMs) ?? { ...caller, countedKey };
  }
}
