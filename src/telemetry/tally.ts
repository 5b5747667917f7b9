/**
 * Counters of what the policy file names (its rules, its filters), shared by all shards, for as long as the file is in
 * force. When it is read again they begin anew, and what those of the same label had goes on; of what is no more
 * nothing is kept, so that there are never more labels than the file has.
 *
 *   before (labels of now) + last file's counters (sessions still under it) + counters of now
 */

export type RuleLabel = { readonly rule: string; readonly action: string; readonly dryRun: boolean };

export type RuleTotal = RuleLabel & { readonly count: number };

/** One sample of a family of exposition.ts. */
export type FilterLabel = {
  readonly family: string;
  /** What stands behind the family's name: `_sum` and the like. */
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the unit that Prometheus sees, in each count: 1 unless said. */
  readonly scale?: number;
  /** It tells of a state, and begins anew with the file. */
  readonly gauge?: true;
};

export type FilterTotal = FilterLabel & { readonly count: number };

/** In a shard. `at`: the label's place. */
export class Counts {
  readonly #slots: BigInt64Array;

  /** `memory` is what `Tally` gave. */
  constructor(memory: SharedArrayBuffer) {
    this.#slots = new BigInt64Array(memory);
  }

  count(at: number, by = 1): void {
    Atomics.add(this.#slots, at, BigInt(by));
  }

  set(at: number, value: number): void {
    Atomics.store(this.#slots, at, BigInt(value));
  }
}

type Generation<Label> = { readonly labels: readonly Label[]; readonly slots: BigInt64Array };

/** On the main thread. */
export class Tally<Label extends RuleLabel | FilterLabel> {
  #now: Generation<Label> = { labels: [], slots: new BigInt64Array() };
  #last = this.#now;
  readonly #before = new Map<string, number>();

  /** Counters for a file that comes into force, in this order. */
  begin(labels: readonly Label[]): SharedArrayBuffer {
    const stay = new Set(labels.map(keyOf));
    for (const [key, count] of countsOf(this.#last)) this.#before.set(key, (this.#before.get(key) ?? 0) + count);
    for (const key of this.#before.keys()) if (!stay.has(key)) this.#before.delete(key);
    const memory = new SharedArrayBuffer(labels.length * BigInt64Array.BYTES_PER_ELEMENT);
    this.#last = this.#now;
    this.#now = { labels, slots: new BigInt64Array(memory) };
    return memory;
  }

  /** Of the file in force, in its order; of what never happened, too. */
  totals(): readonly (Label & { readonly count: number })[] {
    const [last, now] = [countsOf(this.#last), countsOf(this.#now)];
    return this.#now.labels.map((label) => {
      const key = keyOf(label);
      const earlier = 'gauge' in label ? 0 : (this.#before.get(key) ?? 0) + (last.get(key) ?? 0);
      return { ...label, count: earlier + now.get(key)! };
    });
  }
}

const keyOf = (label: RuleLabel | FilterLabel): string => JSON.stringify(label);

const countsOf = <Label extends RuleLabel | FilterLabel>({
  labels,
  slots,
}: Generation<Label>): ReadonlyMap<string, number> =>
  new Map(labels.map((label, at) => [keyOf(label), Number(Atomics.load(slots, at))]));
