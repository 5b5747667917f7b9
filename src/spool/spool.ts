/**
 * The spool as the rest of Postern sees it: one per shard, the only writer of files. Its journal is in journal.ts.
 *
 *   begin ─► Draft ──write*──► commit ─(fdatasync)─► Stored ──mark*──► every recipient final ─► gone
 *                        └───► discard
 *
 * Durability in one sentence: `commit` resolves only after a sync that covers the message, and the 250 follows it.
 */
import type { ContentFacts, Envelope } from '../message/envelope.ts';

/**
 * Why the spool did not take a message. `full` is temporary (452 4.3.1); `broken` lasts until the shard is run anew
 * (421).
 */
export class SpoolFailure extends Error {
  override readonly name = 'SpoolFailure';
  readonly reason: 'full' | 'broken';
  constructor(reason: 'full' | 'broken', message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/**
 * One message while it arrives. At most CONTENT_INLINE_BYTES_MAX in memory; beyond, a file that is written as bytes
 * come.
 */
export interface Draft {
  /** Content bytes so far. */
  readonly bytes: number;
  /**
   * Takes a copy of chunk[from, to). Returns a promise when the disk is behind: read no more from the client until
   * it resolves. Never rejects: a failure is kept for `commit`, and everything after it is swallowed.
   */
  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined;
  /** Takes a few literal bytes, ASCII (what the scanner inserts). */
  writeText(text: string): void;
  /** Makes the message durable. Rejects with SpoolFailure, and then nothing of it is left. */
  commit(envelope: Envelope): Promise<Stored>;
  /** Leaves nothing behind; safe at any time before `commit`, and idempotent. */
  discard(): void;
}

/** The state of one recipient. Terminal states: delivered, failed (a DSN was queued, or none was wanted), expired. */
export type RecipientState =
  | { readonly tag: 'waiting'; readonly attempts: number; readonly nextMs: number; readonly detail: string }
  | { readonly tag: 'delivered' | 'failed' };

export type Change = { readonly recipient: number; readonly state: RecipientState };

/** A message that is in the journal. */
export interface Stored {
  readonly envelope: Envelope;
  /** One state per envelope.recipients, by index. Changed by `Spool.mark` only. */
  readonly states: readonly RecipientState[];
  /** The content while it is still in memory, else null. Cleared by `release`. */
  readonly content: Buffer | null;
}

export interface Spool {
  /** `bytesExpected` is the client's SIZE (RFC 1870) or 0: a hint for the first buffer, nothing more. */
  begin(bytesExpected: number): Draft;
  /**
   * Whole content, in order, in chunks of at most 256 KiB, from memory or disk. Throws SpoolFailure if it cannot be
   * read.
   */
  read(message: Stored): AsyncIterable<Buffer>;
  /** Lets go of the content in memory, if the message keeps it on disk. */
  release(message: Stored): void;
  /**
   * Records what became of recipients; `message.states` shows it at once. Resolves when durable. When the last
   * recipient is final the message is gone. Rejects with SpoolFailure; in-memory state stays changed.
   */
  mark(message: Stored, changes: readonly Change[]): Promise<void>;
  /** Messages with a recipient still waiting, in order of acceptance. */
  readonly live: ReadonlySet<Stored>;
  readonly stats: SpoolStats;
  /** Waits for what was begun, syncs, and closes. No call may follow. */
  close(): Promise<void>;
}

export type SpoolStats = {
  /** fdatasync (or equivalent) calls, and the records they covered. */
  readonly syncs: number;
  readonly records: number;
  readonly segments: number;
  readonly bytesOnDisk: number;
  /** Content held in memory, bytes. */
  readonly bytesInMemory: number;
  readonly broken: boolean;
};

export type SpoolOptions = {
  /** The spool folder of the process; this shard's own is `shard-NN` in it. */
  readonly directory: string;
  readonly shard: number;
  /** Shards in this process: folders of shards that no longer exist are adopted by shard (number modulo workers). */
  readonly workers: number;
  readonly segmentBytes: number;
  /** Content in memory over all messages, bytes; beyond it content is let go of after the commit. */
  readonly memoryBytesMax: number;
  /** Something worth a log line happened in recovery or later: `event` is stable, `fields` are plain. */
  readonly report: (event: SpoolEvent, fields: Readonly<Record<string, string | number>>) => void;
};

export type SpoolEvent =
  | 'spool-recovered'
  | 'spool-torn-tail'
  | 'spool-corrupt'
  | 'spool-adopted'
  | 'spool-stray'
  | 'spool-full'
  | 'spool-broken';

export type { ContentFacts, Envelope };
