/**
 * The spool's bounds and sizes, all in bytes unless the name says otherwise. What an operator may choose (segmentBytes,
 * memoryBytesMax) is in SpoolOptions.
 */
export const SPOOL_LIMITS = {
  /**
   * Content up to here travels in the record (one sync a batch); larger content has a file of its own. Memory per
   * draft.
   */
  contentInlineBytesMax: 64 << 10,
  /** First buffer of a draft of unknown size: most mail without large parts fits. */
  draftBytesFirst: 8 << 10,
  /** Added to a client's SIZE, which often counts line ends or dots otherwise than we do. */
  draftBytesSlack: 1 << 10,
  /** Piece in which large content is written; a draft gathers in one what has no file yet, so it holds all of that. */
  chunkBytes: 64 << 10,
  /**
   * Chunks kept for reuse over all drafts of the shard: 8 MiB. While more are in use, a draft with any on its way to
   * the disk asks its writer to wait: two for each large message arriving.
   */
  chunksKeptMax: 128,
  /** A draft with more than this on its way to the disk asks its writer to wait, however few drafts there are. */
  draftInFlightBytesMax: 256 << 10,
  /** Largest piece that `Spool.read` yields: one for each large message leaving. */
  readBytesMax: 256 << 10,
  /** Such pieces kept for reuse: 4 MiB. */
  readsKeptMax: 16,
  /** A batch is closed here and the next one begins: bounds the two or three buffers and the time of one write. */
  batchBytesMax: 4 << 20,
  /** A batch buffer starts here and doubles as needed. */
  batchBytesFirst: 256 << 10,
  /** Batch buffers kept: one in flight, one filling, one for a burst. */
  batchBuffersKeptMax: 3,
  /**
   * How long marks wait for a message that shares their sync, ms. A kill within it means that so much mail is delivered
   * twice.
   */
  companyMs: 5,
  /** Below, a record with the largest inline content would not leave the reserve for marks free. */
  segmentBytesMin: 128 << 10,
  /** Segment sizes are u32 in the header. */
  segmentBytesMax: 2 ** 31,
  /** Zeros are written in pieces of this size when a segment is made. */
  zeroBytes: 1 << 20,
  /** A segment this full asks for its successor: late, so that a retired one is usually there to be recycled. */
  prepareAtFraction: 1 / 2,
  /**
   * Without a successor the last part of a segment is for marks only, so that deliveries go on when the disk is full.
   */
  reserveFraction: 1 / 4,
  /** A full spool looks this often whether there is space again. */
  fullRetryMs: 1000,
  /** Bytes of copies forward in the journal's hands at once: between them new mail has its turn. */
  copyBytesMax: 1 << 20,
  /**
   * Answers of servers that are kept by their words, some 200 bytes each: 13 MB. Beyond, only code and status of new
   * ones.
   */
  detailTextsMax: 65_536,
  /** A checkpoint is written in pieces, each encoded in one turn of the event loop: some 2 ms, 13,000 messages. */
  checkpointPieceBytes: 1 << 20,
  /**
   * The journal grows so much between checkpoints, or so many times the size of the last one: recovery reads at most
   * that, half a second's worth, and what checkpoints add to the writes is at most a quarter.
   */
  checkpointEveryBytes: 128 << 20,
  checkpointEveryFactor: 4,
  /** Segments are read in windows of this size in recovery; a larger record widens its window. */
  windowBytes: 1 << 20,
} as const;
