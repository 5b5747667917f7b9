/**
 * Looks through a spool's index for what a filter means. First everything that may match is gathered, a slice a turn of
 * the event loop; then each message found is taken in hand, and what matches is decided anew from how it is then:
 *
 *   index ─slice by slice─► gathered (row and key, 12 bytes each) ─► still that message? ─► its recipients that match
 *
 * So a command means the messages that were there when it came, and not those that it makes (bounces).
 */
import { setImmediate as turn } from 'node:timers/promises';
import { wallMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Index, Row } from '../spool/spool.ts';
import type { Matcher } from './queue_filter.ts';
import { queueStateOf } from './queue_filter.ts';

/** The recipients of a message at rest that match, as far as the index can tell. */
export function matching(index: Index, row: Row, matcher: Matcher): number[] {
  const found: number[] = [];
  if (!matcher.message(index.acceptedMs(row), index.idHash(row), index.senderHash(row))) return found;
  const nowMs = wallMs();
  for (let at = 0; at < index.recipients(row); at++) {
    const dueMs = index.dueMs(row, at);
    if (dueMs === null) continue;
    const matches = matcher.recipient({
      addressHash: index.addressHash(row, at),
      domain: index.domain(row, at),
      site: index.site(row, at),
      state: queueStateOf(dueMs, index.claimed(row, at), nowMs),
    });
    if (matches) found.push(at);
  }
  return found;
}

/** What one turn found, in order of acceptance within itself: so no sort takes more than a few milliseconds. */
type Run = { readonly rows: Uint32Array; readonly keys: Float64Array };

export class Gathered {
  readonly #index: Index;
  readonly #runs: Run[] = [];

  private constructor(index: Index) {
    this.#index = index;
  }

  /** `goOn` false: whoever asked needs it no more. */
  static async from(index: Index, matcher: Matcher, goOn: () => boolean): Promise<Gathered> {
    const gathered = new Gathered(index);
    let rows: Row[] = [];
    let looked = 0;
    for (const row of index.rows()) {
      if (matching(index, row, matcher).length > 0) rows.push(row);
      if (++looked % LIMITS.operatorRowsPerTurn !== 0) continue;
      gathered.#add(rows);
      rows = [];
      await turn();
      if (!goOn()) break;
    }
    gathered.#add(rows);
    return gathered;
  }

  /** Before the next turn: a row may be another message's after it. */
  #add(rows: Row[]): void {
    if (rows.length === 0) return;
    rows.sort((one, other) => this.#index.key(one) - this.#index.key(other));
    this.#runs.push({
      rows: Uint32Array.from(rows),
      keys: Float64Array.from(rows, (row) => this.#index.key(row)),
    });
  }

  /** Those that are still there, in order of acceptance. Each step is as long as the number of runs, a few hundred. */
  *live(): Generator<Row> {
    const ends = this.#runs.map(() => 0);
    for (;;) {
      let best = -1;
      for (let at = 0; at < ends.length; at++) {
        const key = this.#runs[at]!.keys[ends[at]!];
        if (key !== undefined && (best < 0 || key < this.#runs[best]!.keys[ends[best]!]!)) best = at;
      }
      if (best < 0) return;
      const { rows, keys } = this.#runs[best]!;
      const at = ends[best]!++;
      const row = rows[at]!;
      if (this.#index.has(row) && this.#index.key(row) === keys[at]) yield row;
    }
  }
}

/** `size` at a time. */
export function* batchesOf<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let batch: Item[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Results in the order of items, at most `concurrentMax` under way. Rejects with a failure when all are over. */
export async function mapBounded<Item, Result>(
  items: readonly Item[],
  concurrentMax: number,
  each: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await each(items[at]!);
    }
  };
  const lanes = Array.from({ length: Math.min(concurrentMax, items.length) }, lane);
  for (const outcome of await Promise.allSettled(lanes)) if (outcome.status === 'rejected') throw outcome.reason;
  return results;
}
