/**
 * The spool of one shard: drafts become records, records become rows, marks end them. What is on disk is a matter of
 * journal.ts and retirement.ts, what is in memory of rows.ts and awake.ts; here they meet.
 */
import { assert } from '../base/assert.ts';
import { BufferPool } from '../base/buffer_pool.ts';
import { Awake } from './awake.ts';
import type { Position } from './checkpoint.ts';
import type { CheckpointHost } from './checkpoints.ts';
import { Checkpoints } from './checkpoints.ts';
import { ContentWriter } from './content_writer.ts';
import type { Disk } from './disk.ts';
import { codeOf } from './disk.ts';
import type { DraftHost } from './draft.ts';
import { SpoolDraft } from './draft.ts';
import type { Copy, EntryHost } from './entries.ts';
import { CommitEntry, CopyEntry, MarkEntry } from './entries.ts';
import { Journal } from './journal.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { ContentFile, Place } from './message.ts';
import { Message } from './message.ts';
import { gone, readCopy, readFile, senseless } from './reading.ts';
import type { SegmentLife } from './record.ts';
import type { RetirementHost } from './retirement.ts';
import { Retirement } from './retirement.ts';
import type { Rows } from './rows.ts';
import type { Segment } from './segment.ts';
import { SegmentSupply } from './segment.ts';
import type { Change, Draft, RecipientState, Row, Spool, SpoolOptions, SpoolStats, Stored } from './spool.ts';
import { SpoolFailure } from './spool.ts';

export type StoreStart = {
  readonly folder: string;
  /** Live messages, and those whose last mark is owed. */
  readonly index: Rows;
  readonly segmentBytes: number;
  /** Segments that hold records, oldest first. */
  readonly chain: readonly Segment[];
  /** Files ready to be written to, with nothing in them. */
  readonly unused: readonly Segment[];
  readonly previous: SegmentLife | null;
  readonly nextGeneration: number;
  readonly lastSequence: number;
  readonly durable: number;
};

export class JournalSpool implements Spool, DraftHost, EntryHost, RetirementHost, CheckpointHost {
  readonly index: Rows;
  readonly owed = new Set<Row>();
  readonly retirement: Retirement;
  readonly segmentBytes: number;
  readonly #options: SpoolOptions;
  readonly #awake: Awake;
  readonly #disk: Disk;
  readonly #contentFolder: string;
  /** Distinguishes this run's content files from every earlier run's. */
  readonly #run: string;
  #contentFiles = 0;
  #contentBytes = 0;
  #fullReported = false;
  readonly pieces = new BufferPool(SPOOL_LIMITS.chunkBytes, SPOOL_LIMITS.chunksKeptMax);
  readonly #reads = new BufferPool(SPOOL_LIMITS.readBytesMax, SPOOL_LIMITS.readsKeptMax);
  readonly #supply: SegmentSupply;
  readonly #journal: Journal;
  readonly #checkpoints: Checkpoints;
  /** Content files being removed: `close` waits for them. */
  readonly #removals = new Set<Promise<void>>();

  /** Use `start`. */
  private constructor(
    options: SpoolOptions,
    disk: Disk,
    start: StoreStart,
    supply: SegmentSupply,
    active: Segment | null,
  ) {
    this.#options = options;
    this.index = start.index;
    this.#awake = new Awake(options.memoryBytesMax);
    this.#disk = disk;
    this.#contentFolder = `${start.folder}/content`;
    this.#run = String(start.nextGeneration).padStart(8, '0');
    this.segmentBytes = start.segmentBytes;
    this.#supply = supply;
    const everyBytes = options.checkpointEveryBytes ?? SPOOL_LIMITS.checkpointEveryBytes;
    this.#checkpoints = new Checkpoints(disk, start.folder, everyBytes, this, (why) =>
      options.report('spool-checkpoint', { shard: options.shard, detail: `not written: ${why}` }),
    );
    this.retirement = new Retirement(this, active === null ? start.chain : [...start.chain, active]);
    this.#journal = new Journal(
      {
        segmentBytes: start.segmentBytes,
        sequence: start.lastSequence + 1,
        durable: start.durable,
        segment: active,
        previous: start.previous,
        companyMs: options.companyMs ?? SPOOL_LIMITS.companyMs,
      },
      supply,
      {
        batch: () => {
          this.retirement.sweep();
          this.#checkpoints.consider();
        },
        rolled: (segment) => this.retirement.roll(segment),
        broken: (failure) => options.report('spool-broken', { shard: options.shard, detail: failure.message }),
      },
    );
  }

  /** Resolves when a segment is ready to be written to, or it is known that the disk is full. */
  static async start(options: SpoolOptions, disk: Disk, start: StoreStart): Promise<JournalSpool> {
    let spool: JournalSpool | null = null;
    const early: unknown[] = [];
    const supply = new SegmentSupply(disk, start.folder, start.segmentBytes, start.nextGeneration, {
      ready: () => spool?.supplied(),
      full: (error) => spool?.starved(error),
      failed: (error) => {
        if (spool === null) early.push(error);
        else spool.folderBroken(error);
      },
    });
    for (const segment of start.unused) supply.retire(segment);
    await supply.idle();
    supply.want();
    await supply.idle();
    spool = new JournalSpool(options, disk, start, supply, supply.take());
    spool.#restore(); // first: a segment whose messages are not counted looks like one that nobody wants
    for (const error of early) spool.folderBroken(error);
    if (supply.full) spool.starved(null);
    return spool;
  }

  // --- Spool ---

  begin(bytesExpected: number): Draft {
    return new SpoolDraft(this, bytesExpected);
  }

  async *read(stored: Stored): AsyncGenerator<Buffer> {
    const message = stored as Message;
    if (message.envelope.content.bytes === 0) return;
    const file = this.index.file(message.row);
    if (message.content !== null) yield message.content;
    else if (file !== null) yield* readFile(this.#disk, this.#contentFolder, file, this.#reads);
    else yield (await this.#readNewest(message.row, message.key)).content!;
  }

  wake(row: Row): Stored | Promise<Stored> {
    return this.#awake.hold(row) ?? this.#read(row);
  }

  async #read(row: Row): Promise<Stored> {
    const { envelope, content } = await this.#readNewest(row, this.index.key(row));
    const other = this.#awake.hold(row);
    if (other !== undefined) return other; // somebody else was quicker
    const message = new Message(this.index, row, envelope, content, content?.length ?? 0);
    this.#awake.add(message);
    return message;
  }

  rest(message: Stored): void {
    this.#awake.rest(message as Message);
  }

  keep(message: Stored): void {
    this.#awake.keep(message as Message);
  }

  mark(row: Row, changes: readonly Change[]): Promise<void> {
    assert(this.index.key(row) !== 0, 'only a message that is there is marked');
    return new Promise((resolve, reject) => {
      const recipients = changes.map((change) => change.recipient);
      this.index.apply(row, changes);
      this.#awake.tried(row);
      this.#journal.append(new MarkEntry(this, row, recipients, resolve, reject));
    });
  }

  get stats(): SpoolStats {
    const { syncs, records } = this.#journal;
    const segments = this.retirement.segments.length + (this.#supply.spare === null ? 0 : 1);
    const bytesOnDisk = this.retirement.diskBytes + this.#contentBytes;
    return { syncs, records, segments, bytesOnDisk, bytesInMemory: this.#awake.bytes, broken: this.broken };
  }

  async close(): Promise<void> {
    await this.retirement.stop();
    await this.#journal.idle();
    await this.#checkpoints.close();
    await this.#supply.close();
    await Promise.all(this.#removals);
    for (const segment of this.retirement.segments) await segment.close().catch(() => {});
  }

  // --- DraftHost ---

  startContent(piece: Buffer, bytes: number): ContentWriter {
    const writer = new ContentWriter(this.#disk, this.#contentFolder, this.nextContentName(), this.pieces);
    writer.begin(piece, bytes);
    return writer;
  }

  commit(copy: Copy, bufferBytes: number, states: readonly RecipientState[] | null): Promise<Stored> {
    return new Promise((resolve, reject) => {
      const stored = (row: Row) => {
        const message = new Message(this.index, row, copy.envelope, copy.content, bufferBytes);
        this.#awake.add(message);
        if (this.#awake.crowded) this.#awake.dropContent(message);
        resolve(message);
      };
      this.#journal.append(new CommitEntry(this, copy, states, stored, reject));
    });
  }

  contentBroken(failure: Error): void {
    this.#journal.break(failure.message, failure.cause);
  }

  // --- EntryHost ---

  committed(key: number, copy: Copy, states: readonly RecipientState[] | null, place: Place): Row {
    const row = this.index.add(key, copy.envelope, states, copy.file);
    this.retirement.settle(row, place);
    this.#contentBytes += copy.file?.bytes ?? 0;
    return row;
  }

  copied(row: Row, place: Place): void {
    if (this.retirement.segmentOf(row) !== null) this.retirement.settle(row, place);
  }

  finished(row: Row): void {
    if (this.index.ended(row)) return;
    this.retirement.drop(row);
    const file = this.index.file(row);
    this.index.end(row);
    if (file === null) return;
    this.#contentBytes -= file.bytes;
    this.dropContent(file);
  }

  dropContent(file: ContentFile): void {
    // Whatever goes wrong here leaves a file without a message, which the next start removes.
    const removal = this.#disk.unlink(`${this.#contentFolder}/${file.name}`).catch(() => {});
    this.#removals.add(removal);
    removal.then(() => this.#removals.delete(removal));
  }

  // --- RetirementHost ---

  get written(): Segment | null {
    return this.#journal.written;
  }
  get spareBytes(): number {
    return this.#supply.spare?.bytes ?? 0;
  }
  get broken(): boolean {
    return this.failure !== null;
  }
  get failure(): SpoolFailure | null {
    return this.#journal.broken;
  }
  get full(): boolean {
    return this.#supply.full;
  }
  get roomBytes(): number {
    return this.#journal.roomBytes;
  }

  retire(segment: Segment): Promise<void> {
    return this.#supply.retire(segment);
  }

  idle(): Promise<void> {
    return this.#journal.idle();
  }

  async copyForward(rows: readonly Row[]): Promise<void> {
    const keys = rows.map((row) => this.index.key(row));
    const copies: (Copy | null)[] = [];
    for (const [at, row] of rows.entries()) copies.push(await this.#copyOf(row, keys[at]!));
    for (const [at, row] of rows.entries()) {
      const copy = this.#wanted(row, keys[at]!) ? copies[at]! : null; // it may have become final meanwhile
      if (copy !== null) this.#journal.append(new CopyEntry(this, row, copy));
    }
  }

  #wanted(row: Row, key: number): boolean {
    return this.index.key(row) === key && !this.index.final(row);
  }

  /** Null where it is not wanted any more, or lost. */
  async #copyOf(row: Row, key: number): Promise<Copy | null> {
    if (!this.#wanted(row, key)) return null;
    try {
      return await this.#readNewest(row, key);
    } catch (error) {
      if (this.index.key(row) === key) this.#lose(row, error);
      return null;
    }
  }

  /** Of a message at rest or awake, wherever its newest record is by now. Throws SpoolFailure. */
  async #readNewest(row: Row, key: number): Promise<Copy> {
    for (;;) {
      const segment = this.retirement.segmentOf(row);
      if (segment === null || this.index.key(row) !== key) throw gone(key);
      const place = this.index.place(row);
      try {
        return await readCopy(segment, place);
      } catch (error) {
        if (this.index.key(row) !== key) throw gone(key);
        // Copied forward meanwhile, and its old segment is in use again: read where it is now.
        const now = this.index.place(row);
        if (now.generation !== place.generation || now.at !== place.at) continue;
        segment.damaged = true;
        throw error instanceof SpoolFailure ? error : senseless(key, error);
      }
    }
  }

  /** What cannot be read cannot be delivered, nor bounced. Its segment, or its file, stays for whoever can do more. */
  #lose(row: Row, error: unknown): void {
    const { index } = this;
    const recipients = index.recipients(row);
    this.#options.report('spool-lost', {
      shard: this.#options.shard,
      sequence: index.key(row),
      segment: index.place(row).generation,
      offset: index.place(row).at,
      acceptedMs: index.acceptedMs(row),
      domain: index.domain(row, 0),
      recipients,
      detail: String(error),
    });
    index.lose(row);
    this.#journal.append(new MarkEntry(this, row, null, ignore, ignore));
  }

  // --- CheckpointHost ---

  folderBroken(error: unknown): void {
    this.#journal.break(`handling files of the journal failed (${codeOf(error)})`, error);
  }

  get position(): Position | null {
    return this.#journal.position;
  }
  get bytesAppended(): number {
    return this.#journal.bytesAppended;
  }
  get unfit(): boolean {
    return this.full || this.broken;
  }

  nextContentName(): string {
    return `${this.#run}-${(this.#contentFiles++).toString(36)}`;
  }

  get contentFolder(): string {
    return this.#contentFolder;
  }

  /** Counts what recovery found in this spool's own segments. */
  #restore(): void {
    for (const row of this.index.rows()) this.retirement.restore(row);
    for (const [, file] of this.index.files()) this.#contentBytes += file.bytes;
  }

  /** A message of another journal. Resolves when it is durable here. */
  adopt(copy: Copy, states: readonly RecipientState[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#journal.append(new CommitEntry(this, copy, states, () => resolve(), reject));
    });
  }

  /** Appends all states of a message again, final or not. */
  markAgain(row: Row): void {
    this.#journal.append(new MarkEntry(this, row, null, ignore, ignore));
  }

  supplied(): void {
    this.#fullReported = false;
    this.#journal.supplyChanged();
    for (const row of this.owed) this.markAgain(row);
    this.retirement.sweep(); // the spare counts, and no batch need follow
  }

  starved(error: unknown): void {
    if (!this.#fullReported) {
      this.#options.report('spool-full', { shard: this.#options.shard, detail: codeOf(error) });
      this.#fullReported = true;
    }
    this.#journal.supplyChanged();
    this.retirement.sweep();
  }
}

const ignore = (): void => {};
