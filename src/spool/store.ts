/**
 * The spool of one shard: drafts become records, records become live messages, marks end them. What is on disk is the
 * journal's and the segments' business (journal.ts, retirement.ts); here are messages, memory and content files.
 */
import { assert } from '../base/assert.ts';
import { ChunkPool, ContentWriter } from './content_writer.ts';
import type { Disk } from './disk.ts';
import { codeOf } from './disk.ts';
import type { DraftHost } from './draft.ts';
import { SpoolDraft } from './draft.ts';
import type { EntryHost } from './entries.ts';
import { CommitEntry, CopyEntry, MarkEntry } from './entries.ts';
import { Journal } from './journal.ts';
import type { ContentFile, Message, Place } from './message.ts';
import { readFile, readInline } from './reading.ts';
import type { RetirementHost } from './retirement.ts';
import { Retirement } from './retirement.ts';
import type { Segment } from './segment.ts';
import { SegmentSupply } from './segment.ts';
import type { Change, Draft, Spool, SpoolFailure, SpoolOptions, SpoolStats, Stored } from './spool.ts';

export type StoreStart = {
  readonly folder: string;
  readonly segmentBytes: number;
  /** Segments that hold records, oldest first. */
  readonly chain: readonly Segment[];
  /** Files ready to be written to, with nothing in them. */
  readonly unused: readonly Segment[];
  readonly nextGeneration: number;
  readonly lastSequence: number;
  readonly durable: number;
};

export class JournalSpool implements Spool, DraftHost, EntryHost, RetirementHost {
  readonly live = new Set<Message>();
  readonly owed = new Set<Message>();
  readonly retirement: Retirement;
  readonly segmentBytes: number;
  readonly #options: SpoolOptions;
  readonly #disk: Disk;
  readonly #contentFolder: string;
  /** Distinguishes this run's content files from every earlier run's. */
  readonly #run: string;
  #contentFiles = 0;
  #contentBytes = 0;
  #bytesInMemory = 0;
  #fullReported = false;
  readonly #chunks = new ChunkPool();
  readonly #supply: SegmentSupply;
  readonly #journal: Journal;
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
    this.#disk = disk;
    this.#contentFolder = `${start.folder}/content`;
    this.#run = String(start.nextGeneration).padStart(8, '0');
    this.segmentBytes = start.segmentBytes;
    this.#supply = supply;
    this.retirement = new Retirement(this, active === null ? start.chain : [...start.chain, active]);
    this.#journal = new Journal(
      {
        segmentBytes: start.segmentBytes,
        sequence: start.lastSequence + 1,
        durable: start.durable,
        segment: active,
        previous: start.chain.at(-1) ?? null,
      },
      supply,
      {
        batch: () => this.retirement.sweep(),
        rolled: (segment) => this.retirement.chain.push(segment),
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
        else spool.#segmentsBroken(error);
      },
    });
    for (const segment of start.unused) supply.retire(segment);
    await supply.idle();
    supply.want();
    await supply.idle();
    spool = new JournalSpool(options, disk, start, supply, supply.take());
    for (const error of early) spool.#segmentsBroken(error);
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
    if (message.file !== null) yield* readFile(this.#disk, this.#contentFolder, message, message.file);
    else yield await readInline(message);
  }

  release(stored: Stored): void {
    const message = stored as Message;
    if (message.content === null) return;
    message.content = null;
    this.#bytesInMemory -= message.heldBytes;
    message.heldBytes = 0;
  }

  mark(stored: Stored, changes: readonly Change[]): Promise<void> {
    const message = stored as Message;
    assert(this.live.has(message), 'only a live message is marked');
    message.apply(changes);
    if (message.waiting === 0) {
      this.live.delete(message);
      this.release(message);
    }
    return new Promise((resolve, reject) => {
      const recipients = changes.map((change) => change.recipient);
      this.#journal.append(new MarkEntry(this, message, recipients, resolve, reject));
    });
  }

  get stats(): SpoolStats {
    const { syncs, records } = this.#journal;
    const segments = this.retirement.chain.length + (this.#supply.spare === null ? 0 : 1);
    const bytesOnDisk = this.retirement.diskBytes + this.#contentBytes;
    return { syncs, records, segments, bytesOnDisk, bytesInMemory: this.#bytesInMemory, broken: this.broken };
  }

  async close(): Promise<void> {
    await this.retirement.stop();
    await this.#journal.idle();
    await this.#supply.close();
    await Promise.all(this.#removals);
    for (const segment of this.retirement.chain) await segment.close().catch(() => {});
  }

  // --- DraftHost ---

  startContent(): ContentWriter {
    return new ContentWriter(this.#disk, this.#contentFolder, this.nextContentName(), this.#chunks);
  }

  commit(message: Message): Promise<Stored> {
    this.#bytesInMemory += message.heldBytes;
    return this.append(message, message.content);
  }

  contentBroken(failure: Error): void {
    this.#journal.break(failure.message, failure.cause);
  }

  // --- EntryHost ---

  stored(message: Message, place: Place): void {
    if (this.#bytesInMemory > this.#options.memoryBytesMax) this.release(message);
    if (message.file !== null) this.#contentBytes += message.file.bytes;
    this.retirement.settle(message, place);
    this.live.add(message);
  }

  copied(message: Message, place: Place): void {
    if (message.place !== null) this.retirement.settle(message, place);
  }

  finished(message: Message): void {
    if (message.place === null) return;
    this.retirement.drop(message);
    if (message.file === null) return;
    this.#contentBytes -= message.file.bytes;
    this.dropContent(message.file);
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

  async copyForward(message: Message): Promise<number> {
    if (message.place === null) return 0;
    let content: Buffer | null = null;
    if (message.file === null) {
      try {
        content = await readInline(message);
      } catch (error) {
        this.#options.report('spool-corrupt', {
          shard: this.#options.shard,
          id: message.envelope.id,
          detail: String(error),
        });
        return 0;
      }
    }
    // It may have become final while it was read.
    if (message.waiting === 0) return 0;
    const entry = new CopyEntry(this, message, content);
    this.#journal.append(entry);
    return entry.frameBytes;
  }

  // --- what opening needs ---

  nextContentName(): string {
    return `${this.#run}-${(this.#contentFiles++).toString(36)}`;
  }

  get contentFolder(): string {
    return this.#contentFolder;
  }

  /** A message that recovery found in this spool's own segments. */
  restore(message: Message): void {
    if (message.file !== null) this.#contentBytes += message.file.bytes;
    this.live.add(message);
  }

  /** Appends a message that this journal does not have yet. */
  append(message: Message, content: Buffer | null): Promise<Stored> {
    return new Promise((resolve, reject) => {
      this.#journal.append(new CommitEntry(this, message, content, resolve, reject));
    });
  }

  /** Appends all states of a message again, final or not. */
  markAgain(message: Message): void {
    this.#journal.append(new MarkEntry(this, message, null, ignore, ignore));
  }

  /** A spare is there. */
  supplied(): void {
    this.#fullReported = false;
    this.#journal.supplyChanged();
    for (const message of this.owed) this.markAgain(message);
  }

  #segmentsBroken(error: unknown): void {
    this.#journal.break(`handling segment files failed (${codeOf(error)})`, error);
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
