/**
 * A message while it arrives.
 *
 *   memory ──more than contentInlineBytesMax──► file        both ──commit──► committed   both ──discard──► discarded
 *
 * Where so much is expected, there is nothing in memory first.
 */
import { assert } from '../base/assert.ts';
import type { BufferPool } from '../base/buffer_pool.ts';
import type { ContentWriter } from './content_writer.ts';
import type { Copy } from './entries.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { ContentFile } from './message.ts';
import type { Draft, Envelope, RecipientState, Stored } from './spool.ts';
import { SpoolFailure } from './spool.ts';

export interface DraftHost {
  /** Of SPOOL_LIMITS.chunkBytes; each is given back once, or goes to a writer. */
  readonly pieces: BufferPool;
  /** `piece` holds the first `bytes` of the content. */
  startContent(piece: Buffer, bytes: number): ContentWriter;
  /** Appends a new message. Its content is a part of a buffer of `bufferBytes`. */
  commit(copy: Copy, bufferBytes: number, states: readonly RecipientState[] | null): Promise<Stored>;
  /** Content could not be written for good; the spool takes no more. */
  contentBroken(failure: SpoolFailure): void;
  /** The record was not written: its content is unwanted. */
  dropContent(file: ContentFile): void;
}

type State =
  | { readonly tag: 'memory' | 'committed' | 'discarded' }
  | { readonly tag: 'file'; readonly writer: ContentWriter };

const INLINE_BYTES_MAX = SPOOL_LIMITS.contentInlineBytesMax;
const NO_BYTES = Buffer.alloc(0);
const HELD: RecipientState = {
  tag: 'waiting',
  attempts: 0,
  nextMs: Number.POSITIVE_INFINITY,
  site: '',
  detail: 'held by policy',
  warned: false,
};

export class SpoolDraft implements Draft {
  bytes = 0;
  readonly #host: DraftHost;
  readonly #bytesExpected: number;
  #state: State = { tag: 'memory' };
  /** Not pooled by Node: a view of its pool would keep 64 KiB alive for a small message that waits. */
  #buffer: Buffer = NO_BYTES;
  /** The buffer is one of the host's pieces, since more has come than most mail has. */
  #borrowed = false;

  constructor(host: DraftHost, bytesExpected: number) {
    this.#host = host;
    this.#bytesExpected = bytesExpected;
  }

  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined {
    const state = this.#state;
    if (state.tag === 'discarded') return undefined;
    assert(state.tag !== 'committed', 'nothing is written to a draft after its commit');
    const bytes = this.bytes + to - from;
    if (state.tag === 'file') {
      this.bytes = bytes;
      return state.writer.write(chunk, from, to);
    }
    if (Math.max(bytes, this.#bytesExpected) > INLINE_BYTES_MAX) return this.#spill(chunk, from, to);
    if (bytes > this.#buffer.length) this.#grow(bytes);
    this.#buffer.set(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), this.bytes);
    this.bytes = bytes;
    return undefined;
  }

  writeText(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    // A few bytes need no back-pressure of their own: the next chunk meets it.
    this.write(bytes, 0, bytes.length);
  }

  commit(envelope: Envelope, as: 'due' | 'held' = 'due'): Promise<Stored> {
    const states = as === 'due' ? null : envelope.recipients.map(() => HELD);
    const state = this.#state;
    assert(state.tag === 'memory' || state.tag === 'file', 'a draft is committed once');
    assert(envelope.content.bytes === this.bytes, 'the envelope tells the size of the content');
    this.#state = { tag: 'committed' };
    if (state.tag === 'file') return this.#commitFile(envelope, states, state.writer);
    const buffer = this.#borrowed ? Buffer.allocUnsafeSlow(this.bytes) : this.#buffer;
    if (this.#borrowed) this.#buffer.copy(buffer, 0, 0, this.bytes);
    this.#letGo();
    const content = buffer.subarray(0, this.bytes);
    return this.#host.commit({ envelope, content, file: null }, buffer.length, states);
  }

  discard(): void {
    const state = this.#state;
    if (state.tag === 'committed' || state.tag === 'discarded') return;
    this.#state = { tag: 'discarded' };
    this.#letGo();
    if (state.tag === 'file') state.writer.abandon();
  }

  async #commitFile(
    envelope: Envelope,
    states: readonly RecipientState[] | null,
    writer: ContentWriter,
  ): Promise<Stored> {
    let file: ContentFile;
    try {
      file = await writer.finish();
    } catch (error) {
      if (error instanceof SpoolFailure && error.reason === 'broken') this.#host.contentBroken(error);
      throw error;
    }
    try {
      return await this.#host.commit({ envelope, content: null, file }, 0, states);
    } catch (error) {
      // After a failed sync nobody knows whether the record is there, and the next start may find it.
      if (!(error instanceof SpoolFailure && error.reason === 'broken')) this.#host.dropContent(file);
      throw error;
    }
  }

  #spill(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined {
    if (!this.#borrowed) this.#borrow();
    const writer = this.#host.startContent(this.#buffer, this.bytes);
    this.#state = { tag: 'file', writer };
    this.#borrowed = false; // it is the writer's
    this.#letGo();
    this.bytes += to - from;
    return writer.write(chunk, from, to);
  }

  #letGo(): void {
    if (this.#borrowed) this.#host.pieces.give(this.#buffer);
    this.#borrowed = false;
    this.#buffer = NO_BYTES;
  }

  #borrow(): void {
    const piece = this.#host.pieces.take();
    this.#buffer.copy(piece, 0, 0, this.bytes);
    this.#buffer = piece;
    this.#borrowed = true;
  }

  /** For a size that was announced a buffer of it; else one that most mail fits into, and then a piece. */
  #grow(bytes: number): void {
    const { draftBytesFirst, draftBytesSlack } = SPOOL_LIMITS;
    const size = this.#bytesExpected > 0 ? this.#bytesExpected + draftBytesSlack : draftBytesFirst;
    if (this.#buffer.length > 0 || size < bytes) return this.#borrow();
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(size, INLINE_BYTES_MAX));
  }
}
