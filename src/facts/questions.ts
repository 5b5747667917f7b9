/**
 * What one evaluation may ask of DNS, and for how long its conclusion holds.
 *
 * `Questions` is a Dns with a budget and an end: beyond either, look-ups fail as if no server answered, so that
 * records which lead from one to the next cost a stranger's mail no more than this. It remembers the shortest TTL of
 * all that it was told. `Conclusions` keeps what followed from such answers just as long, because to conclude anew
 * costs more than the answers, which the cache of DNS has: SPF and DMARC by mailauth 0.05 ms a message, parsing a key
 * 0.05 ms.
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Dns, DnsAnswer, DnsType } from '../net/dns.ts';

export class Questions implements Dns {
  readonly #dns: Dns;
  readonly #ended: Promise<DnsAnswer>;
  readonly #signal: AbortSignal;
  #left: number;
  #ttlSeconds = Number.POSITIVE_INFINITY;

  constructor(dns: Dns, queriesMax: number, signal: AbortSignal) {
    this.#dns = dns;
    this.#left = queriesMax;
    this.#signal = signal;
    this.#ended = new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve({ tag: 'failed', reason: 'timeout' }), { once: true });
    });
  }

  /** Seconds that all answers so far hold for; 0 where one failed. */
  get ttlSeconds(): number {
    return this.#ttlSeconds;
  }

  async query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<T>> {
    if (this.#signal.aborted) return this.#note({ tag: 'failed', reason: 'timeout' });
    if (this.#left-- <= 0) return this.#note({ tag: 'failed', reason: 'limit' });
    return this.#note(await Promise.race([this.#dns.query(name, type), this.#ended as Promise<DnsAnswer<T>>]));
  }

  #note<T extends DnsType>(answer: DnsAnswer<T>): DnsAnswer<T> {
    this.#ttlSeconds = Math.min(this.#ttlSeconds, answer.tag === 'failed' ? 0 : answer.ttlSeconds);
    return answer;
  }
}

type Kept<T> = { readonly conclusion: T; readonly untilMs: number; movedMs: number };

/** To move what a thousand messages a second ask for costs more than to find it. */
const MOVED_MS = 1000;

/** The least recently used one goes first, by the second: a Map keeps the order, and what is used moves to its end. */
export class Conclusions<T> {
  readonly #kept = new Map<string, Kept<T>>();
  readonly #entriesMax: number;
  readonly #nowMs: () => number;

  constructor(entriesMax: number, nowMs: () => number = monotonicMs) {
    this.#entriesMax = entriesMax;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#kept.size;
  }

  recall(key: string): T | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const nowMs = this.#nowMs();
    const over = nowMs >= kept.untilMs;
    if (!over && nowMs - kept.movedMs < MOVED_MS) return kept.conclusion;
    this.#kept.delete(key);
    if (over) return undefined;
    kept.movedMs = nowMs;
    this.#kept.set(key, kept);
    return kept.conclusion;
  }

  /** Keeps it for so long, at most LIMITS.conclusionSecondsMax; returns it. */
  keep(key: string, conclusion: T, ttlSeconds: number): T {
    const seconds = Math.min(ttlSeconds, LIMITS.conclusionSecondsMax);
    if (!(seconds > 0) || key.length > LIMITS.conclusionKeyCharsMax) return conclusion;
    this.#kept.delete(key);
    const nowMs = this.#nowMs();
    this.#kept.set(key, { conclusion, untilMs: nowMs + seconds * 1000, movedMs: nowMs });
    if (this.#kept.size > this.#entriesMax) this.#kept.delete(this.#kept.keys().next().value!);
    return conclusion;
  }
}
