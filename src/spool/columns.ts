/** The storage under rows.ts: columns of numbers that grow by doubling. */

type Column = Float64Array | Uint32Array | Int32Array;

const FIRST = 1024;

abstract class Columns {
  #room = FIRST;

  /** Entries that there is room for. */
  get room(): number {
    return this.#room;
  }

  grow(): void {
    this.#room *= 2;
    for (const [name, column] of this.#all()) {
      const larger = new (column.constructor as new (length: number) => Column)(column.length * 2);
      larger.set(column);
      this.#set(name, larger);
    }
  }

  #all(): [name: string, column: Column][] {
    return Object.entries(this) as [string, Column][];
  }

  #set(name: string, column: Column): void {
    (this as unknown as Record<string, Column>)[name] = column;
  }
}

/** One entry a message. */
export class RowColumns extends Columns {
  key = new Float64Array(FIRST);
  generation = new Uint32Array(FIRST);
  at = new Uint32Array(FIRST);
  frameBytes = new Uint32Array(FIRST);
  contentBytes = new Uint32Array(FIRST);
  /** Seconds since 1970. */
  accepted = new Uint32Array(FIRST);
  idHash = new Uint32Array(FIRST);
  senderHash = new Uint32Array(FIRST);
  /** First slot; of a row that is not used, the next such row. */
  slot = new Int32Array(FIRST);
  /** Recipients; 0: the row is not used. */
  count = new Int32Array(FIRST);
  /** Recipients that are not final. */
  waiting = new Int32Array(FIRST);
  /** Claimed recipients; rows.ts adds ENDED when nothing but these keeps the row. */
  claims = new Int32Array(FIRST);
}

/** One entry a recipient. */
export class SlotColumns extends Columns {
  /** Milliseconds since 1970, Infinity: held; below 0: final. */
  due = new Float64Array(FIRST);
  /** Bit 0 claimed, bit 1 warned, attempts from bit 2 on. */
  word = new Uint32Array(FIRST);
  /** Numbers of texts. */
  domain = new Uint32Array(FIRST);
  site = new Uint32Array(FIRST);
  detail = new Uint32Array(FIRST);
  /** Of a run that is not used, in its first slot, the next such run. */
  addressHash = new Uint32Array(FIRST);
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
