/**
 * Keeps the greylist over restarts, on the main thread: read at the start, and once a second what has changed is
 * appended to its file. A disk that fails costs the memory of a restart, nothing else; it is tried again in a while.
 */
import { randomSecret } from '../base/random.ts';
import { LIMITS } from '../config/limits.ts';
import type { Disk } from '../spool/disk.ts';
import { codeOf } from '../spool/disk.ts';
import type { TableRow } from '../spool/table_file.ts';
import { readTable, TableFile } from '../spool/table_file.ts';
import { greylistMemory, greylistTable } from './greylist.ts';
import { BUCKET_BYTES, type PackedTable } from './packed_table.ts';

export type KeptGreylist = {
  /** For the shards. */
  readonly memory: SharedArrayBuffer;
  /** Writes what has changed; never rejects. Called by itself once in `greylistWriteMs`. */
  write(): Promise<void>;
  /** The last write, and the file is closed. */
  close(): Promise<void>;
};

/** `trouble` hears what fails, in one line. Never rejects. */
export async function keepGreylist(
  disk: Disk,
  path: string,
  entriesMax: number,
  trouble: (line: string) => void,
): Promise<KeptGreylist> {
  const memory = await readGreylist(disk, path, entriesMax, trouble);
  const table = greylistTable(memory);
  const file = new TableFile(disk, path, shapeOf(table), new Uint8Array(memory, 8, 8).slice());
  return new Keeper(memory, table, file, trouble);
}

const shapeOf = ({ buckets }: PackedTable) => ({ rowBytes: BUCKET_BYTES, rows: buckets });

/** A copy of what is kept; nothing in the folder changes. `trouble` and rejections as above. */
export async function readGreylist(
  disk: Disk,
  path: string,
  entriesMax: number,
  trouble: (line: string) => void,
): Promise<SharedArrayBuffer> {
  let memory = greylistMemory(entriesMax, randomSecret(8));
  try {
    await readTable(disk, path, shapeOf(greylistTable(memory)), ({ secret }) => {
      memory = greylistMemory(entriesMax, new Uint8Array(secret));
      const table = greylistTable(memory);
      return ({ row, bytes }) => table.putBucket(row, bytes);
    });
  } catch (error) {
    trouble(`the greylist cannot be read, and starts anew (${codeOf(error)})`);
  }
  return memory;
}

class Keeper implements KeptGreylist {
  readonly memory: SharedArrayBuffer;
  readonly #table: PackedTable;
  readonly #file: TableFile;
  readonly #trouble: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();
  #pause = 0;

  constructor(memory: SharedArrayBuffer, table: PackedTable, file: TableFile, trouble: (line: string) => void) {
    this.memory = memory;
    this.#table = table;
    this.#file = file;
    this.#trouble = trouble;
    this.#timer = setInterval(() => this.#tick(), LIMITS.greylistWriteMs);
    this.#timer.unref();
  }

  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.write();
    await this.#file.close();
  }

  #tick(): void {
    if (this.#pause > 0) this.#pause--;
    else this.write();
  }

  /** One by one, so that no change is overtaken by an older copy of its bucket. */
  async #write(): Promise<void> {
    const rows = [...this.#table.takeDirty()].map((row) => ({ row, bytes: this.#table.bucket(row) }));
    if (rows.length === 0) return;
    try {
      if (this.#file.worn) await this.#file.rewrite(this.#all());
      else await this.#file.append(rows);
    } catch (error) {
      // The next one writes all anew.
      this.#pause = LIMITS.greylistRetryTicks;
      this.#trouble(`the greylist cannot be written (${codeOf(error)})`);
    }
  }

  *#all(): Generator<TableRow> {
    for (let row = 0; row < this.#table.buckets; row++) {
      const bytes = this.#table.bucket(row);
      if (bytes.some((byte) => byte !== 0)) yield { row, bytes };
    }
  }
}
