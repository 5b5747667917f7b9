/** The storage under rows.ts: columns of numbers that grow together. */
import { type Column, columnOf, grown, resized } from '../base/column.ts';
import type { ContentFile } from './message.ts';
import type { Row } from './spool.ts';

const FIRST = 1024;

abstract class Columns {
  #room = FIRST;

  /** Entries that there is room for. */
  get room(): number {
    return this.#room;
  }

  grow(): void {
    const room = grown(this.#room);
    const columns = this as unknown as Record<string, Column>;
    for (const name of Object.keys(this)) columns[name] = resized(columns[name]!, room);
    this.#room = room;
  }
}

/** One entry a message. */
export class RowColumns extends Columns {
  key = columnOf(Float64Array, FIRST);
  generation = columnOf(Uint32Array, FIRST);
  at = columnOf(Uint32Array, FIRST);
  frameBytes = columnOf(Uint32Array, FIRST);
  contentBytes = columnOf(Uint32Array, FIRST);
  /** Seconds since 1970. */
  accepted = columnOf(Uint32Array, FIRST);
  idHash = columnOf(Uint32Array, FIRST);
  senderHash = columnOf(Uint32Array, FIRST);
  /** First slot; of a row that is not used, the next such row. */
  slot = columnOf(Int32Array, FIRST);
  /** Recipients; 0: the row is not used. */
  count = columnOf(Int32Array, FIRST);
  /** Recipients that are not final. */
  waiting = columnOf(Int32Array, FIRST);
  /** Claimed recipients; rows.ts adds ENDED when nothing but these keeps the row. */
  claims = columnOf(Int32Array, FIRST);
}

/** One entry a recipient. */
export class SlotColumns extends Columns {
  /** Milliseconds since 1970, Infinity: held; below 0: final. */
  due = columnOf(Float64Array, FIRST);
  /** Bit 0 claimed, bit 1 warned, attempts from bit 2 on. */
  word = columnOf(Uint32Array, FIRST);
  /** Numbers of texts. */
  destination = columnOf(Uint32Array, FIRST);
  site = columnOf(Uint32Array, FIRST);
  detail = columnOf(Uint32Array, FIRST);
  /** Of a run that is not used, in its first slot, the next such run. */
  addressHash = columnOf(Uint32Array, FIRST);
}

/** Named one by one: a loop over names costs a million messages two seconds. */
export function copyEntry(source: RowColumns, from: number, target: RowColumns, to: number): void {
  target.key[to] = source.key[from]!;
  target.generation[to] = source.generation[from]!;
  target.at[to] = source.at[from]!;
  target.frameBytes[to] = source.frameBytes[from]!;
  target.contentBytes[to] = source.contentBytes[from]!;
  target.accepted[to] = source.accepted[from]!;
  target.idHash[to] = source.idHash[from]!;
  target.senderHash[to] = source.senderHash[from]!;
  target.slot[to] = source.slot[from]!;
  target.count[to] = source.count[from]!;
  target.waiting[to] = source.waiting[from]!;
  target.claims[to] = source.claims[from]!;
}

/** By their numbers. */
export type Texts = { at(number: number): string | undefined };

/** The columns themselves, as they are at any moment; final messages and rows that are not used are in them as well. */
export type RowsView = {
  /** As of the call. */
  readonly rowsUsed: number;
  readonly rows: RowColumns;
  readonly slots: SlotColumns;
  readonly files: ReadonlyMap<Row, ContentFile>;
  readonly destinations: Texts;
  readonly sites: Texts;
  readonly details: Texts;
};
