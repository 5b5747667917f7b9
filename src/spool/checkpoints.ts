/** When a checkpoint is written: recovery reads a bounded part of the journal, for a bounded share of the writes. */
import type { Position } from './checkpoint.ts';
import { CHECKPOINT_UNFINISHED, writeCheckpoint } from './checkpoint.ts';
import type { Disk } from './disk.ts';
import { codeOf, isShortage } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { Rows } from './rows.ts';

export interface CheckpointHost {
  readonly index: Rows;
  /** Of what is durable now; null before the first record. */
  readonly position: Position | null;
  /** Written by the journal since it was opened. */
  readonly bytesAppended: number;
  /** There is no space for one, or nothing may be written any more. */
  readonly unfit: boolean;
  /** It cannot be synced. */
  folderBroken(error: unknown): void;
}

export class Checkpoints {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #host: CheckpointHost;
  readonly #everyBytes: number;
  readonly #failed: (why: string) => void;
  #appended = 0;
  #bytes = 0;
  #writing: Promise<void> | null = null;

  constructor(disk: Disk, folder: string, everyBytes: number, host: CheckpointHost, failed: (why: string) => void) {
    this.#disk = disk;
    this.#folder = folder;
    this.#everyBytes = everyBytes;
    this.#host = host;
    this.#failed = failed;
  }

  /** Called after every batch. */
  consider(): void {
    const grown = this.#host.bytesAppended - this.#appended;
    const factor = SPOOL_LIMITS.checkpointEveryFactor;
    if (this.#writing !== null || grown < Math.max(this.#everyBytes, factor * this.#bytes)) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = null;
    });
  }

  /** The last one, for a quick start: there is none where nothing was written since. */
  async close(): Promise<void> {
    await this.#writing;
    if (this.#host.bytesAppended > this.#appended) await this.#write();
  }

  async #write(): Promise<void> {
    const { index, position, bytesAppended, unfit } = this.#host;
    this.#appended = bytesAppended; // whatever becomes of it: it is not tried again at once
    if (position === null || unfit) return;
    try {
      this.#bytes = await writeCheckpoint(this.#disk, this.#folder, index.view(), position);
    } catch (error) {
      await this.#disk.unlink(`${this.#folder}/${CHECKPOINT_UNFINISHED}`).catch(() => {});
      this.#failed(codeOf(error) || String(error));
      return;
    }
    try {
      await this.#disk.syncFolder(this.#folder);
    } catch (error) {
      // Names of segments are in the same folder: what this sync has dropped, theirs would falsely call durable.
      if (isShortage(error)) this.#failed(codeOf(error));
      else this.#host.folderBroken(error);
    }
  }
}
