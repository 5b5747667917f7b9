/**
 * From a surveyed folder to what was in its journal: rows of live messages with the states of their recipients. Reads
 * only.
 *
 *   segments by generation ─scan─► message: new, or the newest copy of one ─► marks applied in order ─► live
 *
 * A message whose record is beyond what is known to be on disk (the last batch before a crash, which may or may not
 * have been synced) is `uncertain`: the caller writes it again before anything relies on it.
 */
import { unpackMarks, unpackMessage } from './bodies.ts';
import type { Checkpoint, Position } from './checkpoint.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { Disk } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { SegmentHeader, SegmentLife } from './record.ts';
import { BLOCK_BYTES, frameBytesOf, KIND } from './record.ts';
import { RowTable } from './row_table.ts';
import { Rows } from './rows.ts';
import type { Found, Gap, ScanResult } from './scan.ts';
import { scanSegment, Window } from './scan.ts';
import { Segment } from './segment.ts';
import type { Row, SpoolOptions } from './spool.ts';
import type { Survey, SurveyedSegment } from './survey.ts';
import { CONTENT } from './survey.ts';

export type Recovered = {
  /** Live messages, and those whose end is uncertain: these have no place. */
  readonly index: Rows;
  /** Live or final, with their last change uncertain. */
  readonly uncertain: ReadonlySet<Row>;
  /** With records, oldest first; open. */
  readonly chain: readonly Segment[];
  /** Without records: recyclable or, where damaged, to be moved aside; open. */
  readonly unused: readonly Segment[];
  /** The newest segment of the chain that has something on disk for certain: the next one names it. */
  readonly previous: SegmentLife | null;
  readonly lastSequence: number;
  readonly durable: number;
  readonly generationMax: number;
};

type Report = SpoolOptions['report'];

export async function recover(disk: Disk, surveyed: Survey, report: Report): Promise<Recovered> {
  const { folder, segments } = surveyed;
  const ignored = (why: string) => report('spool-checkpoint', { folder, detail: `not used: ${why}` });
  const checkpoint = surveyed.checkpoint ? await readCheckpoint(disk, folder, ignored) : null;
  // The journal goes on behind a checkpoint; one without that end belongs to other segments than these.
  if (checkpoint !== null && (segments.at(-1)?.generation ?? 0) >= checkpoint.position.generation) {
    return await new Recovery(surveyed, report, checkpoint).run();
  }
  if (checkpoint !== null) ignored('its segments are not there');
  return await new Recovery(surveyed, report, null).run();
}

/** A segment that was written to, or must be taken for one. */
type Started = { readonly surveyed: SurveyedSegment; readonly header: SegmentHeader; readonly headless: boolean };

const NOTHING = { generation: 0, salt: 0 };
const NOWHERE = { generation: 0, at: 0, frameBytes: 0 };

class Recovery {
  readonly #surveyed: Survey;
  readonly #report: Report;
  readonly #from: Position | null;
  readonly #index: Rows;
  /** Live ones by the key that marks and copies name. */
  readonly #byKey: RowTable;
  /** Rows by the sequence of records that may not be on disk: those of one batch, or little more. */
  readonly #recent = new Map<number, Row>();
  #lastSequence = 0;
  #durable = 0;

  constructor(surveyed: Survey, report: Report, checkpoint: Checkpoint | null) {
    this.#surveyed = surveyed;
    this.#report = report;
    this.#from = checkpoint?.position ?? null;
    this.#index = checkpoint?.index ?? new Rows();
    this.#lastSequence = this.#from?.sequence ?? 0;
    this.#durable = this.#lastSequence;
    this.#byKey = new RowTable(this.#index.rows(), (row) => this.#index.key(row));
  }

  async run(): Promise<Recovered> {
    const unused: Segment[] = [];
    const started: Started[] = [];
    let generationMax = 0;
    for (const surveyed of this.#surveyed.segments) {
      const { generation, header } = surveyed;
      generationMax = Math.max(generationMax, generation, header.tag === 'header' ? header.header.generation : 0);
      const begun = await this.#begun(surveyed);
      if (begun !== null) started.push(begun);
      else unused.push(this.#unusedSegment(surveyed));
    }
    // A number is used once, whatever became of the file.
    const { damaged, unfinished } = this.#surveyed;
    for (const name of [...damaged, ...unfinished]) {
      generationMax = Math.max(generationMax, Number.parseInt(name, 10) || 0);
    }
    const chain: Segment[] = [];
    for (const [at, one] of started.entries()) chain.push(await this.#replay(one, started[at + 1]?.header ?? null));
    this.#dropRetired(chain);
    const uncertain = new Set(this.#recent.values());
    const [lastSequence, durable] = [this.#lastSequence, this.#durable];
    // After another crash the last one may be as if it had never been; nothing must ask for it then.
    const previous = chain[started.findLastIndex(({ header }) => header.firstSequence <= durable)] ?? null;
    return { index: this.#index, uncertain, chain, unused, previous, lastSequence, durable, generationMax };
  }

  /**
   * Messages of the checkpoint whose segments have gone since. Segments retire oldest first, so those before the oldest
   * that is left were wanted no more: their messages were final, or have copies. All others are missing.
   */
  #dropRetired(chain: readonly Segment[]): void {
    if (this.#from === null) return;
    const generations = new Set(chain.map(({ generation }) => generation));
    const oldest = chain[0]?.generation ?? 0;
    const lost = new Map<number, number>();
    for (const row of this.#index.rows()) {
      const { generation } = this.#index.place(row);
      if (generations.has(generation)) continue;
      if (generation >= oldest) lost.set(generation, (lost.get(generation) ?? 0) + 1);
      this.#index.end(row);
    }
    for (const [generation, messages] of lost) {
      this.#report('spool-lost', { segment: this.#name(generation), messages, detail: 'the segment is not there' });
    }
  }

  #unusedSegment(surveyed: SurveyedSegment): Segment {
    const { generation, file, bytes } = surveyed;
    const segment = new Segment(generation, 0, file, bytes);
    const why = this.#unusable(surveyed);
    if (why !== null) {
      segment.damaged = true;
      this.#corrupt(generation, 0, why);
    }
    return segment;
  }

  /** What tells that a segment without records of its own had some, or somebody's; it may not be written to. */
  #unusable({ generation, bytes, header }: SurveyedSegment): string | null {
    if (header.tag === 'damaged') return 'neither header nor records can be read';
    // A file that is used again gets a higher number than it ever had.
    if (header.tag === 'header' && header.header.generation > generation) return 'it is a later segment by its header';
    if (this.#headersAfter(generation).some(({ previous }) => previous.generation === generation)) {
      return 'its records are gone';
    }
    return bytes < SPOOL_LIMITS.segmentBytesMin ? `it has ${bytes} bytes` : null;
  }

  #headersAfter(generation: number): readonly SegmentHeader[] {
    return this.#surveyed.segments.flatMap(({ generation: at, header: read }) =>
      at > generation && read.tag === 'header' && read.header.generation === at ? [read.header] : [],
    );
  }

  /** Null for a segment that no batch was written to in this generation. */
  async #begun(surveyed: SurveyedSegment): Promise<Started | null> {
    const { generation, header, bytes } = surveyed;
    if (header.tag === 'header' && header.header.generation === generation) {
      return { surveyed, header: header.header, headless: false };
    }
    const later = this.#headersAfter(generation);
    // Headers name the newest segment that was on disk for certain. One that passes over this says that its only batch
    // was uncertain, and is said again there; without a trace of a header that batch never came to the disk.
    const passedOver = later.some(({ previous }) => previous.generation < generation);
    if (passedOver && header.tag !== 'damaged') return null;
    const known = later.find(({ previous }) => previous.generation === generation)?.previous.salt;
    const salt = known ?? surveyed.firstSalt;
    if (salt === null) return null;
    const life = { generation, salt };
    let first = Number.POSITIVE_INFINITY;
    const limits = { life, at: BLOCK_BYTES, sequence: 0, next: null };
    const { durable } = await scanSegment(new Window(surveyed.file, bytes), limits, ({ frame }) => {
      first = Math.min(first, frame.sequence);
    });
    // The header comes with the first batch, in one write. If no later batch is there, that write was torn, and void.
    if (durable < first && !later.some((header) => header.durable >= first)) return null;
    const stand = { ...life, segmentBytes: bytes, firstSequence: first, durable: first - 1, previous: NOTHING };
    return { surveyed, header: stand, headless: true };
  }

  async #replay({ surveyed, header, headless }: Started, next: SegmentHeader | null): Promise<Segment> {
    const { generation, file, bytes } = surveyed;
    const { salt } = header;
    const life = { generation, salt };
    const segment = new Segment(generation, salt, file, bytes);
    // Made in full, and never cut.
    const short = bytes < header.segmentBytes;
    segment.damaged = headless || short;
    if (short) this.#corrupt(generation, bytes, `${bytes} bytes of ${header.segmentBytes} are there`);
    const from = this.#from;
    if (from !== null && generation < from.generation) {
      if (headless) this.#corrupt(generation, 0, 'header unreadable');
      return segment;
    }
    this.#advanceDurable(header.durable);
    const window = new Window(file, bytes);
    const begin =
      from?.generation === generation
        ? { at: from.at, sequence: from.sequence + 1 }
        : { at: BLOCK_BYTES, sequence: header.firstSequence };
    const limits = { life, ...begin, next };
    const faults: string[] = [];
    const result = await scanSegment(window, limits, (found) => {
      try {
        this.#apply(segment, found);
      } catch (error) {
        faults.push(`record at ${found.at} makes no sense: ${String(error)}`);
      }
    });
    this.#lastSequence = Math.max(this.#lastSequence, result.last);
    this.#judge(segment, result, headless, faults, window);
    return segment;
  }

  #judge(segment: Segment, result: ScanResult, headless: boolean, faults: readonly string[], window: Window): void {
    const { generation } = segment;
    if (headless) this.#corrupt(generation, 0, 'header unreadable');
    for (const fault of faults) this.#corrupt(generation, 0, fault);
    for (const gap of result.gaps) this.#corrupt(generation, gap.at, `records from sequence ${gap.sequence} are lost`);
    if (result.torn !== null) this.#report('spool-torn-tail', { segment: this.#name(generation), offset: result.torn });
    segment.damaged ||= faults.length > 0 || result.gaps.length > 0;
    if (window.unreadable && !segment.damaged) this.#corrupt(generation, 0, 'blocks without records cannot be read');
    segment.damaged ||= window.unreadable;
  }

  #corrupt(generation: number, offset: Gap['at'], detail: string): void {
    this.#report('spool-corrupt', { segment: this.#name(generation), offset, detail });
  }

  #name(generation: number): string {
    const surveyed = this.#surveyed.segments.find((segment) => segment.generation === generation);
    return `${this.#surveyed.folder}/${surveyed?.name ?? generation}`;
  }

  #apply({ generation }: Segment, { frame, at, meta }: Found): void {
    this.#advanceDurable(frame.durable);
    const { sequence } = frame;
    if (frame.kind === KIND.marks) return this.#mark(sequence, meta);
    if (frame.kind !== KIND.message) throw new TypeError(`kind ${frame.kind}`);
    const { key: copied, envelope, states, file } = unpackMessage(meta);
    const key = copied === 0 ? sequence : copied;
    let row = this.#byKey.get(key);
    if (row === undefined) {
      row = this.#index.add(key, envelope, states, file);
      this.#byKey.add(row);
    } else if (states !== null) this.#index.restate(row, states);
    const frameBytes = frameBytesOf(frame.metaBytes, frame.contentBytes);
    this.#index.setPlace(row, { generation, at, frameBytes });
    this.#touched(sequence, row);
  }

  #mark(sequence: number, meta: Buffer): void {
    const { key, changes } = unpackMarks(meta);
    const row = this.#byKey.get(key);
    if (row === undefined) return; // final already, or lost with a damaged record
    this.#index.apply(row, changes);
    this.#touched(sequence, row);
  }

  #touched(sequence: number, row: Row): void {
    const final = this.#index.final(row);
    if (final) {
      this.#byKey.delete(row);
      this.#index.setPlace(row, NOWHERE);
    }
    if (sequence > this.#durable) this.#recent.set(sequence, row);
    else if (final) this.#index.end(row);
  }

  /** Records of a batch carry the same `durable`, that of the batch before: what was final until then is past. */
  #advanceDurable(durable: number): void {
    if (durable <= this.#durable) return;
    this.#durable = durable;
    const ended = new Set<Row>();
    for (const [sequence, row] of this.#recent) {
      if (sequence > durable) continue;
      this.#recent.delete(sequence);
      if (this.#index.final(row)) ended.add(row);
    }
    for (const row of this.#recent.values()) ended.delete(row);
    for (const row of ended) this.#index.end(row);
  }
}

/**
 * Looks for the large contents of messages. One without it is lost, and cannot be delivered or bounced: an error to
 * report. Resolves to whether all are there.
 */
export async function checkContent(disk: Disk, folder: string, index: Rows, report: Report): Promise<boolean> {
  let whole = true;
  for (const [row, file] of [...index.files()]) {
    const entry = await disk.stat(`${folder}/${CONTENT}/${file.name}`);
    if (index.final(row) || (entry !== null && entry.bytes >= file.bytes)) continue;
    report('spool-lost', {
      folder,
      sequence: index.key(row),
      domain: index.domain(row, 0),
      recipients: index.recipients(row),
      detail: `content file ${file.name} is missing or short`,
    });
    index.end(row);
    whole = false;
  }
  return whole;
}
