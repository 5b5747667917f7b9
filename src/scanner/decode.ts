/** From a chunk and its cuts to content: spans of the chunk, with the few bytes that are put between them. */
import { CUT_SLOTS, INSERTS, STATE } from './scanner.ts';

export interface ContentSink {
  /** Takes a copy of chunk[from, to). A promise: send no more until it resolves. */
  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined;
  writeText(text: string): void;
}

/** Applies the cuts of the `scan` that went from `from` to `to`. */
export function applyCuts(
  chunk: Uint8Array,
  from: number,
  to: number,
  state: Int32Array,
  cuts: Int32Array,
  sink: ContentSink,
): Promise<void> | undefined {
  const end = state[STATE.cuts]! * CUT_SLOTS;
  let at = from;
  let wait: Promise<void> | undefined;
  for (let slot = 0; slot < end; slot += CUT_SLOTS) {
    const offset = cuts[slot]!;
    const code = cuts[slot + 1]!;
    if (offset > at) wait = sink.write(chunk, at, offset) ?? wait;
    const insert = code & 0xff;
    if (insert !== 0) sink.writeText(INSERTS[insert]!);
    at = offset + (code >> 8);
  }
  if (to > at) wait = sink.write(chunk, at, to) ?? wait;
  return wait;
}
