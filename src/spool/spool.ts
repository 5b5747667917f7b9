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
 * Why the spool did not take a message, or did not give one back. `full` is temporary (452 4.3.1); `broken` lasts until
 * the shard is run anew (421); `unreadable` is one message's matter: the disk has lost it, or a part of it.
 */
export class SpoolFailure extends Error {
  override readonly name = 'SpoolFailure';
  readonly reason: 'full' | 'broken' | 'unreadable';
  constructor(reason: SpoolFailure['reason'], message: string, options?: ErrorOptions) {
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
  /**
   * Makes the message durable; its recipients wait for their first attempt, or until somebody releases them. Rejects
   * with SpoolFailure, and then nothing of it is left.
   */
  commit(envelope: Envelope, as?: 'due' | 'held'): Promise<Stored>;
  /** Leaves nothing behind; safe at any time before `commit`, and idempotent. */
  discard(): void;
}

/** The state of one recipient. Final states: delivered, failed (a DSN was queued, or none was wanted). */
export type RecipientState =
  | {
      readonly tag: 'waiting';
      readonly attempts: number;
      /** Milliseconds since 1970, 0: at once; Infinity: held until somebody releases it. */
      readonly nextMs: number;
      /** Of the last attempt: where it went, and what was said there. */
      readonly site: string;
      readonly detail: string;
      /** The sender has had a delay warning. */
      readonly warned: boolean;
    }
  | { readonly tag: 'delivered' | 'failed' };

export type Change = { readonly recipient: number; readonly state: RecipientState };

/** Names a live message in this shard while it is live; afterwards another may have it. */
export type Row = number;

/** A message that somebody holds awake: its row is known all the time, the rest only now. */
export interface Stored {
  readonly row: Row;
  /** Names it in the journal; rises with the order of acceptance, and is never used again. */
  readonly key: number;
  readonly envelope: Envelope;
  /** The content where it is in memory. */
  readonly content: Buffer | null;
  /** Changed by `Spool.mark` only. */
  state(recipient: number): RecipientState;
}

/** What is known of live messages at rest, in memory. Each call is O(1), but those that say otherwise. */
export interface Index {
  /** Messages with a recipient that is not final, and such recipients. */
  readonly messages: number;
  readonly recipientsWaiting: number;
  /** Of these the ones that somebody is about to deliver, and those that are held. */
  readonly recipientsClaimed: number;
  readonly recipientsHeld: number;
  /** O(rows that ever were). */
  rows(): Iterable<Row>;
  has(row: Row): boolean;
  /** 0 for a row that is nobody's. */
  key(row: Row): number;
  /** Milliseconds since 1970, to the second. */
  acceptedMs(row: Row): number;
  contentBytes(row: Row): number;
  /** How many the message has, final ones included. */
  recipients(row: Row): number;
  /** `hashOf` the id, the sender's address, a recipient's address. */
  idHash(row: Row): number;
  senderHash(row: Row): number;
  addressHash(row: Row, recipient: number): number;
  /** Of the address; and with it the recipient's route, where it has one: what goes the same way has the same text. */
  domain(row: Row, recipient: number): string;
  destination(row: Row, recipient: number): string;
  /** `site` of its state, '' for a final one. */
  site(row: Row, recipient: number): string;
  state(row: Row, recipient: number): RecipientState;
  /** `nextMs` of its state, without making one; null: final. */
  dueMs(row: Row, recipient: number): number | null;
  /** It waits, and not for its first attempt. */
  tried(row: Row, recipient: number): boolean;
  /**
   * A mark in memory by whoever is about to deliver it: nobody else does, and its row is nobody else's as long as it
   * stands. It ends with `unclaim`, or with a `mark` that makes the recipient final. A claimed one may become final by
   * itself (`dueMs` null) where the disk has lost the message: then it is unclaimed and forgotten.
   */
  claimed(row: Row, recipient: number): boolean;
  claim(row: Row, recipient: number): void;
  unclaim(row: Row, recipient: number): void;
}

export interface Spool {
  /** `bytesExpected` is the client's SIZE (RFC 1870) or 0: a hint for the first buffer, nothing more. */
  begin(bytesExpected: number): Draft;
  readonly index: Index;
  /**
   * The message awake, at once where it is in memory. Calls are counted: each is ended by one `rest` or `keep`. A
   * message that was just committed is held once, by whoever committed it. Rejects with SpoolFailure where it cannot be
   * read.
   */
  wake(row: Row): Stored | Promise<Stored>;
  /** The last one lets go of envelope and content. */
  rest(message: Stored): void;
  /** Like `rest`, but it stays in memory for its first attempt as long as there is room. */
  keep(message: Stored): void;
  /**
   * Whole content of an awake message, in order, in chunks of at most 256 KiB, from memory or disk. A chunk is there
   * until the next one is asked for, or no more are. Throws SpoolFailure if it cannot be read.
   */
  read(message: Stored): AsyncIterable<Buffer>;
  /**
   * Records what became of recipients; the index shows it at once, and the message may rest. Resolves when durable.
   * When the last recipient is final the message is gone. Rejects with SpoolFailure; what the index shows stays.
   */
  mark(row: Row, changes: readonly Change[]): Promise<void>;
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
  /** Messages held in memory, bytes. */
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
  /** Messages awake in memory, bytes; beyond it they rest after the commit. */
  readonly memoryBytesMax: number;
  /** The journal grows so much between checkpoints; absent: SPOOL_LIMITS.checkpointEveryBytes. */
  readonly checkpointEveryBytes?: number;
  /** Marks wait so long for a message that shares their sync, ms; absent: SPOOL_LIMITS.companyMs. */
  readonly companyMs?: number;
  /** Something worth a log line happened in recovery or later: `event` is stable, `fields` are plain. */
  readonly report: (event: SpoolEvent, fields: Readonly<Record<string, string | number>>) => void;
};

export type SpoolEvent =
  | 'spool-recovered'
  | 'spool-torn-tail'
  | 'spool-corrupt'
  | 'spool-lost'
  | 'spool-checkpoint'
  | 'spool-adopted'
  | 'spool-stray'
  | 'spool-full'
  | 'spool-broken';

export type { ContentFacts, Envelope };
