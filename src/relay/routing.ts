/**
 * Where recipients at rest go next. Their destination (a domain, with a route where a rule gave one) is in the index,
 * so nothing is woken for it, and a million recipients of one destination ask the router once in a while.
 *
 *   route ─► answers known ─────────────────────────────► arrived
 *            one look-up needed ─► behind the others that go there ─► arrived, when DNS has answered
 *            several ────────────► begun together, so that those who turn out to share a site travel together
 *            LOOK_UPS under way ─► wait at rest until one is over
 */
import { LIMITS } from '../config/limits.ts';
import type { Index, Row } from '../spool/spool.ts';
import { Line, type Places } from './places.ts';
import type { NextHop, NoHop } from './router.ts';
import type { Slices } from './slices.ts';

export type Hop = NextHop | NoHop;

/** What routing needs of the shard's outbound side. */
export interface RoutingOwner {
  nextHop(destination: string): Hop | Promise<Hop>;
  /** Some recipients of a row, and their way; more of the same row may follow at once. */
  arrived(row: Row, recipients: readonly number[], hop: Hop): void;
  /** No more of that row for now. */
  routed(): void;
}

export class Routing {
  readonly #owner: RoutingOwner;
  readonly #index: Index;
  readonly #places: Places;
  readonly #slices: Slices;
  /** Answers of the last moments, by destination. */
  readonly #hops = new Map<string, Hop>();
  /** Who waits for a look-up that is under way, by destination. */
  readonly #lookUps = new Map<string, Line>();
  /** Messages with several destinations that wait for look-ups. */
  #together = 0;
  /** Who waits for a look-up to begin. */
  readonly #unasked = new Line();
  #asking = false;

  constructor(owner: RoutingOwner, index: Index, places: Places, slices: Slices) {
    this.#owner = owner;
    this.#index = index;
    this.#places = places;
    this.#slices = slices;
  }

  get lookUps(): number {
    return this.#lookUps.size + this.#together;
  }

  /** Forgets answers: the router, and DNS behind it, know how long they hold. */
  tick(): void {
    this.#hops.clear();
  }

  /** Claimed recipients of one row. */
  route(row: Row, recipients: readonly number[], nowSeconds: number): void {
    const destination = this.#index.destination(row, recipients[0]!);
    if (recipients.every((each) => this.#index.destination(row, each) === destination)) {
      this.#routeOne(destination, row, recipients, nowSeconds);
    } else this.#routeAll(row, recipients, nowSeconds);
    this.#owner.routed();
  }

  #routeOne(destination: string, row: Row, recipients: readonly number[], nowSeconds: number): void {
    const underWay = this.#lookUps.get(destination);
    if (underWay !== undefined) return this.#lineUp(underWay, row, recipients, nowSeconds);
    const hop = this.#hops.get(destination) ?? this.#ask(destination);
    if (hop === null) return this.#lineUp(this.#unasked, row, recipients, nowSeconds);
    if (!(hop instanceof Promise)) return this.#owner.arrived(row, recipients, hop);
    const line = new Line();
    this.#lookUps.set(destination, line);
    this.#lineUp(line, row, recipients, nowSeconds);
    hop.then((answer) => {
      this.#lookUps.delete(destination);
      this.#hops.set(destination, answer);
      this.#slices.run(this.#leave(line, answer));
      this.#resume();
    });
  }

  #routeAll(row: Row, recipients: readonly number[], nowSeconds: number): void {
    const answers = new Map<string, Hop>();
    const asked: Promise<unknown>[] = [];
    for (const destination of new Set(recipients.map((each) => this.#index.destination(row, each)))) {
      const hop = this.#hops.get(destination) ?? this.#ask(destination);
      if (hop === null) return this.#lineUp(this.#unasked, row, recipients, nowSeconds);
      if (hop instanceof Promise) asked.push(hop.then((answer) => answers.set(destination, answer)));
      else answers.set(destination, hop);
    }
    if (asked.length === 0) return this.#leaveTogether(row, recipients, answers);
    this.#together++;
    Promise.all(asked).then(() => {
      this.#together--;
      this.#leaveTogether(row, recipients, answers);
      this.#owner.routed();
      this.#resume();
    });
  }

  /** Null: too many look-ups are under way. What is known at once is known for a moment. */
  #ask(destination: string): Hop | Promise<Hop> | null {
    if (this.lookUps >= LIMITS.lookUpsMax) return null;
    const hop = this.#owner.nextHop(destination);
    if (!(hop instanceof Promise)) this.#hops.set(destination, hop);
    return hop;
  }

  #leaveTogether(row: Row, recipients: readonly number[], answers: ReadonlyMap<string, Hop>): void {
    const hopOf = (recipient: number) => answers.get(this.#index.destination(row, recipient))!;
    for (let from = 0, to = 1; from < recipients.length; from = to++) {
      const hop = hopOf(recipients[from]!);
      while (to < recipients.length && hopOf(recipients[to]!) === hop) to++;
      this.#owner.arrived(row, recipients.slice(from, to), hop);
    }
  }

  #lineUp(line: Line, row: Row, recipients: readonly number[], nowSeconds: number): void {
    for (const recipient of recipients) this.#places.push(line, row, recipient, nowSeconds);
  }

  /** All of a line, a row a step. */
  *#leave(line: Line, hop: Hop): Generator<void> {
    while (line.size > 0) {
      const row = this.#places.row(line);
      this.#owner.arrived(row, this.#places.takeRow(line), hop);
      this.#owner.routed();
      yield;
    }
  }

  #resume(): void {
    if (this.#unasked.size === 0 || this.#asking) return;
    this.#asking = true;
    this.#slices.run(this.#askAgain());
  }

  /** Those that have waited for a look-up to begin, as long as one may. */
  *#askAgain(): Generator<void> {
    while (this.#unasked.size > 0 && this.lookUps < LIMITS.lookUpsMax) {
      const row = this.#places.row(this.#unasked);
      const sinceSeconds = this.#places.sinceSeconds(this.#unasked);
      this.route(row, this.#places.takeRow(this.#unasked), sinceSeconds);
      yield;
    }
    this.#asking = false;
  }
}
