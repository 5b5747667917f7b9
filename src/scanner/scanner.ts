/**
 * The scanner: one pass over the bytes of a message as they arrive (RFC 5321 §4.5.2), one call a chunk.
 *
 *   chunk ──scan──► how far it got, `state` (what is known of the whole message so far),
 *                   and `cuts`: where the content differs from the bytes on the wire
 *
 * Content is the chunk with every cut applied, in order: at byte `offset` of the chunk, `drop` bytes are left out and
 * INSERTS[insert] is put in their place. A chunk without cuts is content as it stands, which is the common case.
 *
 * Line ends, both modes: CRLF is one; a CR without LF, or an LF without CR, is a bare one and becomes CRLF. "\r\r\n" is
 * a bare CR and then CRLF. So whatever comes, no CR and no LF stands alone in content (RFC 5321 §2.3.8).
 *
 * Dots, DATA only, at the start of a line that follows CRLF on the wire, and of the first line (RFC 5321 §4.5.2):
 *
 *   wire          content      because
 *   .CRLF         end of data  nothing of it is content; ".CRLF" at once ends an empty message
 *   .x            x            stuffing, whatever x is but CRLF: another dot, a bare CR or LF
 *   .LF           CRLF         so LF alone never makes an end of data out of what the client meant as a line
 *   .CR, not LF   CRLF         likewise
 *
 * After a bare CR or LF a dot is content like any other: neither left out nor an end (no smuggling), though the line of
 * content that it then starts is counted in `dottedLines`. In BDAT no dot means anything (RFC 3030 §2); it is counted.
 *
 * What cannot be judged at the end of a call (a CR; in DATA a dot at the start of a line, or that and a CR) is pending:
 * a cut leaves it out there, it is in no count, and where it turns out to be content the next call begins with a cut at
 * `from` that inserts what it became. A call reads at least one byte of a range that has one.
 *
 * Two implementations, held to the same cases: native.ts (C++) and twin.ts. Neither allocates in `scan`, nor keeps
 * a reference to what it was given.
 */

/** Slots of `state`. A new message starts with all zero but MODE. */
export const STATE = {
  /** In: MODE_DATA or MODE_BDAT. */
  mode: 0,
  /** Private to the scanner: where in a line the last byte left us; `initial` is after CRLF. */
  phase: 1,
  /** Out: cuts that this call wrote. */
  cuts: 2,
  /** FLAGS, together. */
  flags: 3,
  /** Bytes of content so far, without what is pending. Wraps beyond 2 GiB, as all counts do: no limit is so high. */
  contentBytes: 4,
  /** Bytes of content in the line being read, without its line end. */
  lineBytes: 5,
  /** The longest line that has ended, bytes without its line end (RFC 5321 §4.5.3.1.6). */
  lineBytesMax: 6,
  /** Lines of content, in both modes, that start with a dot: those that DATA must stuff again. */
  dottedLines: 7,
  /** Bytes of content up to and with the empty line that ends the header section; 0 while it has not come. */
  headerBytes: 8,
  /** Header fields named Received, in any case, with or without blanks before the colon (RFC 5321 §6.3). */
  receivedFields: 9,
  /** Header fields in all: lines of the header section, not the empty one, that do not start with SP or HTAB. */
  headerFields: 10,
  /** Private to the scanner: progress in matching the name of the header field being read. */
  match: 11,
} as const;
export const STATE_SLOTS = 16;

export const MODE_DATA = 0;
export const MODE_BDAT = 1;

export const FLAGS = { endOfData: 1, bareCr: 2, bareLf: 4, nul: 8, eightBit: 16 } as const;

/** Room for this many cuts; when it is full `scan` returns early and is called again with the rest. */
export const CUTS_MAX = 1024;
/** Two slots a cut: its offset in the chunk; drop << 8 | insert. */
export const CUT_SLOTS = 2;
export const INSERTS = ['', '\r', '\n', '\r\n'] as const;
/** Indices into INSERTS. */
export const INSERT = { nothing: 0, cr: 1, lf: 2, crlf: 3 } as const;

export interface Scanner {
  readonly name: 'native' | 'twin';
  /**
   * Reads bytes[from, to) and returns the offset after the last byte read: `to`; or less after the end of data
   * (FLAGS.endOfData is set, the rest are commands) or when `cuts` was full: call again. Offsets of cuts count from
   * bytes[0]. `state` holds STATE_SLOTS, `cuts` CUTS_MAX * CUT_SLOTS numbers. Throws for a range that `bytes` does
   * not have.
   */
  scan(bytes: Uint8Array, from: number, to: number, state: Int32Array, cuts: Int32Array): number;
  /**
   * Ends a BDAT message (RFC 3030 §2): returns the index into INSERTS of what is still to come, a pending CR being
   * a bare one, and brings `state` up to date.
   */
  finish(state: Int32Array): number;
}
