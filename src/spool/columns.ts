/** The storage under rows.ts: columns of numbers that grow by doubling, and can be copied in a moment. */

type Column = Float64Array | Uint32Array | Int32Array;

const FIRST = 1024;

abstract class Columns {
  /** Entries that there is room for. */
  get room(): number {
    return this.#all()[0]![1].length;
  }

  grow(): void {
    for (const [name, column] of this.#all()) {
      const larger = new (column.constructor as new (length: number) => Column)(column.length * 2);
      larger.set(column);
      this.#set(name, larger);
    }
  }

  /** Takes over the first `used` entries of another one. */
  protected take(other: this, used: number): void {
    for (const [name, column] of other.#all()) this.#set(name, column.slice(0, used));
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

  copy(used: number): RowColumns {
    const copy = new RowColumns();
    copy.take(this, used);
    return copy;
  }
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

  copy(used: number): SlotColumns {
    const copy = new SlotColumns();
    copy.take(this, used);
    return copy;
  }
}
