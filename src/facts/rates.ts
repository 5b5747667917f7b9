/**
 * Limits over time, as token buckets that all shards share. A bucket is kept as the time at which it will be full again
 * (GCRA): one number a key, nothing that must be swept, and a full bucket is no different from none.
 *
 *   full at ──────┬─── now ───────────────┬── full at + cost ──────────┬── now + burst
 *                 └ nothing is owed       └ within: counted            └ beyond: exceeded, and not counted
 *
 * Half a million keys are 4 MiB. With more at a time the ones that owe least are forgotten: who is forgotten may send
 * a burst more than he should. A clock that is set forgives what is owed.
 */
import { wallMs } from '../base/clock.ts';
import { randomSecret } from '../base/random.ts';
import type { LimitText, RateKey } from '../config/policy/rates.ts';
import { addressWords, clientKey, normaliseAddress, prefixKey } from '../net/addresses.ts';
import type { Stage } from '../policy/facts.ts';
import { printMailbox } from '../smtp/address.ts';
import { PackedTable, packedTableMemory, STATE_MAX } from './packed_table.ts';
import type { Source, Subject } from './source.ts';

const KEYS = 524_288;
const UNITS_A_MS = 10;
const UNITS = STATE_MAX + 1;

export const ratesMemory = (): SharedArrayBuffer => packedTableMemory(KEYS, randomSecret(8), wallMs());

export class RateTable {
  readonly #table: PackedTable;
  readonly #nowMs: () => number;
  #now = 0;

  constructor(memory: SharedArrayBuffer, nowMs: () => number = wallMs) {
    this.#table = new PackedTable(memory, (fullAt) => this.#owed(fullAt));
    this.#nowMs = nowMs;
  }

  /** Takes `cost` from the allowance of `key`; false, and nothing taken, where there is not so much. */
  take(key: string, cost: number, { rate, burst = rate.amount }: Pick<LimitText, 'rate' | 'burst'>): boolean {
    const unitsEach = (rate.seconds * 1000 * UNITS_A_MS) / rate.amount;
    const mostUnits = Math.min(burst * unitsEach, UNITS / 4);
    this.#now = modulo((this.#nowMs() - this.#table.epochMs) * UNITS_A_MS);
    let taken = false;
    this.#table.update(key, (state) => {
      const before = state === null ? 0 : this.#owed(state);
      const owed = before > mostUnits ? 0 : before;
      // What is more than a whole burst passes a full bucket: no message would ever be small enough otherwise.
      taken = owed + cost * unitsEach <= mostUnits || owed === 0;
      return taken ? modulo(Math.ceil(this.#now + Math.min(owed + cost * unitsEach, mostUnits))) : null;
    });
    return taken;
  }

  /** Time goes round in three years: what lies behind us is owed no more. */
  #owed(fullAt: number): number {
    const ahead = modulo(fullAt - this.#now);
    return ahead < UNITS / 2 ? ahead : 0;
  }
}

const modulo = (units: number): number => ((units % UNITS) + UNITS) % UNITS;

/** A source for each stage at which something is counted. */
export function rateSources(table: RateTable, limits: readonly LimitText[]): readonly Source[] {
  return (['mail', 'rcpt', 'data'] as const).flatMap((stage) => {
    const own = limits.filter((limit) => stageOfLimit(limit) === stage);
    return own.length === 0 ? [] : [rateSource(table, stage, own)];
  });
}

function stageOfLimit({ count, by }: LimitText): Stage {
  if (count === 'bytes') return 'data';
  return count === 'recipients' || by.some((key) => key.startsWith('recipient')) ? 'rcpt' : 'mail';
}

function rateSource(table: RateTable, stage: Stage, limits: readonly LimitText[]): Source {
  return {
    name: `limits-${stage}`,
    stage,
    gives: ['rate.exceeded'],
    ask(subject) {
      const exceeded = limits.filter((limit) => {
        if (limit.side !== 'both' && limit.side !== subject.side) return false;
        const key = keyOf(limit, subject);
        return key !== null && !table.take(key, limit.count === 'bytes' ? (subject.bytes ?? 0) : 1, limit);
      });
      return { facts: exceeded.length === 0 ? {} : { 'rate.exceeded': exceeded.map(({ name }) => name) } };
    },
  };
}

/** Null: this one has nothing to be counted by, as a client without an identity. */
function keyOf({ name, by }: LimitText, subject: Subject): string | null {
  const parts = by.map((key) => partOf(key, subject));
  return parts.includes(null) ? null : [name, ...parts].join('\0');
}

function partOf(key: RateKey, { address, sender, recipient, identity }: Subject): string | null {
  switch (key) {
    case 'client':
      return clientKey(normaliseAddress(address));
    case 'network': {
      const words = addressWords(address);
      return words === null ? null : prefixKey(words, words.length === 1 ? 24 : 48);
    }
    case 'sender':
      return sender === null ? '' : printMailbox(sender).toLowerCase();
    case 'sender-domain':
      return sender?.domain ?? '';
    case 'recipient':
      return recipient === null ? null : printMailbox(recipient).toLowerCase();
    case 'recipient-domain':
      return recipient?.domain ?? null;
    case 'identity':
      return identity ?? null;
  }
}
