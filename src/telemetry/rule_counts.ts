/**
 * How often each rule of the policy file has held: a counter a rule, shared by all shards, for as long as the file is
 * in force. When it is read again the rules begin with new counters, and what those of the same label had goes on; of
 * rules that are no more nothing is kept, so that there are never more labels than rules.
 *
 *   before (labels of now) + last file's counters (sessions still under its rules) + counters of now
 */

export type RuleLabel = { readonly rule: string; readonly action: string; readonly dryRun: boolean };

export type RuleTotal = RuleLabel & { readonly count: number };

/** In a shard. */
export class RuleCounts {
  readonly #slots: BigUint64Array;

  /** `memory` is what `RuleTally` gave. */
  constructor(memory: SharedArrayBuffer) {
    this.#slots = new BigUint64Array(memory);
  }

  /** The rule at this place of the file. */
  count(at: number): void {
    Atomics.add(this.#slots, at, 1n);
  }
}

type Generation = { readonly labels: readonly RuleLabel[]; readonly slots: BigUint64Array };

/** On the main thread. */
export class RuleTally {
  #now: Generation = { labels: [], slots: new BigUint64Array() };
  #last = this.#now;
  readonly #before = new Map<string, number>();

  /** Counters for the rules of a file that comes into force, in their order. */
  begin(labels: readonly RuleLabel[]): SharedArrayBuffer {
    const stay = new Set(labels.map(keyOf));
    for (const [key, count] of countsOf(this.#last)) this.#before.set(key, (this.#before.get(key) ?? 0) + count);
    for (const key of this.#before.keys()) if (!stay.has(key)) this.#before.delete(key);
    const memory = new SharedArrayBuffer(labels.length * BigUint64Array.BYTES_PER_ELEMENT);
    this.#last = this.#now;
    this.#now = { labels, slots: new BigUint64Array(memory) };
    return memory;
  }

  /** Of the rules in force, in their order; of those that never held, too. */
  totals(): readonly RuleTotal[] {
    const [last, now] = [countsOf(this.#last), countsOf(this.#now)];
    return this.#now.labels.map((label) => {
      const key = keyOf(label);
      return { ...label, count: (this.#before.get(key) ?? 0) + (last.get(key) ?? 0) + now.get(key)! };
    });
  }
}

const keyOf = ({ rule, action, dryRun }: RuleLabel): string => `${rule} ${action} ${dryRun}`;

const countsOf = ({ labels, slots }: Generation): ReadonlyMap<string, number> =>
  new Map(labels.map((label, at) => [keyOf(label), Number(Atomics.load(slots, at))]));
