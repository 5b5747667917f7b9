/**
 * Content on its way from the client to one filter: whoever writes is never blocked in a call, whoever reads takes when
 * it can, and what lies between is bounded by the writer's waiting.
 *
 *   write ─► │ spans, as they are; neighbours of one chunk are one │ ─► read, one by one; or gather, up to a bound
 *             └────── a promise from `write` while there is more than a little ──────┘
 *
 * A client chooses how its content falls into spans (a dot on each line makes each line one); that what a filter costs
 * follows from bytes, not from spans, is the work of whoever copies small ones side by side (content_copies.ts).
 */
import { LIMITS } from '../config/limits.ts';
import { FilterFailure } from './filter.ts';

export type PassageListener = {
  /** The reader waits for content: the filter owes nothing. */
  readonly onThirst: () => void;
  /** There is content again, or its end. */
  readonly onContent: () => void;
};

type Span = { readonly chunk: Uint8Array; readonly from: number; to: number };

/** Content up to its end, or as much of it as was asked for. */
export type Gathered = { readonly pieces: Uint8Array[]; readonly bytes: number; readonly whole: boolean };

export class Passage {
  readonly #listener: PassageListener;
  readonly #queue: Span[] = [];
  #queuedBytes = 0;
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
    const last = this.#queue.at(-1);
    if (last !== undefined && last.chunk === chunk && last.to === from) last.to = to;
    else this.#queue.push({ chunk, from, to });
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader();
  }

  /** Nobody reads on: what lies here is let go, and writers wait no more. */
  drop(): void {
    this.#dropped = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#wakeWriter();
    this.#wakeReader();
  }

  /** `read` has something to give, if only the end. */
  get atHand(): boolean {
    return this.#queue.length > 0 || this.#ended || this.#dropped;
  }

  /** The next content, or null after the last; one reader at a time. */
  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const chunk = this.#next();
    return chunk === undefined ? this.#awaited() : chunk;
  }

  /** Of content of so many bytes at most all; else what has come when there is more. Rejects when it was dropped. */
  async gather(bytesMax: number): Promise<Gathered> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    while (bytes <= bytesMax) {
      const chunk = await this.read();
      if (chunk === null) break;
      pieces.push(chunk);
      bytes += chunk.length;
    }
    if (this.#dropped) throw new FilterFailure('aborted', 'nobody waits for it any more');
    return { pieces, bytes, whole: bytes <= bytesMax };
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
    const span = this.#queue.shift();
    if (span === undefined) return this.#ended || this.#dropped ? null : undefined;
    const { chunk, from, to } = span;
    this.#queuedBytes -= to - from;
    if (this.#queuedBytes <= LIMITS.filterBehindBytes) this.#wakeWriter();
    this.#listener.onContent();
    return from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to);
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
