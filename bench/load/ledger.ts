/**
 * Messages that all differ, and what became of each: which of its recipients got it, how often, and whether every
 * copy was byte for byte what was sent, below the header fields that the relay put on top.
 */
import type { Correspondents, Sample } from './messages.ts';
import { sample } from './messages.ts';
import type { Load, Outgoing } from './outgoing.ts';
import { sampleOutgoing } from './sample_load.ts';
import type { Delivered } from './sink.ts';
import { findStamp, STAMP_BYTES } from './stamp.ts';

type Entry = { readonly sample: Sample; readonly outgoing: Outgoing; readonly copies: Map<string, number> };

export type Verdict = {
  readonly messages: number;
  /** Messages that all their recipients have. */
  readonly delivered: number;
  /** Of those, the ones whose every copy is as it was sent. */
  readonly identical: number;
  /** Recipients who got a message more than once. */
  readonly twice: number;
  /** Mail that is none of ours: reports, wrong recipients, changed stamps. */
  readonly strange: number;
};

export class Ledger {
  readonly run: number;
  readonly #entries: readonly Entry[];
  readonly #altered = new Set<number>();
  #strange = 0;
  #open: number;

  constructor(run: number, messages: number, who: Correspondents) {
    this.run = run;
    this.#entries = Array.from({ length: messages }, (_, number) => {
      const one = sample(run, number, who);
      return { sample: one, outgoing: sampleOutgoing(run, number, one), copies: new Map() };
    });
    this.#open = this.#entries.reduce((sum, { sample }) => sum + sample.to.length, 0);
  }

  /** All messages, or those of the given numbers. */
  load(numbers?: readonly number[]): Load {
    const which = numbers ?? this.#entries.map((_, number) => number);
    return { count: which.length, at: (index) => this.#entries[which[index] ?? 0]!.outgoing };
  }

  get numbers(): readonly number[] {
    return this.#entries.map((_, number) => number);
  }

  /** Every recipient of every message has it. */
  get complete(): boolean {
    return this.#open === 0;
  }

  /** Copies that are still to come. */
  get open(): number {
    return this.#open;
  }

  arrived(message: Delivered): void {
    const entry = message.stamp?.run === this.run ? this.#entries[message.stamp.number] : undefined;
    if (entry === undefined || entry.sample.from !== message.from) {
      this.#strange++;
      return;
    }
    if (!identical(message.content, entry.outgoing.content)) this.#altered.add(entry.outgoing.number);
    for (const recipient of message.to) {
      const copies = entry.copies.get(recipient) ?? 0;
      if (!entry.sample.to.includes(recipient)) this.#strange++;
      else if (copies === 0) this.#open--;
      entry.copies.set(recipient, copies + 1);
    }
  }

  /** Whether all recipients of a message have it. */
  has(number: number): boolean {
    const entry = this.#entries[number];
    return entry?.sample.to.every((recipient) => (entry.copies.get(recipient) ?? 0) > 0) ?? false;
  }

  verdict(): Verdict {
    const delivered = this.numbers.filter((number) => this.has(number));
    let twice = 0;
    for (const { copies } of this.#entries) for (const count of copies.values()) if (count > 1) twice++;
    return {
      messages: this.#entries.length,
      delivered: delivered.length,
      identical: delivered.filter((number) => !this.#altered.has(number)).length,
      twice,
      strange: this.#strange,
    };
  }

  bytes(): number {
    return this.#entries.reduce((sum, { outgoing }) => sum + outgoing.content.length, 0);
  }
}

/** Below the stamp's line, which carries the time of sending, all bytes are equal. */
function identical(arrived: Buffer, sent: Buffer): boolean {
  const at = findStamp(arrived);
  return at !== -1 && arrived.subarray(at + STAMP_BYTES).equals(sent.subarray(STAMP_BYTES));
}
