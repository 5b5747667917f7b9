/**
 * What a sink has taken, kept for whoever wants to look at it: each message as a file, as it came off the wire with its
 * dots undone, and a line of JSON for each with the SHA-256 of the same bytes. Both are written before the 250 leaves.
 *
 *   00000001.eml   {"sha256":"…","bytes":4096,"from":"a@from.example","to":["b@to.example"],"run":7,"number":0,
 *                  "intact":true}
 */
import { createHash } from 'node:crypto';
import { mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Delivered } from './sink_behaviour.ts';

export class KeptMail {
  readonly #folder: string | undefined;
  readonly #checksums: number | undefined;
  #count = 0;

  /** Throws where the folder has mail already: it would be overwritten, or taken for this run's. */
  constructor(folder: string | undefined, checksumsFile: string | undefined) {
    this.#folder = folder;
    this.#checksums = checksumsFile === undefined ? undefined : openSync(checksumsFile, 'a');
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    if (readdirSync(folder).some((name) => name.endsWith('.eml'))) throw new Error(`${folder} has mail already`);
  }

  add({ content, from, to, stamp, intact }: Delivered): void {
    this.#count++;
    if (this.#folder !== undefined)
      writeFileSync(join(this.#folder, `${`${this.#count}`.padStart(8, '0')}.eml`), content, { flag: 'wx' });
    if (this.#checksums === undefined) return;
    const sha256 = createHash('sha256').update(content).digest('hex');
    const { run, number } = stamp ?? { run: null, number: null };
    writeSync(this.#checksums, `${JSON.stringify({ sha256, bytes: content.length, from, to, run, number, intact })}\n`);
  }
}
