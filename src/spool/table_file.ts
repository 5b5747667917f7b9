/**
 * A table of rows of one size, kept in a file: what is changed is appended, and when that has become more than the
 * table itself, the file is written anew. Losing the last second is no loss here, and a damaged end is cut off.
 *
 *   header, 32 bytes            record, as many as there are
 *   offset bytes field          offset bytes field                     all numbers are little-endian
 *        0     4 "PTBL"              0     4 number of the row
 *        4     4 version             4     4 crc of the number and the bytes
 *        8     4 bytes of a row      8     n the row; of two with one number the later one holds
 *       12     4 crc of 8..32
 *       16     8 secret of the table's hash
 *       24     8 number of rows
 */
import { crc32 } from '../scanner/crc32.ts';
import type { Disk, DiskFile } from './disk.ts';
import { readFully, writeFully } from './disk.ts';

const MAGIC = 0x4c425450;
const VERSION = 1;
const HEADER_BYTES = 32;
const RECORD_HEADER_BYTES = 8;
const READ_BYTES = 262_144;
/** Of appended rows, beside what the table itself takes. */
const GROWTH_BYTES_MIN = 1 << 20;

export type TableShape = { readonly rowBytes: number; readonly rows: number };
export type FoundTable = { readonly secret: Uint8Array };

export type TableRow = { readonly row: number; readonly bytes: Uint8Array };

export class TableFile {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #shape: TableShape;
  readonly #secret: Uint8Array;
  #file: DiskFile | null = null;
  #end = 0;
  #wholeBytes = 0;

  constructor(disk: Disk, path: string, shape: TableShape, secret: Uint8Array) {
    this.#disk = disk;
    this.#path = path;
    this.#shape = shape;
    this.#secret = secret;
  }

  /** What has been appended outweighs the table: time for `rewrite`. So it is before the first one. */
  get worn(): boolean {
    return this.#file === null || this.#end > 2 * this.#wholeBytes + GROWTH_BYTES_MIN;
  }

  /** Writes all rows into a new file, which takes the old one's place. Rejects with the disk's error; then `worn`. */
  async rewrite(rows: Iterable<TableRow>): Promise<void> {
    await this.close();
    const unfinished = `${this.#path}.new`;
    await this.#disk.unlink(unfinished).catch(() => {});
    const file = await this.#disk.open(unfinished, 'create');
    try {
      await writeFully(file, this.#header(), 0, HEADER_BYTES, 0);
      this.#end = HEADER_BYTES;
      await this.#write(file, rows);
      await file.datasync();
      await this.#disk.rename(unfinished, this.#path);
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    this.#wholeBytes = this.#end;
    this.#file = file;
  }

  /** Rejects with the disk's error; then the table is `worn`. */
  async append(rows: Iterable<TableRow>): Promise<void> {
    try {
      await this.#write(this.#file!, rows);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close().catch(() => {});
  }

  async #write(file: DiskFile, rows: Iterable<TableRow>): Promise<void> {
    const bytes = Buffer.alloc(READ_BYTES);
    const size = RECORD_HEADER_BYTES + this.#shape.rowBytes;
    let used = 0;
    const flush = async (): Promise<void> => {
      await writeFully(file, bytes, 0, used, this.#end);
      this.#end += used;
      used = 0;
    };
    for (const { row, bytes: content } of rows) {
      if (used + size > bytes.length) await flush();
      bytes.writeUInt32LE(row, used);
      bytes.set(content, used + RECORD_HEADER_BYTES);
      bytes.writeUInt32LE(crcOf(bytes.subarray(used, used + size)), used + 4);
      used += size;
    }
    if (used > 0) await flush();
  }

  #header(): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt32LE(VERSION, 4);
    header.writeUInt32LE(this.#shape.rowBytes, 8);
    header.set(this.#secret, 16);
    header.writeBigUInt64LE(BigInt(this.#shape.rows), 24);
    header.writeUInt32LE(headerCrc(header), 12);
    return header;
  }
}

const crcOf = (record: Buffer): number => crc32(record.subarray(RECORD_HEADER_BYTES), crc32(record.subarray(0, 4)));
const headerCrc = (header: Buffer): number => crc32(header.subarray(16), crc32(header.subarray(8, 12)));

/**
 * Reads what is there: first `found` with the header, then `put` for each row. False where there is no such table: no
 * file, another shape, or a header that is damaged. What is damaged further on ends the reading, and is no fault.
 */
export async function readTable(
  disk: Disk,
  path: string,
  shape: TableShape,
  found: (table: FoundTable) => (row: TableRow) => void,
): Promise<boolean> {
  if ((await disk.stat(path))?.tag !== 'file') return false;
  const file = await disk.open(path, 'read');
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    if ((await readFully(file, header, 0, HEADER_BYTES, 0)) < HEADER_BYTES || !isHeader(header, shape)) return false;
    await readRows(file, shape, found({ secret: new Uint8Array(header.subarray(16, 24)) }));
    return true;
  } finally {
    await file.close();
  }
}

function isHeader(header: Buffer, { rowBytes, rows }: TableShape): boolean {
  if (header.readUInt32LE(0) !== MAGIC || header.readUInt32LE(4) !== VERSION) return false;
  if (header.readUInt32LE(12) !== headerCrc(header)) return false;
  return header.readUInt32LE(8) === rowBytes && header.readBigUInt64LE(24) === BigInt(rows);
}

async function readRows(file: DiskFile, { rowBytes, rows }: TableShape, put: (row: TableRow) => void): Promise<void> {
  const size = RECORD_HEADER_BYTES + rowBytes;
  const bytes = Buffer.alloc(Math.floor(READ_BYTES / size) * size);
  for (let at = HEADER_BYTES; ; at += bytes.length) {
    const read = await readFully(file, bytes, 0, bytes.length, at);
    for (let from = 0; from + size <= read; from += size) {
      const record = bytes.subarray(from, from + size);
      const row = record.readUInt32LE(0);
      if (row >= rows || record.readUInt32LE(4) !== crcOf(record)) return;
      put({ row, bytes: record.subarray(RECORD_HEADER_BYTES) });
    }
    if (read < bytes.length) return;
  }
}
