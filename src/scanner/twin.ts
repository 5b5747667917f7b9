/**
 * The scanner in TypeScript: the reference for native.ts, and its stand-in where no compiler was.
 *
 *   phase   the bytes that led there            next byte
 *   start   CRLF, or nothing yet                '.' ► dot (DATA)   CR ► cr    LF ► bare, line    else ► line
 *   line    any other byte, or a bare CR, LF    CR ► cr            LF ► bare, line               else ► line
 *   cr      CR, held back                       LF ► start                    else ► bare, as in line
 *   dot     '.' at start, held back             CR ► dotCr                    else ► stuffing, dropped; as in line
 *   dotCr   '.' CR at start, held back          LF ► end of data              else ► dot dropped, CR bare, as in line
 *
 * What is held back when the chunk ends is cut off there, and put back by a cut at the start of the next call.
 */
import { assert } from '../base/assert.ts';
import type { Scanner } from './scanner.ts';
import { CUT_SLOTS, CUTS_MAX, FLAGS, INSERT, MODE_DATA, STATE, STATE_SLOTS } from './scanner.ts';

const START = 0;
const LINE = 1;
const CR_HELD = 2;
const DOT_HELD = 3;
const DOT_CR_HELD = 4;

const TAB = 9;
const LF = 10;
const CR = 13;
const SP = 32;
const DOT = 46;
const COLON = 58;

/** `received`: STATE.match counts the letters seen, then waits for the colon behind blanks. */
const RECEIVED = [114, 101, 99, 101, 105, 118, 101, 100];
const NO_MATCH = -1;

// Large: the table of phases above, and in its order.
function scan(bytes: Uint8Array, from: number, to: number, state: Int32Array, cuts: Int32Array): number {
  assert(state.length >= STATE_SLOTS && cuts.length >= CUTS_MAX * CUT_SLOTS, 'state and cuts have room enough');
  assert(Number.isInteger(from) && Number.isInteger(to), 'offsets are whole numbers');
  assert(from >= 0 && from <= to && to <= bytes.length, 'the range lies in the chunk');
  const data = state[STATE.mode] === MODE_DATA;
  let phase = state[STATE.phase]!;
  let at = from;
  state[STATE.cuts] = 0;
  // One cut a step at most, and one for what is held back at the end.
  while (at < to && state[STATE.cuts]! < CUTS_MAX - 1) {
    const byte = bytes[at]!;
    switch (phase) {
      case CR_HELD:
        if (byte === LF) {
          if (at === from) cut(state, cuts, at, 0, INSERT.cr);
          phase = START;
          at++;
        } else {
          state[STATE.flags]! |= FLAGS.bareCr;
          cut(state, cuts, at, 0, at === from ? INSERT.crlf : INSERT.lf);
          phase = LINE;
        }
        endLine(state);
        break;
      case DOT_HELD:
        if (byte === CR) {
          phase = DOT_CR_HELD;
          at++;
        } else {
          if (at > from) cut(state, cuts, at - 1, 1, INSERT.nothing);
          phase = LINE;
        }
        break;
      case DOT_CR_HELD: {
        const here = Math.min(2, at - from);
        if (byte === LF) {
          cut(state, cuts, at - here, here + 1, INSERT.nothing);
          state[STATE.flags]! |= FLAGS.endOfData;
          state[STATE.phase] = START;
          return at + 1;
        }
        state[STATE.flags]! |= FLAGS.bareCr;
        cut(state, cuts, at - here, here, INSERT.crlf);
        endLine(state);
        phase = LINE;
        break;
      }
      default:
        if (byte === CR) {
          phase = CR_HELD;
          at++;
        } else if (byte === LF) {
          state[STATE.flags]! |= FLAGS.bareLf;
          cut(state, cuts, at, 0, INSERT.cr);
          endLine(state);
          phase = LINE;
          at++;
        } else if (byte === DOT && phase === START && data) {
          phase = DOT_HELD;
          at++;
        } else {
          at = text(bytes, at, to, state);
          phase = LINE;
        }
    }
  }
  const held = phase === DOT_CR_HELD ? 2 : phase === CR_HELD || phase === DOT_HELD ? 1 : 0;
  const here = Math.min(held, at - from); // the rest of it was cut off before
  if (here > 0) cut(state, cuts, at - here, here, INSERT.nothing);
  state[STATE.phase] = phase;
  return at;
}

function cut(state: Int32Array, cuts: Int32Array, offset: number, drop: number, insert: number): void {
  const slot = state[STATE.cuts]!++ * CUT_SLOTS;
  cuts[slot] = offset;
  cuts[slot + 1] = (drop << 8) | insert;
}

/** Reads content up to the next CR or LF: the hot loop. Returns where it stopped, after at least one byte. */
function text(bytes: Uint8Array, from: number, to: number, state: Int32Array): number {
  let seen = 0;
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at]!;
    seen |= byte;
    if (byte > CR) continue;
    if (byte === CR || byte === LF) break;
    if (byte === 0) state[STATE.flags]! |= FLAGS.nul;
  }
  if (seen > 127) state[STATE.flags]! |= FLAGS.eightBit;
  if (state[STATE.lineBytes] === 0 && bytes[from] === DOT) state[STATE.dottedLines]!++;
  if (state[STATE.headerBytes] === 0) readName(bytes, from, at, state);
  state[STATE.lineBytes]! += at - from;
  state[STATE.contentBytes]! += at - from;
  return at;
}

/** In the header section: counts fields, and those named Received. */
function readName(bytes: Uint8Array, from: number, to: number, state: Int32Array): void {
  let match = state[STATE.match]!;
  if (state[STATE.lineBytes] === 0) {
    const folded = bytes[from] === SP || bytes[from] === TAB; // RFC 5322 §2.2.3
    if (!folded) state[STATE.headerFields]!++;
    match = folded ? NO_MATCH : 0;
  }
  for (let at = from; at < to && match !== NO_MATCH; at++) {
    const byte = bytes[at]!;
    if (match < RECEIVED.length) match = (byte | 32) === RECEIVED[match] ? match + 1 : NO_MATCH;
    else if (byte !== SP && byte !== TAB) {
      if (byte === COLON) state[STATE.receivedFields]!++;
      match = NO_MATCH;
    }
  }
  state[STATE.match] = match;
}

/** CRLF in the content, whatever it was on the wire. */
function endLine(state: Int32Array): void {
  const line = state[STATE.lineBytes]!;
  state[STATE.contentBytes]! += 2;
  if (line > state[STATE.lineBytesMax]!) state[STATE.lineBytesMax] = line;
  if (line === 0 && state[STATE.headerBytes] === 0) state[STATE.headerBytes] = state[STATE.contentBytes]!;
  state[STATE.lineBytes] = 0;
}

function finish(state: Int32Array): number {
  if (state[STATE.phase] !== CR_HELD) return INSERT.nothing;
  state[STATE.flags]! |= FLAGS.bareCr;
  state[STATE.phase] = LINE;
  endLine(state);
  return INSERT.crlf;
}

export const twin: Scanner = { name: 'twin', scan, finish };
