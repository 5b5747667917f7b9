/**
 * Recipients that rest and get a notice: their time is over, there is no way for them, or they are late. Only for that
 * their message is woken, a few at a time.
 *
 *   add ─► [site and words: line, …] ── ENDINGS at a time ──► wake ─► settle
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Outcome } from '../smtp/client.ts';
import type { Row, Spool } from '../spool/spool.ts';
import type { Parcel } from './parcel.ts';
import { Line, type Places } from './places.ts';

/** What endings need of the shard's outbound side. */
export interface EndingsOwner {
  readonly draining: boolean;
  /** What becomes of them; resolves when they are told. */
  settleUnsent(parcel: Parcel, site: string, outcome: Outcome): Promise<boolean> | true;
  /** The message cannot be read. */
  unreadable(row: Row, recipients: readonly number[], error: unknown): void;
}

/** Those of whom the same is said. */
type Group = { readonly key: string; readonly site: string; readonly outcome: Outcome; readonly line: Line };

export class Endings {
  readonly #owner: EndingsOwner;
  readonly #spool: Spool;
  readonly #places: Places;
  readonly #groups = new Map<string, Group>();
  /** Under way, by a number of their own: when they began. */
  readonly #begun = new Map<number, number>();
  #last = 0;

  constructor(owner: EndingsOwner, spool: Spool, places: Places) {
    this.#owner = owner;
    this.#spool = spool;
    this.#places = places;
  }

  /** Claimed recipients; a `deferred` outcome ends one whose time is over. */
  add(row: Row, recipients: readonly number[], site: string, outcome: Outcome, nowSeconds: number): void {
    const key = `${outcome.tag} ${site} ${outcome.code} ${outcome.enhanced} ${outcome.text}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { key, site, outcome, line: new Line() };
      this.#groups.set(key, group);
    }
    for (const recipient of recipients) this.#places.push(group.line, row, recipient, nowSeconds);
    this.#next();
  }

  get underWay(): number {
    return this.#begun.size;
  }

  /** How long the oldest one is under way, milliseconds. */
  get oldestMs(): number {
    const [oldest] = this.#begun.values();
    return oldest === undefined ? 0 : monotonicMs() - oldest;
  }

  #next(): void {
    while (this.#begun.size < LIMITS.endingsMax && !this.#owner.draining) {
      const [group] = this.#groups.values();
      if (group === undefined) return;
      const row = this.#places.row(group.line);
      const recipients = this.#places.takeRow(group.line);
      // Groups have turns: the first one goes behind the others.
      this.#groups.delete(group.key);
      if (group.line.size > 0) this.#groups.set(group.key, group);
      this.#begun.set(++this.#last, monotonicMs());
      this.#end(row, recipients, group, this.#last);
    }
  }

  async #end(row: Row, recipients: readonly number[], { site, outcome }: Group, number: number): Promise<void> {
    try {
      const message = await this.#spool.wake(row);
      if (this.#owner.draining) this.#spool.rest(message);
      else await this.#owner.settleUnsent({ message, recipients, again: 0 }, site, outcome);
    } catch (error) {
      this.#owner.unreadable(row, recipients, error);
    }
    this.#begun.delete(number);
    this.#next();
  }
}
