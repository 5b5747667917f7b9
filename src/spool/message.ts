/**
 * A message while somebody holds it awake: what it takes to send it. At rest it is a row and no more (rows.ts).
 *
 *   commit ─► awake ──rest──► at rest ──wake──► awake ─► … ─► every recipient final ─► gone
 */
import { assert } from '../base/assert.ts';
import type { Rows } from './rows.ts';
import type { Envelope, RecipientState, Row, Stored } from './spool.ts';

/** Large content: a file in the content folder. Its bytes and CRC are those of the whole. */
export type ContentFile = { readonly name: string; readonly bytes: number; readonly crc: number };

/** Where a record is: so many bytes at this offset of the segment of this number. */
export type Place = { readonly generation: number; readonly at: number; readonly frameBytes: number };

/** What an envelope counts for in the memory budget, and 100 bytes for each of its recipients. */
const ENVELOPE_BYTES = 1024;

export class Message implements Stored {
  readonly row: Row;
  readonly key: number;
  readonly envelope: Envelope;
  content: Buffer | null;
  /** What it counts for in the memory budget; `contentBytes` of them go when the content goes. */
  heldBytes: number;
  /** `wake`s that no `rest` has ended. */
  wakes = 0;
  readonly #contentBytes: number;
  readonly #rows: Rows;

  /** `content` is a part of a buffer of `bufferBytes`. */
  constructor(rows: Rows, row: Row, envelope: Envelope, content: Buffer | null, bufferBytes: number) {
    this.#rows = rows;
    this.row = row;
    this.key = rows.key(row);
    this.envelope = envelope;
    this.content = content;
    this.#contentBytes = content === null ? 0 : bufferBytes;
    this.heldBytes = ENVELOPE_BYTES + 100 * envelope.recipients.length + this.#contentBytes;
  }

  state(recipient: number): RecipientState {
    assert(this.#rows.key(this.row) === this.key, 'a message is asked while it is live');
    return this.#rows.state(this.row, recipient);
  }

  /** Lets go of the content and returns what that frees, bytes. */
  dropContent(): number {
    if (this.content === null) return 0;
    this.content = null;
    this.heldBytes -= this.#contentBytes;
    return this.#contentBytes;
  }
}
