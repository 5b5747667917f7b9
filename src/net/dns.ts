/**
 * Our own thin DNS client (architecture §3.12): a stub that asks recursive resolvers over UDP and, where the answer
 * does not fit, TCP; with a cache. `dns.lookup` is never called.
 *
 *   query ─► cache? ─► the same question under way? ─► a free slot, or wait ─► servers in turn, each wait doubled
 *
 * What DNS says, failures included, is a returned value (DnsAnswer); a rejection would be a defect of ours.
 */
import { monotonicMs } from '../base/clock.ts';
import { randomBelow } from '../base/random.ts';
import { LIMITS } from '../config/limits.ts';
import type { HostPort } from '../config/options.ts';
import { DnsCache } from './dns_cache.ts';
import type { Timers } from './dns_exchange.ts';
import { askTcp, askUdp } from './dns_exchange.ts';
import type { DnsAnswer, DnsFailure, DnsType } from './dns_message.ts';
import { canonicalName, encodeQuery, isReplyTo, isTruncated, readReply } from './dns_message.ts';

export type { DnsAnswer, DnsFailure, DnsType, Mx, RecordOf, Tlsa } from './dns_message.ts';

export interface Dns {
  /** `name` is in ASCII (A-labels), with or without a dot at its end. Never rejects. */
  query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<T>>;
}

export type DnsSettings = {
  /** Recursive resolvers, tried in order. */
  readonly servers: readonly HostPort[];
  /** One look-up with all its tries and its wait for a slot. */
  readonly timeoutMsMax: number;
  /** Tests replace it. */
  readonly timers?: Timers;
};

export const createDns = (settings: DnsSettings): Dns => new DnsClient(settings);

const CLOCK: Timers = {
  nowMs: monotonicMs,
  after: (ms, action) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

/** Waits of 1, 2, 4 and 8 parts of the whole: of 20 s, the first is 1.3 s, enough for most recursions. */
const TRIES = 4;
const PARTS = 2 ** TRIES - 1;

/** `bytes` is the size of the reply, for the cache. */
type Outcome = { readonly answer: DnsAnswer; readonly bytes: number };

class DnsClient implements Dns {
  readonly #servers: readonly HostPort[];
  readonly #timeoutMsMax: number;
  readonly #timers: Timers;
  readonly #cache = new DnsCache();
  readonly #underWay = new Map<string, Promise<DnsAnswer>>();
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  /** The server to ask first: the first of the list, or for a while the one that answered when that one was silent. */
  #first = 0;
  #firstUntilMs = 0;

  constructor({ servers, timeoutMsMax, timers }: DnsSettings) {
    this.#servers = servers;
    this.#timeoutMsMax = timeoutMsMax;
    this.#timers = timers ?? CLOCK;
  }

  query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<T>> {
    return this.#query(name, type) as Promise<DnsAnswer<T>>; // the reply was read as this type
  }

  async #query(text: string, type: DnsType): Promise<DnsAnswer> {
    const name = canonicalName(text);
    if (name === null) return NO_SUCH_NAME;
    const key = `${type} ${name}`;
    const known = this.#cache.get(key, this.#timers.nowMs());
    if (known !== null) return known;
    let answer = this.#underWay.get(key);
    if (answer === undefined) {
      answer = this.#lookUp(key, name, type).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, answer);
    }
    return answer;
  }

  async #lookUp(key: string, name: string, type: DnsType): Promise<DnsAnswer> {
    const deadlineMs = this.#timers.nowMs() + this.#timeoutMsMax;
    if (this.#running < LIMITS.dnsConcurrentMax) this.#running++;
    else if (this.#waiting.length < LIMITS.dnsWaitingMax) await new Promise<void>((go) => this.#waiting.push(go));
    else return { tag: 'failed', reason: 'limit' };
    const { answer, bytes } = await this.#ask(name, type, deadlineMs);
    const next = this.#waiting.shift(); // takes over our slot
    if (next === undefined) this.#running--;
    else next();
    return this.#cache.put(key, answer, bytes, this.#timers.nowMs());
  }

  /** Every server gets its chance; one that says no, or cannot be reached, is not asked twice in a look-up. */
  async #ask(name: string, type: DnsType, deadlineMs: number): Promise<Outcome> {
    const servers = this.#inTurn();
    let failure: DnsFailure | null = null;
    for (let timeouts = 0, turn = 0; timeouts < TRIES && servers.length > 0; ) {
      const leftMs = deadlineMs - this.#timers.nowMs();
      if (leftMs <= 0) break;
      const at = turn % servers.length;
      const server = servers[at]!;
      const outcome = await this.#askOne(
        server,
        name,
        type,
        Math.min(leftMs, (this.#timeoutMsMax * 2 ** timeouts) / PARTS),
      );
      const { answer } = outcome;
      if (answer.tag !== 'failed' || answer.reason === 'loop' || answer.reason === 'limit') {
        this.#prefer(server);
        return outcome;
      }
      // What a server said explains more than another's silence, and silence more than one that is not there.
      const said = answer.reason !== 'timeout' && answer.reason !== 'unreachable';
      if (said || failure === null || failure === 'unreachable') failure = answer.reason;
      if (answer.reason === 'timeout') {
        timeouts++;
        turn = at + 1;
      } else {
        servers.splice(at, 1);
        turn = at;
      }
    }
    return { answer: { tag: 'failed', reason: failure ?? 'timeout' }, bytes: 0 };
  }

  #inTurn(): HostPort[] {
    if (this.#timers.nowMs() >= this.#firstUntilMs) this.#first = 0;
    return [...this.#servers.slice(this.#first), ...this.#servers.slice(0, this.#first)];
  }

  #prefer(server: HostPort): void {
    const at = this.#servers.indexOf(server);
    if (at === this.#first) return;
    this.#first = at;
    this.#firstUntilMs = this.#timers.nowMs() + LIMITS.dnsServerShunnedMs;
  }

  async #askOne(server: HostPort, name: string, type: DnsType, waitMs: number): Promise<Outcome> {
    const query = encodeQuery(randomBelow(0x10000), name, type);
    let reply = await askUdp(server, query, waitMs, this.#timers);
    if (typeof reply !== 'string' && isTruncated(reply)) {
      reply = await askTcp(server, query, waitMs, this.#timers);
      if (typeof reply !== 'string' && (!isReplyTo(query, reply) || isTruncated(reply))) reply = 'malformed';
    }
    if (typeof reply === 'string') return { answer: { tag: 'failed', reason: reply }, bytes: 0 };
    return { answer: readReply(name, type, reply), bytes: reply.length };
  }
}

/** A name that DNS cannot hold does not exist, and will not tomorrow. */
const NO_SUCH_NAME: DnsAnswer = { tag: 'none', why: 'nxdomain', authentic: false, ttlSeconds: 0 };
