/**
 * Large content on its way into a file of its own, in pieces of SPOOL_LIMITS.chunkBytes, one write at a time.
 *
 *   write* ─► filling piece ─► queue ─► disk            finish: the rest, sync of the file, sync of its folder
 *                                                       abandon: the file is gone
 */

import type { BufferPool } from '../base/buffer_pool.ts';
import { crc32 } from '../scanner/crc32.ts';
import type { Disk, DiskFile } from './disk.ts';
import { codeOf, isShortage, writeFully } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { ContentFile } from './message.ts';
import { SpoolFailure } from './spool.ts';

type Piece = { readonly chunk: Buffer; readonly bytes: number };

export class ContentWriter {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #name: string;
  readonly #pool: BufferPool;
  #file: DiskFile | null = null;
  #filling: Piece | null = null;
  readonly #queue: Piece[] = [];
  #queuedBytes = 0;
  #bytes = 0;
  #crc = 0;
  #pumping: Promise<void> | null = null;
  #behind: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;
  #failure: SpoolFailure | null = null;
  #abandoned = false;

  constructor(disk: Disk, folder: string, name: string, pool: BufferPool) {
    this.#disk = disk;
    this.#folder = folder;
    this.#name = name;
    this.#pool = pool;
  }

  /** Before any `write`: one of the pool's pieces, with the first `bytes` of the content. It is ours from now on. */
  begin(chunk: Buffer, bytes: number): void {
    this.#filling = { chunk, bytes };
    if (bytes === chunk.length) this.#push();
  }

  /** Copies bytes[from, to). A promise means that the disk is behind; it never rejects. */
  write(bytes: Uint8Array, from: number, to: number): Promise<void> | undefined {
    let at = from;
    while (at < to && this.#failure === null && !this.#abandoned) {
      const filling = this.#filling ?? { chunk: this.#pool.take(), bytes: 0 };
      const count = Math.min(to - at, filling.chunk.length - filling.bytes);
      filling.chunk.set(bytes.subarray(at, at + count), filling.bytes);
      at += count;
      this.#filling = { chunk: filling.chunk, bytes: filling.bytes + count };
      if (this.#filling.bytes === filling.chunk.length) this.#push();
    }
    return this.#waitIfBehind();
  }

  /** Everything written so far is durable under its name. Rejects with SpoolFailure, and then the file is gone. */
  async finish(): Promise<ContentFile> {
    this.#push();
    await this.#pumping;
    if (this.#failure === null) await this.#sync();
    if (this.#failure === null) return { name: this.#name, bytes: this.#bytes, crc: this.#crc };
    await this.abandon();
    throw this.#failure;
  }

  /** Never rejects: a file that cannot be removed now is removed at the next start. */
  async abandon(): Promise<void> {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#dropQueue();
    await this.#pumping;
    const file = this.#file;
    this.#file = null;
    if (file !== null) await file.close().catch(() => {});
    await this.#disk.unlink(`${this.#folder}/${this.#name}`).catch(() => {});
  }

  #push(): void {
    const filling = this.#filling;
    this.#filling = null;
    if (filling === null) return;
    this.#queue.push(filling);
    this.#queuedBytes += filling.bytes;
    this.#pumping ??= this.#pump();
  }

  get #inFlightBytesMax(): number {
    return this.#pool.scarce ? 0 : SPOOL_LIMITS.draftInFlightBytesMax;
  }

  #waitIfBehind(): Promise<void> | undefined {
    if (this.#queuedBytes <= this.#inFlightBytesMax) return undefined;
    this.#behind ??= Promise.withResolvers<void>();
    return this.#behind.promise;
  }

  #wake(): void {
    if (this.#queuedBytes > this.#inFlightBytesMax / 2) return;
    this.#behind?.resolve();
    this.#behind = null;
  }

  async #pump(): Promise<void> {
    try {
      this.#file ??= await this.#disk.open(`${this.#folder}/${this.#name}`, 'create');
      for (let piece = this.#queue.shift(); piece !== undefined; piece = this.#queue.shift()) {
        await this.#writePiece(this.#file, piece);
        this.#wake();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#pumping = null;
  }

  async #writePiece(file: DiskFile, { chunk, bytes }: Piece): Promise<void> {
    try {
      await writeFully(file, chunk, 0, bytes, this.#bytes);
      this.#crc = crc32(chunk.subarray(0, bytes), this.#crc);
      this.#bytes += bytes;
      this.#queuedBytes -= bytes;
    } finally {
      this.#pool.give(chunk);
    }
  }

  async #sync(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    try {
      try {
        await file?.datasync();
      } finally {
        await file?.close();
      }
      await this.#disk.syncFolder(this.#folder);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const reason = isShortage(error) ? 'full' : 'broken';
    this.#failure = new SpoolFailure(reason, `writing content failed (${codeOf(error)})`, { cause: error });
    this.#dropQueue();
  }

  #dropQueue(): void {
    for (const { chunk } of this.#queue.splice(0)) this.#pool.give(chunk);
    if (this.#filling !== null) this.#pool.give(this.#filling.chunk);
    this.#filling = null;
    this.#queuedBytes = 0;
    this.#wake();
  }
}
