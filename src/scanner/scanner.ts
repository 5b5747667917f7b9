/**
 * The scanner: one pass over the bytes of a message as they arrive (RFC 5321 §4.5.2), one call a chunk.
 *
 *   chunk ──scan──► how far it got, `state` (what is known of the whole message so far),
 *                   and `cuts`: where the content differs from the bytes on the wire
 *
 * Content is the chunk with every cut applied, in order: at byte `offset` of the chunk, `drop` bytes are left out and
 * INSERTS[insert] is put in their place. A chunk without cuts is content as it stands, which is the common case.
 *
 * DATA mode: CRLF . CRLF, and nothing else, ends the content (the line before the first byte counts as ended); at the
 * start of a line that follows CRLF, a dot is left out. Both modes: a CR without LF, or an LF without CR, becomes CRLF.
 * What cannot be judged at the end of a chunk (a CR, a dot, a dot and a CR) is left out there and, where it turns
 * out to be content, inserted at `from` of the next call.
 *
 * Two implementations, held to the same cases: native.ts (C++) and twin.ts. Neither allocates in `scan`, nor keeps
 * a reference to what it was given.
 */

/** Raised whenever the meaning of a slot, a cut or a call changes: an addon of another version is not used. */
export const INTERFACE_VERSION = 1;

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
  /** Bytes of content so far (dots unstuffed, line ends normalised), without what is still pending. */
  contentBytes: 4,
  /** Bytes of content in the line being read, without its line end. */
  lineBytes: 5,
  /** The longest line so far, bytes without its line end (RFC 5321 §4.5.3.1.6). */
  lineBytesMax: 6,
  /** Lines of content that start with a dot. */
  dottedLines: 7,
  /** Bytes of content up to and with the empty line that ends the header section; 0 while it has not come. */
  headerBytes: 8,
  /** Header fields named Received (RFC 5321 §6.3). */
  receivedFields: 9,
  /** Header fields in all: lines of the header section that do not start with SP or HTAB. */
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
   * (FLAGS.endOfData is set, the rest are commands) or when `cuts` was full. Offsets of cuts count from bytes[0].
   * `state` holds STATE_SLOTS, `cuts` CUTS_MAX * CUT_SLOTS numbers.
   */
  scan(bytes: Uint8Array, from: number, to: number, state: Int32Array, cuts: Int32Array): number;
  /**
   * Ends a BDAT message (RFC 3030 §2): returns the index into INSERTS of what is still to come, a pending CR being
   * a bare one, and brings `state` up to date.
   */
  finish(state: Int32Array): number;
}
