/** Relaxed canonicalisation in TypeScript: the reference for native.ts, and its stand-in where no compiler was. */
import { assert } from '../base/assert.ts';
import type { Relaxer } from './relaxer.ts';
import { HELD, RELAXED, RELAXED_OUT_BYTES_MIN, RELAXED_SLOTS } from './relaxer.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
const SP = 32;

/** What one byte may write beside line ends: a blank, a CR, itself. */
const ROOM = 4;

function relax(bytes: Uint8Array, from: number, to: number, state: Int32Array, out: Uint8Array): number {
  assert(state.length >= RELAXED_SLOTS && out.length >= RELAXED_OUT_BYTES_MIN, 'state and out have room enough');
  assert(Number.isInteger(from) && Number.isInteger(to), 'offsets are whole numbers');
  assert(from >= 0 && from <= to && to <= bytes.length, 'the range lies in the chunk');
  let lines = state[RELAXED.lines]!;
  let held = state[RELAXED.held]!;
  let written = 0;
  let at = from;
  while (at < to) {
    const byte = bytes[at]!;
    if (byte === LF && (held & HELD.cr) !== 0) {
      lines++;
      held = 0;
    } else if (byte === CR && (held & HELD.cr) === 0) held |= HELD.cr;
    else if ((byte === SP || byte === TAB) && (held & HELD.cr) === 0) held |= HELD.blank;
    else {
      // Something that stays: what was held back goes before it.
      for (; lines > 0 && written + 2 + ROOM <= out.length; lines--) {
        out[written++] = CR;
        out[written++] = LF;
      }
      if (lines > 0 || written + ROOM > out.length) break;
      if ((held & HELD.blank) !== 0) out[written++] = SP;
      if ((held & HELD.cr) !== 0) {
        out[written++] = CR; // a bare one; the byte behind it is looked at again
        held = 0;
        continue;
      }
      held = 0;
      out[written++] = byte;
    }
    at++;
  }
  state[RELAXED.lines] = lines;
  state[RELAXED.held] = held;
  state[RELAXED.written] = written;
  if (written > 0) state[RELAXED.begun] = 1;
  return at;
}

export const relaxerTwin: Relaxer = { relax };
