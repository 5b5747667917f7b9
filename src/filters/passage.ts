/**
 * Content on its way from the client to one filter: whoever writes is never blocked in a call, whoever reads takes when
 * it can, and what lies between is bounded by the writer's waiting.
 *
 *   write ─► │ small spans, copied together │ large spans, as they are │ ─► read
 *             └──────────── a promise from `write` while there is more than a little ───┘
 *
 * A client chooses how its content falls into spans (a dot on each line makes each line one), so small ones are copied:
 * what a filter costs follows from bytes, not from spans. A piece of memory for copies is used until it is full,
 * whatever large spans come between.
 */
import { LIMITS } from '../config/limits.ts';

const COPIED_BYTES_MAX = 1024;

export type PassageListener = {
  /** The reader waits for content: the filter owes nothing. */
  readonly onThirst: () => void;
  /** There is content again, or its end. */
  readonly onContent: () => void;
};

export class Passage {
  readonly #listener: PassageListener;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** In use up to `copied`; what lies from `unqueued` on is not in the queue yet. */
  #copies: Buffer | null = null;
  #unqueued = 0;
  #copied = 0;
  #ended = false;
  #dropped = false;
  #writer: (() => void) | null = null;
  #wait: Promise<void> | undefined;
  #reader: (() => void) | null = null;
  /** Content bytes written so far, also those that nobody reads. */
  bytes = 0;

  constructor(listener: PassageListener) {
    this.#listener = listener;
  }

  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined {
    this.bytes += to - from;
    if (this.#dropped || from === to) return undefined;
    this.#take(chunk, from, to);
    this.#queuedBytes += to - from;
    this.#wakeReader();
    if (this.#queuedBytes <= LIMITS.filterBehindBytes) return undefined;
    this.#wait ??= new Promise((resolve) => {
      this.#writer = resolve;
    });
    return this.#wait;
  }

  #take(chunk: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length > COPIED_BYTES_MAX) {
      this.#flush();
      this.#queue.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
      return;
    }
    if (this.#copies === null || this.#copied + length > this.#copies.length) {
      this.#flush();
      this.#copies = Buffer.allocUnsafeSlow(LIMITS.filterBehindBytes);
      this.#unqueued = 0;
      this.#copied = 0;
    }
    this.#copies.set(chunk.subarray(from, to), this.#copied);
    this.#copied += length;
  }

  #flush(): void {
    if (this.#copies === null || this.#unqueued === this.#copied) return;
    this.#queue.push(this.#copies.subarray(this.#unqueued, this.#copied));
    this.#unqueued = this.#copied;
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader();
  }

  /** Nobody reads on: what lies here is let go, and writers wait no more. */
  drop(): void {
    this.#dropped = true;
    this.#queue.length = 0;
    this.#copies = null;
    this.#queuedBytes = 0;
    this.#wakeWriter();
    this.#wakeReader();
  }

  /** The next content, or null after the last; one reader at a time. */
  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const chunk = this.#next();
    return chunk === undefined ? this.#awaited() : chunk;
  }

  async #awaited(): Promise<Uint8Array | null> {
    for (;;) {
      this.#listener.onThirst();
      // Woken in a microtask: what else the same read of the client brings is taken at once then.
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
      const chunk = this.#next();
      if (chunk !== undefined) return chunk;
    }
  }

  #next(): Uint8Array | null | undefined {
    if (this.#queue.length === 0) this.#flush();
    const chunk = this.#queue.shift();
    if (chunk === undefined) return this.#ended || this.#dropped ? null : undefined;
    this.#queuedBytes -= chunk.length;
    if (this.#queuedBytes <= LIMITS.filterBehindBytes) this.#wakeWriter();
    this.#listener.onContent();
    return chunk;
  }

  #wakeReader(): void {
    const reader = this.#reader;
    if (reader === null) return;
    this.#reader = null;
    this.#listener.onContent();
    reader();
  }

  #wakeWriter(): void {
    this.#writer?.();
    this.#writer = null;
    this.#wait = undefined;
  }
}
