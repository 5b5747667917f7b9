/**
 * Answers for as long as they say, within bounds of time, number and bytes. The least recently used one goes first:
 * a Map keeps the order, and what is used moves to its end.
 *
 * "There is none" is an answer (RFC 2308). A failure is kept for a few seconds, so that a thousand messages to a domain
 * whose servers are dead do not take a thousand slots for twenty seconds each (RFC 9520 §3.2).
 */
import { assert } from '../base/assert.ts';
import { LIMITS } from '../config/limits.ts';
import type { DnsAnswer } from './dns_message.ts';

type Entry = { readonly answer: DnsAnswer; readonly untilMs: number; readonly bytes: number };

/** Key, entry and objects; the reply's bytes come on top. */
const ENTRY_BYTES = 400;

export class DnsCache {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** With the seconds that are left of it. */
  get(key: string, nowMs: number): DnsAnswer | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#remove(key, entry);
    if (nowMs >= entry.untilMs) return null;
    this.#add(key, entry);
    const { answer } = entry;
    return answer.tag === 'failed' ? answer : { ...answer, ttlSeconds: Math.ceil((entry.untilMs - nowMs) / 1000) };
  }

  /** Keeps `answer` if it is worth keeping, and returns it with the time that it is kept. `bytes`: of the reply. */
  put(key: string, answer: DnsAnswer, bytes: number, nowMs: number): DnsAnswer {
    const seconds = keptSeconds(answer);
    if (seconds === 0) return answer;
    const kept: DnsAnswer = answer.tag === 'failed' ? answer : { ...answer, ttlSeconds: seconds };
    const before = this.#entries.get(key);
    if (before !== undefined) this.#remove(key, before);
    this.#add(key, { answer: kept, untilMs: nowMs + seconds * 1000, bytes: ENTRY_BYTES + bytes });
    while (this.#entries.size > LIMITS.dnsCacheEntriesMax || this.#bytes > LIMITS.dnsCacheBytesMax) {
      const [oldest, entry] = this.#entries.entries().next().value!;
      this.#remove(oldest, entry);
    }
    return kept;
  }

  #add(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    assert(this.#bytes >= 0, 'the cache counts every byte once');
  }
}

function keptSeconds(answer: DnsAnswer): number {
  switch (answer.tag) {
    case 'records':
      return clamp(answer.ttlSeconds, LIMITS.dnsTtlSecondsMax);
    case 'none':
      return clamp(answer.ttlSeconds, LIMITS.dnsNegativeTtlSecondsMax);
    case 'failed':
      return answer.reason === 'limit' ? 0 : LIMITS.dnsFailureSeconds;
  }
}

/** A TTL of zero lasts a second: the recipients of one burst are one transaction (RFC 1035 §3.2.1). */
const clamp = (seconds: number, max: number): number => Math.min(Math.max(seconds, LIMITS.dnsTtlSecondsMin), max);
