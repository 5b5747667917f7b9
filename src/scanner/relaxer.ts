/**
 * Body canonicalisation `relaxed` of DKIM (RFC 6376 §3.4.4) while the body streams: content in, canonical bytes out.
 *
 *   content    Hello \t world \r\n \r\n\r\nbye\r\n\r\n
 *   out        Hello world\r\n\r\n\r\nbye                and, at the end of a body that began, one more CRLF
 *
 * Blanks (SP, HTAB) at the end of a line go, a run of them within a line is one SP, empty lines at the end of the body
 * go. So a line end is held back until something follows it, and blanks until something follows them in their line.
 * `simple` (§3.4.3) changes nothing but the end of the body: body_hasher.ts hashes spans of the content as they are.
 *
 * Content has no CR and no LF but those of CRLF (scanner.ts); a bare one is taken for a byte like any other.
 *
 * Two implementations, held to the same cases: native.ts (C++) and relaxer_twin.ts. Neither allocates, nor keeps a
 * reference to what it was given.
 */

/** Slots of `state`. A new body starts with all zero. */
export const RELAXED = {
  /** Line ends held back, each to be CRLF when a byte follows. */
  lines: 0,
  /** HELD, together: blanks, and a CR behind them, that the last byte left undecided. */
  held: 1,
  /** Out: bytes that this call wrote to `out`. */
  written: 2,
  /** Out: 1 when any byte has been written: such a body ends in CRLF, which the caller adds. */
  begun: 3,
} as const;
export const RELAXED_SLOTS = 4;

export const HELD = { blank: 1, cr: 2 } as const;

/** `out` has room for so many bytes at least; more makes fewer calls. */
export const RELAXED_OUT_BYTES_MIN = 256;

export interface Relaxer {
  /**
   * Reads bytes[from, to), writes canonical bytes to `out` from its start on (`state[RELAXED.written]`), and returns
   * the offset after the last byte read: `to`, or less when `out` was full: call again, until it is `to`. Throws for a
   * range that `bytes` does not have.
   */
  relax(bytes: Uint8Array, from: number, to: number, state: Int32Array, out: Uint8Array): number;
}
