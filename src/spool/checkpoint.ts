/**
 * A copy of the index on disk, so that recovery reads little more than it, and not the whole journal. It is worth
 * nothing by itself: where it is missing, old, torn or garbled, the journal says the same, only slower.
 *
 *   checkpoint.new ─written, synced─► rename ─► checkpoint                 (written whenever the journal has grown by
 *                                                                           several times its size, and at the end)
 *   header, 64 bytes                               piece, as many as it takes, two by two
 *   offset bytes field                             offset bytes field
 *        0     4 "PCKP"                                 0     4 bytes of the payload
 *        4     4 version, 4                             4     4 crc of the payload
 *        8     4 crc of 12..64                          8     n payload: texts, as MessagePack [destinations, sites,
 *       12     4 generation ┐ records from here               details, [[message, name, bytes, crc]…]]; then the
 *       16     4 salt       │ on are later than               messages that they are for, whole ones; after
 *       20     4 offset     ┘ the checkpoint                  either, up to a multiple of 8, zeros
 *       24     8 sequence of the last record in it
 *       32     4 messages
 *       36    28 zero
 *
 *   message, 48 bytes: key (8), generation, offset, frame bytes, content bytes, accepted (seconds since 1970), hash of
 *   the id, hash of the sender, recipients, 8 zero; then each recipient, 32 bytes: due (a double: milliseconds since
 *   1970, infinite while held, -1 delivered, -2 failed), word (rows.ts), number of its destination, hash of its
 *   address, number of its site, number of its detail, 4 zero. All numbers are little-endian.
 *
 * It is written while the index goes on changing, a piece in one turn of the event loop: nothing is copied for it. So a
 * message is in it as it was at the checkpoint's sequence or somewhat later, or not at all where it has ended since.
 * The records from there on are applied to it in their order, and the last one about a recipient has the last word.
 */

import { Packr } from 'msgpackr';
import { assert } from '../base/assert.ts';
import { crc32 } from '../scanner/crc32.ts';
import { RowColumns, type RowsView, SlotColumns, type Texts } from './columns.ts';
import type { Disk, DiskFile } from './disk.ts';
import { codeOf, readFully, writeFully } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { ContentFile } from './message.ts';
import { readU64, writeU64 } from './record.ts';
import { Rows } from './rows.ts';
import type { Row } from './spool.ts';

export const CHECKPOINT = 'checkpoint';
export const CHECKPOINT_UNFINISHED = 'checkpoint.new';

/** Where the journal stood: records from there on are later. */
export type Position = {
  readonly generation: number;
  readonly salt: number;
  readonly at: number;
  /** Of the last record before it. */
  readonly sequence: number;
};

export type Checkpoint = { readonly position: Position; readonly index: Rows };

const MAGIC = 0x504b4350;
const VERSION = 4;
const HEADER_BYTES = 64;
const PIECE_HEADER_BYTES = 8;
const MESSAGE_WORDS = 12;
const RECIPIENT_WORDS = 8;
const TWO_32 = 2 ** 32;

const packr = new Packr({ useRecords: false, moreTypes: false });
type PieceTexts = [destinations: string[], sites: string[], details: string[], files: PieceFile[]];
/** By the message's place in its piece. */
type PieceFile = [message: number, name: string, bytes: number, crc: number];

/**
 * Resolves to its size in bytes when it has its name, durable with the next sync of the folder. Rejects with the disk's
 * error, and then an earlier one still stands.
 */
export async function writeCheckpoint(disk: Disk, folder: string, view: RowsView, position: Position): Promise<number> {
  const unfinished = `${folder}/${CHECKPOINT_UNFINISHED}`;
  await disk.unlink(unfinished).catch(() => {});
  const file = await disk.open(unfinished, 'create');
  let bytes: number;
  try {
    bytes = await writeAll(file, view, position);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.rename(unfinished, `${folder}/${CHECKPOINT}`);
  return bytes;
}

async function writeAll(file: DiskFile, view: RowsView, position: Position): Promise<number> {
  const buffer = Buffer.alloc(SPOOL_LIMITS.checkpointPieceBytes);
  let messages = 0;
  let at = HEADER_BYTES;
  for (let row = 0; row < view.rowsUsed; ) {
    const piece = new Piece(view, buffer);
    row = piece.fill(row, position.sequence);
    messages += piece.messages;
    at = await writePiece(file, piece.texts, at);
    at = await writePiece(file, piece.bytes, at);
  }
  const header = encodeHeader(position, messages);
  await writeFully(file, header, 0, header.length, 0);
  return at;
}

const align = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** `bytes` begins with room for the piece's header. Resolves to where the next one goes. */
async function writePiece(file: DiskFile, bytes: Buffer, at: number): Promise<number> {
  const payload = bytes.subarray(PIECE_HEADER_BYTES);
  bytes.writeUInt32LE(payload.length, 0);
  bytes.writeUInt32LE(crc32(payload), 4);
  await writeFully(file, bytes, 0, bytes.length, at);
  return at + align(bytes.length);
}

/** Texts under numbers of a piece's own: those of the index are other texts' before the next piece is written. */
class Renumbered {
  readonly texts: string[] = [''];
  readonly #source: Texts;
  readonly #numbers = new Map([[0, 0]]);

  constructor(source: Texts) {
    this.#source = source;
  }

  of(number: number): number {
    const known = this.#numbers.get(number);
    if (known !== undefined) return known;
    this.#numbers.set(number, this.texts.length);
    return this.texts.push(this.#source.at(number)!) - 1;
  }
}

/** Messages as words, until it is full, and their texts. */
class Piece {
  messages = 0;
  readonly #view: RowsView;
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;
  #used = 0;
  readonly #destinations: Renumbered;
  readonly #sites: Renumbered;
  readonly #details: Renumbered;
  readonly #files: PieceFile[] = [];

  constructor(view: RowsView, bytes: Buffer) {
    this.#view = view;
    this.#bytes = bytes.fill(0);
    this.#words = new Uint32Array(bytes.buffer, PIECE_HEADER_BYTES);
    this.#doubles = new Float64Array(bytes.buffer, PIECE_HEADER_BYTES);
    this.#destinations = new Renumbered(view.destinations);
    this.#sites = new Renumbered(view.sites);
    this.#details = new Renumbered(view.details);
  }

  /** Both have room for the piece's header in front. */
  get texts(): Buffer {
    const texts: PieceTexts = [this.#destinations.texts, this.#sites.texts, this.#details.texts, this.#files];
    return Buffer.concat([Buffer.alloc(PIECE_HEADER_BYTES), packr.pack(texts)]);
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, PIECE_HEADER_BYTES + this.#used * 4);
  }

  /** Live messages from a row on. Gives the row that the next piece begins with. */
  fill(from: Row, sequenceMax: number): Row {
    const { rows, rowsUsed } = this.#view;
    let row = from;
    for (; row < rowsUsed; row++) {
      // What came later is in a later record; where the disk has lost that, its key may be another's by now.
      if (rows.waiting[row]! === 0 || rows.key[row]! > sequenceMax) continue;
      if (this.#used + MESSAGE_WORDS + rows.count[row]! * RECIPIENT_WORDS > this.#words.length) break;
      this.#put(row);
    }
    assert(row > from, 'a message fits into a piece');
    return row;
  }

  #put(row: Row): void {
    const { rows, slots, files } = this.#view;
    const words = this.#words;
    let at = this.#used;
    const key = rows.key[row]!;
    const count = rows.count[row]!;
    words[at] = key % TWO_32;
    words[at + 1] = Math.floor(key / TWO_32);
    words[at + 2] = rows.generation[row]!;
    words[at + 3] = rows.at[row]!;
    words[at + 4] = rows.frameBytes[row]!;
    words[at + 5] = rows.contentBytes[row]!;
    words[at + 6] = rows.accepted[row]!;
    words[at + 7] = rows.idHash[row]!;
    words[at + 8] = rows.senderHash[row]!;
    words[at + 9] = count;
    at += MESSAGE_WORDS;
    const first = rows.slot[row]!;
    for (let slot = first; slot < first + count; slot++, at += RECIPIENT_WORDS) {
      this.#doubles[at / 2] = slots.due[slot]!;
      words[at + 2] = slots.word[slot]!;
      words[at + 3] = this.#destinations.of(slots.destination[slot]!);
      words[at + 4] = slots.addressHash[slot]!;
      words[at + 5] = this.#sites.of(slots.site[slot]!);
      words[at + 6] = this.#details.of(slots.detail[slot]!);
    }
    this.#used = at;
    const file = files.get(row);
    if (file !== undefined) this.#files.push([this.messages, file.name, file.bytes, file.crc]);
    this.messages++;
  }
}

function encodeHeader({ generation, salt, at, sequence }: Position, messages: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  header.writeUInt32LE(generation, 12);
  header.writeUInt32LE(salt, 16);
  header.writeUInt32LE(at, 20);
  writeU64(header, sequence, 24);
  header.writeUInt32LE(messages, 32);
  header.writeUInt32LE(crc32(header.subarray(12)), 8);
  return header;
}

/** Null where there is none that is whole; `ignored` is told why one that is there is not used. */
export async function readCheckpoint(
  disk: Disk,
  folder: string,
  ignored: (why: string) => void,
): Promise<Checkpoint | null> {
  const path = `${folder}/${CHECKPOINT}`;
  try {
    const entry = await disk.stat(path);
    if (entry === null) return null;
    if (entry.tag !== 'file') throw new TypeError('not a file');
    const file = await disk.open(path, 'read');
    try {
      return await readAll(file, entry.bytes);
    } finally {
      await file.close();
    }
  } catch (error) {
    ignored(codeOf(error) || String(error));
    return null;
  }
}

/** Throws where anything is not as it was written. */
async function readAll(file: DiskFile, fileBytes: number): Promise<Checkpoint> {
  const header = Buffer.alloc(HEADER_BYTES);
  await readFully(file, header, 0, HEADER_BYTES, 0);
  if (header.readUInt32LE(0) !== MAGIC) throw new TypeError('not a checkpoint');
  const version = header.readUInt32LE(4);
  if (version !== VERSION) throw new TypeError(`format ${version}`);
  if (crc32(header.subarray(12)) !== header.readUInt32LE(8)) throw new TypeError('checksum of the header');
  const [generation, salt, offset] = [12, 16, 20].map((at) => header.readUInt32LE(at)) as [number, number, number];
  const position = { generation, salt, at: offset, sequence: readU64(header, 24) };
  const messages = header.readUInt32LE(32);
  let at = HEADER_BYTES;
  const next = async (): Promise<Buffer> => {
    const payload = await readPiece(file, at, fileBytes);
    at += align(PIECE_HEADER_BYTES + payload.length);
    return payload;
  };
  const loader = new Loader();
  while (loader.messages < messages) loader.load(packr.unpack(await next()) as PieceTexts, await next());
  if (loader.messages !== messages) throw new TypeError('too many messages');
  return { position, index: loader.index };
}

async function readPiece(file: DiskFile, at: number, fileBytes: number): Promise<Buffer> {
  const head = Buffer.alloc(PIECE_HEADER_BYTES);
  const bytes = (await readFully(file, head, 0, head.length, at)) === head.length ? head.readUInt32LE(0) : 0;
  if (bytes === 0 || at + PIECE_HEADER_BYTES + bytes > fileBytes) throw new TypeError('cut short');
  const payload = Buffer.allocUnsafeSlow(bytes); // of its own, and so on a boundary of 8 bytes
  await readFully(file, payload, 0, bytes, at + PIECE_HEADER_BYTES);
  if (crc32(payload) !== head.readUInt32LE(4)) throw new TypeError('checksum');
  return payload;
}

/** Fills an index, a message at a time, by way of a view that has just this message. */
class Loader {
  readonly index = new Rows();
  messages = 0;
  readonly #rows = new RowColumns();
  readonly #slots = new SlotColumns();

  load([destinations, sites, details, itsFiles]: PieceTexts, payload: Buffer): void {
    if (payload.length % 8 !== 0) throw new TypeError('not messages');
    const words = new Uint32Array(payload.buffer, payload.byteOffset, payload.length / 4);
    const doubles = new Float64Array(payload.buffer, payload.byteOffset, payload.length / 8);
    const [rows, slots, files] = [this.#rows, this.#slots, new Map<Row, ContentFile>()];
    const view: RowsView = { rowsUsed: 1, rows, slots, files, destinations, sites, details };
    const fileOf = new Map(itsFiles.map(([message, name, bytes, crc]) => [message, { name, bytes, crc }]));
    let message = 0;
    for (let at = 0; at < words.length; ) {
      rows.key[0] = words[at]! + words[at + 1]! * TWO_32;
      rows.generation[0] = words[at + 2]!;
      rows.at[0] = words[at + 3]!;
      rows.frameBytes[0] = words[at + 4]!;
      rows.contentBytes[0] = words[at + 5]!;
      rows.accepted[0] = words[at + 6]!;
      rows.idHash[0] = words[at + 7]!;
      rows.senderHash[0] = words[at + 8]!;
      rows.count[0] = words[at + 9]!;
      at += MESSAGE_WORDS;
      const count = rows.count[0]!;
      while (slots.room < count) slots.grow();
      rows.waiting[0] = 0;
      for (let slot = 0; slot < count; slot++, at += RECIPIENT_WORDS) {
        slots.due[slot] = doubles[at / 2]!;
        slots.word[slot] = words[at + 2]!;
        slots.destination[slot] = words[at + 3]!;
        slots.addressHash[slot] = words[at + 4]!;
        slots.site[slot] = words[at + 5]!;
        slots.detail[slot] = words[at + 6]!;
        if (slots.due[slot]! >= 0) rows.waiting[0]!++;
      }
      const file = fileOf.get(message++);
      if (file === undefined) files.delete(0);
      else files.set(0, file);
      this.index.addFrom(view, 0);
      this.messages++;
    }
  }
}
