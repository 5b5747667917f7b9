/**
 * Content on its way from the client to one filter: whoever writes is never blocked in a call, whoever reads takes when
 * it can, and what lies between is bounded by the writer's waiting.
 *
 *   write ─► │ spans, as they are; neighbours of one piece are one │ ─► read, one by one; or gather ─► lent ─► done
 *             └────── a promise from `write` while there is more than a little ──────┘
 *
 * A client chooses how its content falls into spans (a dot on each line makes each line one); that what a filter costs
 * follows from bytes, not from spans, is the work of whoever copies small ones side by side (content_pieces.ts).
 *
 * What has been read is lent until its reader says that it is done with it. Who never says so, since what it has sent
 * is still in a socket, does no harm: that memory is not used again.
 */
import { LIMITS } from '../config/limits.ts';
import type { Piece } from './content_pieces.ts';
import { FilterFailure } from './filter.ts';

export type PassageListener = {
  /** The reader waits for content: the filter owes nothing. */
  readonly onThirst: () => void;
  /** There is content again, or its end. */
  readonly onContent: () => void;
};

type Span = { readonly piece: Piece; readonly from: number; to: number };

/** Content up to its end, which is a copy then, or as much of it as was asked for. */
export type Gathered = { readonly pieces: Uint8Array[]; readonly bytes: number; readonly whole: boolean };

export class Passage {
  readonly #listener: PassageListener;
  readonly #queue: Span[] = [];
  #lent: Piece[] = [];
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

  write(piece: Piece, from: number, to: number): Promise<void> | undefined {
    this.bytes += to - from;
    if (this.#dropped || from === to) return undefined;
    this.#take(piece, from, to);
    this.#queuedBytes += to - from;
    this.#wakeReader();
    if (this.#queuedBytes <= LIMITS.filterBehindBytes) return undefined;
    this.#wait ??= new Promise((resolve) => {
      this.#writer = resolve;
    });
    return this.#wait;
  }

  #take(piece: Piece, from: number, to: number): void {
    const last = this.#queue.at(-1);
    if (last !== undefined && last.piece === piece && last.to === from) {
      last.to = to;
      return;
    }
    piece.hold();
    this.#queue.push({ piece, from, to });
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader();
  }

  /** Nobody reads on: what lies here is let go, and writers wait no more. */
  drop(): void {
    this.#dropped = true;
    for (const { piece } of this.#queue.splice(0)) piece.letGo();
    this.#queuedBytes = 0;
    this.#wakeWriter();
    this.#wakeReader();
  }

  /** What has been read is needed no more, nor in any socket. */
  done(): void {
    this.#giveBack(false);
  }

  /** The examination is over, wherever its reader is. */
  close(): void {
    this.drop();
    this.#giveBack(true);
  }

  #giveBack(stillRead: boolean): void {
    const lent = this.#lent;
    if (lent.length === 0) return;
    this.#lent = [];
    for (const piece of lent) piece.letGo(stillRead);
  }

  /** `read` has something to give, if only the end. */
  get atHand(): boolean {
    return this.#queue.length > 0 || this.#ended || this.#dropped;
  }

  /** The next content, which is lent, or null after the last; one reader at a time. */
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
    if (bytes > bytesMax) return { pieces, bytes, whole: false };
    const copy = Buffer.concat(pieces, bytes);
    this.done();
    return { pieces: [copy], bytes, whole: true };
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
    const { piece, from, to } = span;
    this.#lent.push(piece);
    this.#queuedBytes -= to - from;
    if (this.#queuedBytes <= LIMITS.filterBehindBytes) this.#wakeWriter();
    this.#listener.onContent();
    return piece.bytes.subarray(from, to);
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
