/**
 * Reads lists into shared memory, on the main thread: the lines are counted, then kept; never more than a few
 * milliseconds without a turn of the event loop. A list with a bad line is not read at all: whoever had one before goes
 * on with that.
 *
 *   file ─► pieces ─► lines counted ─► memory for so many ─► pieces ─► lines ─► keys
 */
import { setImmediate as turn } from 'node:timers/promises';
import { monotonicMs } from '../base/clock.ts';
import { listFiles, pieces } from '../config/list_file.ts';
import type { ListText } from '../config/policy/lists.ts';
import { LIST_ENTRIES_MAX } from '../config/policy/lists.ts';
import { KeySet, keySetMemory } from './key_set.ts';
import { addEntry, LINE_CHARS_MAX, parseEntry } from './list_entry.ts';

export type LoadedList = { readonly memory: SharedArrayBuffer } | { readonly faults: readonly string[] };

/** Who has more mends these first. */
const FAULTS_MAX = 20;
const SLICE_MS = 8;
const LINES_A_LOOK = 256;
const LF = 10;

/** Entries of a text each are named `NAME: entry 3`, those of a file `FILE:17`. */
export async function loadList(name: string, { entries, file }: ListText): Promise<LoadedList> {
  const faults = new Faults();
  try {
    const files = file === undefined ? [] : await listFiles(file);
    let linesMax = entries.length;
    for (const each of files) linesMax += await countLines(each);
    if (linesMax > LIST_ENTRIES_MAX) return { faults: [`${name}: more than ${LIST_ENTRIES_MAX} lines`] };
    const memory = keySetMemory(linesMax);
    const set = new KeySet(memory);
    entries.forEach((text, at) => {
      keep(set, text, () => `${name}: entry ${at + 1}`, faults);
    });
    for (const each of files) await readLines(each, set, faults);
    return faults.count === 0 ? { memory } : { faults: faults.lines() };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { faults: [`${name}: ${file}: cannot be read (${code ?? message})`] };
  }
}

class Faults {
  readonly #first: string[] = [];
  count = 0;

  add(line: string): void {
    if (this.count++ < FAULTS_MAX) this.#first.push(line);
  }

  lines(): readonly string[] {
    const rest = this.count - this.#first.length;
    return rest > 0 ? [...this.#first, `${rest} further bad lines`] : this.#first;
  }
}

/** A last line counts without its end, too. */
async function countLines(path: string): Promise<number> {
  let lines = 0;
  let ended = true;
  for await (const piece of pieces(path)) {
    for (let at = piece.indexOf(LF); at !== -1; at = piece.indexOf(LF, at + 1)) lines++;
    ended = piece.at(-1) === LF;
    if (lines > LIST_ENTRIES_MAX) break;
  }
  return ended ? lines : lines + 1;
}

async function readLines(path: string, set: KeySet, faults: Faults): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  let number = 0;
  let turnMs = monotonicMs();
  for await (const piece of pieces(path)) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop()!;
    // A line without end costs no more than this; it is told as too long at the place where it begins.
    if (rest.length > LINE_CHARS_MAX) rest = rest.slice(0, LINE_CHARS_MAX + 1);
    for (const line of lines) {
      number++;
      keep(set, line, () => `${path}:${number}`, faults);
      if (number % LINES_A_LOOK !== 0 || monotonicMs() - turnMs < SLICE_MS) continue;
      await turn();
      turnMs = monotonicMs();
    }
  }
  keep(set, rest + decoder.decode(), () => `${path}:${number + 1}`, faults);
}

/** A file may have grown since its lines were counted. */
function keep(set: KeySet, line: string, where: () => string, faults: Faults): void {
  const entry = parseEntry(line);
  if (entry === null) return;
  if (typeof entry === 'string') faults.add(`${where()}: ${entry}`);
  else if (set.count >= set.keysMax) faults.add(`${where()}: the file has grown while it was read`);
  else addEntry(set, entry);
}
