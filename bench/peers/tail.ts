/** A file that another process writes to, read as it grows. What was there before `from` is left alone. */
import { closeSync, openSync, readSync } from 'node:fs';

const PIECE_BYTES = 1_048_576;

export class Tail {
  readonly #path: string;
  #at: number;

  constructor(path: string, from = 0) {
    this.#path = path;
    this.#at = from;
  }

  /** What has come since; the last line may not be whole yet. ASCII, or the pieces may cut a character. */
  read(): string {
    const file = openSync(this.#path, 'r');
    try {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      let text = '';
      for (let bytes = -1; bytes !== 0; this.#at += bytes) {
        bytes = readSync(file, piece, 0, piece.length, this.#at);
        text += piece.toString('latin1', 0, bytes);
      }
      return text;
    } finally {
      closeSync(file);
    }
  }
}
