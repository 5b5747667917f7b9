/** A spool that keeps everything in memory: isolates the relay from the disk, and fails when a test says so. */
import { Message } from '../../src/spool/message.ts';
import { Rows } from '../../src/spool/rows.ts';
import type { Change, Draft, Envelope, Row, Spool, Stored } from '../../src/spool/spool.ts';
import { SpoolFailure } from '../../src/spool/spool.ts';

type Kept = { readonly envelope: Envelope; readonly bytes: Buffer };

export class MemorySpool implements Spool {
  readonly index = new Rows();
  readonly stats = { syncs: 0, records: 0, segments: 1, bytesOnDisk: 0, bytesInMemory: 0, broken: false };
  /** Drafts begun and neither committed nor discarded. */
  open = 0;
  /** Of `commit` and `mark`. */
  failWith: SpoolFailure['reason'] | null = null;
  /** Holds that nobody has ended. */
  holds = 0;
  /** Every mark, in order. */
  readonly marks: { readonly row: Row; readonly changes: readonly Change[] }[] = [];
  readonly #kept = new Map<Row, Kept>();
  readonly #awake = new Map<Row, Message>();
  #key = 0;

  begin(): Draft {
    const parts: Buffer[] = [];
    let state: 'open' | 'over' = 'open';
    const over = () => {
      if (state === 'open') this.open--;
      state = 'over';
    };
    this.open++;
    const spool = this;
    return {
      get bytes() {
        return parts.reduce((sum, part) => sum + part.length, 0);
      },
      write(chunk, from, to) {
        parts.push(Buffer.from(chunk.subarray(from, to)));
        return undefined;
      },
      writeText(text) {
        parts.push(Buffer.from(text, 'latin1'));
      },
      async commit(envelope) {
        over();
        spool.#mayFail();
        return spool.put(envelope, Buffer.concat(parts));
      },
      discard: over,
    };
  }

  /** A message as `commit` leaves it: held once. */
  put(envelope: Envelope, bytes: Buffer): Stored {
    const row = this.index.add(++this.#key, envelope, null, null);
    this.#kept.set(row, { envelope, bytes });
    return this.#hold(row, bytes);
  }

  /** From memory where somebody holds it, else a turn later and without having been kept. */
  wake(row: Row): Stored | Promise<Stored> {
    if (this.#awake.has(row)) return this.#hold(row, null);
    return Promise.resolve().then(() => this.#hold(row, this.#kept.get(row)!.bytes));
  }

  #hold(row: Row, content: Buffer | null): Stored {
    const message = this.#awake.get(row) ?? new Message(this.index, row, this.#kept.get(row)!.envelope, content, 0);
    this.#awake.set(row, message);
    message.wakes++;
    this.holds++;
    return message;
  }

  rest(message: Stored): void {
    this.holds--;
    const { row } = message;
    if (--(message as Message).wakes === 0 && this.#awake.get(row) === message) this.#awake.delete(row);
  }

  keep(message: Stored): void {
    this.holds--;
    (message as Message).wakes--;
  }

  async *read({ row }: Stored): AsyncIterable<Buffer> {
    yield this.#kept.get(row)!.bytes;
  }

  async mark(row: Row, changes: readonly Change[]): Promise<void> {
    this.index.apply(row, changes);
    this.marks.push({ row, changes });
    if (this.index.final(row)) this.index.end(row);
    this.#mayFail();
  }

  async close(): Promise<void> {}

  #mayFail(): void {
    if (this.failWith !== null) throw new SpoolFailure(this.failWith, 'as the test said');
  }
}
