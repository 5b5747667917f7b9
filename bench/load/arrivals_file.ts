/**
 * What a sink has taken, in a file: a line for each message, written before its 250 leaves. The kernel has it then, so
 * it outlives a SIGKILL of the sink, and nothing that a client was told to have delivered is missing from it.
 *
 *   [12345678901, 12648430, 42, 4096, true, ["user0@example.org"]]     µs, run, number, bytes, intact, recipients
 */
import { openSync, writeSync } from 'node:fs';
import type { Delivered } from './sink_behaviour.ts';
import { nowUs } from './stamp.ts';

export type ArrivalLine = {
  readonly atUs: number;
  /** -1: without a stamp. */
  readonly run: number;
  readonly number: number;
  readonly bytes: number;
  readonly intact: boolean;
  readonly to: readonly string[];
};

export class ArrivalsFile {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
    writeSync(this.#file, '\n'); // the life before may have ended in the middle of a line
  }

  add({ stamp, bytes, intact, to }: Delivered): void {
    const line = [nowUs(), stamp?.run ?? -1, stamp?.number ?? -1, bytes, intact, to];
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** Undefined for a line that a kill has cut: its 250 never left. */
export function parseArrival(line: string): ArrivalLine | undefined {
  if (!line.endsWith(']')) return undefined;
  const [atUs, run, number, bytes, intact, to] = JSON.parse(line) as [
    number,
    number,
    number,
    number,
    boolean,
    string[],
  ];
  return { atUs, run, number, bytes, intact, to };
}
