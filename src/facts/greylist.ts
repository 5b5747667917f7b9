/**
 * Greylisting: who has not been seen before, as (network, sender, recipient), is asked to come again; whoever has done
 * so a few times is known, and his network waits no more. In memory that all shards share, kept on disk by the main
 * thread (greylist_file.ts).
 *
 *   unseen ─► waiting since ──(waitSeconds)──► passed, last seen ──(keepDays without mail)──► unseen
 *               └──(retryHours: too late)──► waiting since now
 *
 * A state is passes (6 bits, 0: waiting) and a time (30 bits, seconds since 2020: until 2054). Where a bucket is full,
 * those that wait longest go first, and wait anew when they come: a flood of strangers costs new senders their place,
 * and never lets one pass, nor makes a known one wait as long as there is one that is not.
 */
import { wallMs } from '../base/clock.ts';
import type { GreylistSection } from '../config/policy/greylist.ts';
import { addressWords, prefixKey } from '../net/addresses.ts';
import { printMailbox } from '../smtp/address.ts';
import { PackedTable, packedTableMemory } from './packed_table.ts';
import type { Source } from './source.ts';

const EPOCH_SECONDS = Date.UTC(2020, 0, 1) / 1000;
const TIME_RANGE = 2 ** 30;
const PASSES_MAX = 63;
/** A known one is marked as seen once in so long: not a write for each message. */
const SEEN_SECONDS = 3600;
/** Clocks of threads and jumps of the system's clock: beyond, a time in the future is none. */
const SKEW_SECONDS = 60;

export const greylistMemory = (entriesMax: number, secret: Uint8Array): SharedArrayBuffer =>
  packedTableMemory(entriesMax, secret);

export const greylistTable = (memory: SharedArrayBuffer): PackedTable =>
  // Passed ones are worth more than any that wait; among equals, the one seen last.
  new PackedTable(memory, (state) => (passesOf(state) > 0 ? TIME_RANGE : 0) + timeOf(state));

const passesOf = (state: number): number => Math.floor(state / TIME_RANGE);
const timeOf = (state: number): number => state % TIME_RANGE;
const stateOf = (passes: number, time: number): number => Math.min(passes, PASSES_MAX) * TIME_RANGE + time;

export type Seen = { readonly address: string; readonly sender: string; readonly recipient: string };

export class Greylist {
  readonly #table: PackedTable;
  readonly #settings: GreylistSection;
  readonly #nowMs: () => number;

  constructor(memory: SharedArrayBuffer, settings: GreylistSection, nowMs: () => number = wallMs) {
    this.#table = greylistTable(memory);
    this.#settings = settings;
    this.#nowMs = nowMs;
  }

  /** True: it is to come again later. Notes that it was here. */
  waits({ address, sender, recipient }: Seen): boolean {
    const words = addressWords(address);
    if (words === null) return false;
    const { v4Bits, v6Bits, knownAfter } = this.#settings;
    const network = prefixKey(words, words.length === 1 ? v4Bits : v6Bits);
    const now = Math.max(Math.floor(this.#nowMs() / 1000) - EPOCH_SECONDS, 1) % TIME_RANGE;
    if (knownAfter > 0 && this.#isKnown(network, now)) return false;
    const outcome = this.#meet(`t\0${network}\0${sender.toLowerCase()}\0${recipient.toLowerCase()}`, now);
    if (outcome === 'passes' && knownAfter > 0) this.#credit(network, now);
    return outcome === 'waits';
  }

  #isKnown(network: string, now: number): boolean {
    let known = false;
    this.#table.update(`n\0${network}`, (state) => {
      known = state !== null && passesOf(state) >= this.#settings.knownAfter && !this.#isOver(state, now);
      return known ? seen(state!, now) : null;
    });
    return known;
  }

  #credit(network: string, now: number): void {
    this.#table.update(`n\0${network}`, (state) =>
      state === null || this.#isOver(state, now) ? stateOf(1, now) : stateOf(passesOf(state) + 1, now),
    );
  }

  #meet(key: string, now: number): 'waits' | 'passes' | 'known' {
    const { waitSeconds, retryHours } = this.#settings;
    let outcome: 'waits' | 'passes' | 'known' = 'waits';
    this.#table.update(key, (state) => {
      outcome = 'waits';
      if (state === null || this.#isOver(state, now)) return stateOf(0, now);
      const age = now - timeOf(state);
      if (passesOf(state) > 0) {
        outcome = 'known';
        return seen(state, now);
      }
      if (age < -SKEW_SECONDS || age > retryHours * 3600) return stateOf(0, now);
      if (age < waitSeconds) return null;
      outcome = 'passes';
      return stateOf(1, now);
    });
    return outcome;
  }

  /** It has passed once, and too long ago. */
  #isOver(state: number, now: number): boolean {
    return passesOf(state) > 0 && now - timeOf(state) > this.#settings.keepDays * 86_400;
  }
}

/** Null: it was not long ago. A time in the future is brought back. */
const seen = (state: number, now: number): number | null =>
  Math.abs(now - timeOf(state)) > SEEN_SECONDS ? stateOf(passesOf(state), now) : null;

export function greylistSource(greylist: Greylist): Source {
  return {
    name: 'greylist',
    stage: 'rcpt',
    gives: ['grey.waiting'],
    ask({ side, address, sender, recipient }) {
      if (side !== 'outside' || recipient === null) return { facts: {} };
      const from = sender === null ? '' : printMailbox(sender);
      return {
        facts: { 'grey.waiting': greylist.waits({ address, sender: from, recipient: printMailbox(recipient) }) },
      };
    },
  };
}
