/**
 * Bytes of the journal, pure: the header of a segment and the frame of a record. All numbers are unsigned and
 * little-endian. README.md in this folder has the same, with the reasons.
 *
 *   segment header              record frame
 *   offset bytes field          offset bytes field
 *        0     4 "PSEG"              0     4 "PREC"
 *        4     4 version             4     4 crc         of offset 8 to the end of the meta
 *        8     4 crc of 12..48       8     4 generation  the segment's number
 *       12     4 generation         12     4 salt        the segment's
 *       16     4 salt               16     1 kind
 *       20     4 segment bytes      17     3 zero
 *       24     8 first sequence     20     4 meta bytes
 *       32     8 durable            24     4 content bytes
 *       40     4 previous's number  28     4 content crc
 *       44     4 previous's salt    32     8 sequence
 *                                   40     8 durable
 *                                   48     m meta (MessagePack), then content, then zeros to a multiple of 8
 *
 * CRC-32 is zlib's, not CRC-32C: Node has it in native code for every platform, where our addon is not (4 KiB: 0.8 µs,
 * by the addon 0.2), and for CRC-32C nothing but JavaScript. Both find what a torn write or a flipped bit does; neither
 * is meant against an attacker: that is what the salt is for. It is drawn anew for each segment, and mail that contains
 * a forged frame cannot know it.
 */
import { crc32 } from '../scanner/crc32.ts';

/** What is written. In format 2 no recipient had a route, and it is read as that. */
export const FORMAT_VERSION = 3;
const FORMAT_VERSION_MIN = 2;
/** Batches start on such a boundary: a write never shares a page or a 4 KiB physical sector with synced records. */
export const BLOCK_BYTES = 4096;
export const SEGMENT_HEADER_BYTES = 48;
export const FRAME_HEADER_BYTES = 48;
export const RECORD_ALIGN_BYTES = 8;

const SEGMENT_MAGIC = 0x47455350;
const RECORD_MAGIC = 0x43455250;
/** For native searches of a buffer. */
export const RECORD_MAGIC_BYTES = Buffer.from('PREC', 'latin1');
const TWO_32 = 2 ** 32;

export const KIND = { message: 1, marks: 2 } as const;

/** One life of a segment file, from recycling to recycling. */
export type SegmentLife = { readonly generation: number; readonly salt: number };

export type SegmentHeader = {
  readonly generation: number;
  readonly salt: number;
  readonly segmentBytes: number;
  /** Sequence of the first record in this segment; older segments' records from here on are void. */
  readonly firstSequence: number;
  /** Everything up to this sequence was certainly on disk when this header was written. */
  readonly durable: number;
  /** The segment before, so that it can be read without its own header; zeros where there is none. */
  readonly previous: SegmentLife;
};

export type Frame = {
  readonly kind: number;
  readonly sequence: number;
  /** Everything up to this sequence was certainly on disk when this record was written. */
  readonly durable: number;
  readonly metaBytes: number;
  readonly contentBytes: number;
  readonly contentCrc: number;
};

const isReadable = (version: number): boolean => version >= FORMAT_VERSION_MIN && version <= FORMAT_VERSION;

export const alignBlock = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

export const frameBytesOf = (metaBytes: number, contentBytes: number): number =>
  (FRAME_HEADER_BYTES + metaBytes + contentBytes + RECORD_ALIGN_BYTES - 1) & ~(RECORD_ALIGN_BYTES - 1);

export const writeU64 = (target: Buffer, value: number, at: number): void => {
  target.writeUInt32LE(value % TWO_32, at);
  target.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
};
export const readU64 = (source: Buffer, at: number): number =>
  source.readUInt32LE(at) + source.readUInt32LE(at + 4) * TWO_32;

/** Fills target[at, at + BLOCK_BYTES). */
export function encodeSegmentHeader(target: Buffer, at: number, header: SegmentHeader): void {
  target.fill(0, at, at + BLOCK_BYTES);
  target.writeUInt32LE(SEGMENT_MAGIC, at);
  target.writeUInt32LE(FORMAT_VERSION, at + 4);
  target.writeUInt32LE(header.generation, at + 12);
  target.writeUInt32LE(header.salt, at + 16);
  target.writeUInt32LE(header.segmentBytes, at + 20);
  writeU64(target, header.firstSequence, at + 24);
  writeU64(target, header.durable, at + 32);
  target.writeUInt32LE(header.previous.generation, at + 40);
  target.writeUInt32LE(header.previous.salt, at + 44);
  target.writeUInt32LE(crc32(target.subarray(at + 12, at + SEGMENT_HEADER_BYTES)), at + 8);
}

export type HeaderRead =
  | { readonly tag: 'header'; readonly header: SegmentHeader }
  /** Never written: the file is prepared and no more. */
  | { readonly tag: 'blank' }
  | { readonly tag: 'version'; readonly version: number }
  | { readonly tag: 'damaged' };

export function decodeSegmentHeader(block: Buffer): HeaderRead {
  if (block.length < SEGMENT_HEADER_BYTES) return { tag: 'damaged' };
  const magic = block.readUInt32LE(0);
  if (magic !== SEGMENT_MAGIC) return { tag: magic === 0 && isZero(block, SEGMENT_HEADER_BYTES) ? 'blank' : 'damaged' };
  // Before the CRC: what a newer version keeps behind these eight bytes is its own affair.
  const version = block.readUInt32LE(4);
  if (!isReadable(version)) return { tag: 'version', version };
  if (crc32(block.subarray(12, SEGMENT_HEADER_BYTES)) !== block.readUInt32LE(8)) return { tag: 'damaged' };
  const header = {
    generation: block.readUInt32LE(12),
    salt: block.readUInt32LE(16),
    segmentBytes: block.readUInt32LE(20),
    firstSequence: readU64(block, 24),
    durable: readU64(block, 32),
    previous: { generation: block.readUInt32LE(40), salt: block.readUInt32LE(44) },
  };
  return { tag: 'header', header };
}

const isZero = (block: Buffer, bytes: number): boolean => {
  for (let at = 0; at < bytes; at++) if (block[at] !== 0) return false;
  return true;
};

/** Writes a whole record at target[at] and returns its end. The caller has seen to the room. */
export function encodeRecord(
  target: Buffer,
  at: number,
  segment: SegmentLife,
  frame: Frame,
  meta: Uint8Array,
  content: Uint8Array | null,
): number {
  target.writeUInt32LE(RECORD_MAGIC, at);
  target.writeUInt32LE(segment.generation, at + 8);
  target.writeUInt32LE(segment.salt, at + 12);
  target.writeUInt32LE(frame.kind, at + 16);
  target.writeUInt32LE(frame.metaBytes, at + 20);
  target.writeUInt32LE(frame.contentBytes, at + 24);
  target.writeUInt32LE(frame.contentCrc, at + 28);
  writeU64(target, frame.sequence, at + 32);
  writeU64(target, frame.durable, at + 40);
  const contentAt = at + FRAME_HEADER_BYTES + frame.metaBytes;
  target.set(meta, at + FRAME_HEADER_BYTES);
  target.writeUInt32LE(crc32(target.subarray(at + 8, contentAt)), at + 4);
  if (content !== null) target.set(content, contentAt);
  const end = at + frameBytesOf(frame.metaBytes, frame.contentBytes);
  for (let pad = contentAt + frame.contentBytes; pad < end; pad++) target[pad] = 0;
  return end;
}

/**
 * Whether source[at] begins like a record of this segment; then its size in bytes, else 0. Needs FRAME_HEADER_BYTES.
 */
export function peekRecord(source: Buffer, at: number, { generation, salt }: SegmentLife): number {
  if (source.readUInt32LE(at) !== RECORD_MAGIC) return 0;
  if (source.readUInt32LE(at + 8) !== generation || source.readUInt32LE(at + 12) !== salt) return 0;
  return FRAME_HEADER_BYTES + source.readUInt32LE(at + 20) + source.readUInt32LE(at + 24);
}

/** The salt of a record of `generation` at source[at], or null: how a segment without its header is read. */
export function peekSalt(source: Buffer, at: number, generation: number): number | null {
  if (source.readUInt32LE(at) !== RECORD_MAGIC || source.readUInt32LE(at + 8) !== generation) return null;
  return source.readUInt32LE(at + 12);
}

/** The frame at source[at] if its checksums hold, else null. The caller has peeked, and has all its bytes there. */
export function decodeFrame(source: Buffer, at: number): Frame | null {
  const metaBytes = source.readUInt32LE(at + 20);
  const contentBytes = source.readUInt32LE(at + 24);
  const contentAt = at + FRAME_HEADER_BYTES + metaBytes;
  if (crc32(source.subarray(at + 8, contentAt)) !== source.readUInt32LE(at + 4)) return null;
  const contentCrc = source.readUInt32LE(at + 28);
  if (contentBytes > 0 && crc32(source.subarray(contentAt, contentAt + contentBytes)) !== contentCrc) return null;
  return {
    kind: source.readUInt32LE(at + 16),
    sequence: readU64(source, at + 32),
    durable: readU64(source, at + 40),
    metaBytes,
    contentBytes,
    contentCrc,
  };
}
