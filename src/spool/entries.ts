/** The records that the spool appends, and what follows when each is durable. */
import { crc32 } from '../scanner/crc32.ts';
import { packMarks, packMessage } from './bodies.ts';
import { Entry } from './journal.ts';
import type { ContentFile, Place } from './message.ts';
import { KIND } from './record.ts';
import type { Rows } from './rows.ts';
import type { Segment } from './segment.ts';
import type { Change, Envelope, RecipientState, Row, SpoolFailure } from './spool.ts';

export interface EntryHost {
  readonly index: Rows;
  /** A new message is durable: it has a row now. */
  committed(key: number, copy: Copy, states: readonly RecipientState[] | null, place: Place): Row;
  /** A copy of a message is durable. */
  copied(row: Row, place: Place): void;
  /** The last recipient's final state is durable. */
  finished(row: Row): void;
  /** Marks of these messages failed: their next ones tell all states. */
  readonly owed: Set<Row>;
}

/** A message as it is read or accepted; `content` is null where it is in a file. */
export type Copy = {
  readonly envelope: Envelope;
  readonly content: Buffer | null;
  readonly file: ContentFile | null;
};

abstract class MessageEntry extends Entry {
  readonly kind = KIND.message;
  override readonly content: Buffer | null;
  override readonly contentCrc: number;
  readonly copy: Copy;

  constructor(copy: Copy) {
    super();
    this.copy = copy;
    this.content = copy.content;
    this.contentCrc = copy.content === null ? 0 : crc32(copy.content);
  }

  place({ generation }: Segment): Place {
    return { generation, at: this.at, frameBytes: this.frameBytes };
  }
}

/** A message that comes to this journal for the first time: accepted, or adopted. */
export class CommitEntry extends MessageEntry {
  readonly urgent = false;
  readonly #host: EntryHost;
  readonly #states: readonly RecipientState[] | null;
  readonly #stored: (row: Row) => void;
  readonly #reject: (failure: SpoolFailure) => void;

  constructor(
    host: EntryHost,
    copy: Copy,
    states: readonly RecipientState[] | null,
    stored: (row: Row) => void,
    reject: (failure: SpoolFailure) => void,
  ) {
    super(copy);
    this.#host = host;
    this.#states = states;
    this.#stored = stored;
    this.#reject = reject;
  }

  pack(): Buffer {
    const { envelope, file } = this.copy;
    return packMessage({ key: 0, envelope, states: this.#states, file });
  }

  durable(segment: Segment): void {
    this.#stored(this.#host.committed(this.sequence, this.copy, this.#states, this.place(segment)));
  }

  failed(failure: SpoolFailure): void {
    this.#reject(failure);
  }
}

/** A live message again, with its states as they are. If this fails the older record still stands. */
export class CopyEntry extends MessageEntry {
  readonly urgent = true;
  readonly #host: EntryHost;
  readonly #row: Row;
  readonly #key: number;

  constructor(host: EntryHost, row: Row, copy: Copy) {
    super(copy);
    this.#host = host;
    this.#row = row;
    this.#key = host.index.key(row);
  }

  /** Where the message is gone meanwhile all recipients are final, and recovery drops it at once. */
  pack(): Buffer {
    const { envelope, file } = this.copy;
    const { index } = this.#host;
    const gone = index.key(this.#row) !== this.#key;
    const states = gone
      ? envelope.recipients.map((): RecipientState => ({ tag: 'delivered' }))
      : index.fresh(this.#row)
        ? null
        : envelope.recipients.map((_, at) => index.state(this.#row, at));
    return packMessage({ key: this.#key, envelope, states, file });
  }

  durable(segment: Segment): void {
    if (this.#host.index.key(this.#row) === this.#key) this.#host.copied(this.#row, this.place(segment));
  }

  failed(): void {}
}

/** What became of recipients. `recipients` is null for all of them. */
export class MarkEntry extends Entry {
  readonly kind = KIND.marks;
  readonly urgent = true;
  readonly #host: EntryHost;
  readonly #row: Row;
  readonly #key: number;
  readonly #recipients: readonly number[] | null;
  /** With this record, and all before it, every recipient is final. */
  readonly #last: boolean;
  #tellsAll = false;
  readonly #resolve: () => void;
  readonly #reject: (failure: SpoolFailure) => void;

  constructor(
    host: EntryHost,
    row: Row,
    recipients: readonly number[] | null,
    resolve: () => void,
    reject: (failure: SpoolFailure) => void,
  ) {
    super();
    this.#host = host;
    this.#row = row;
    this.#key = host.index.key(row);
    this.#recipients = recipients;
    this.#last = host.index.final(row);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** States as they are now, not as they were: so a mark that was held back never undoes a later copy. */
  pack(): Buffer {
    const changes: Change[] = [];
    if (!this.#gone) {
      const { index, owed } = this.#host;
      this.#tellsAll = this.#recipients === null || owed.has(this.#row);
      const recipients = this.#tellsAll ? count(index.recipients(this.#row)) : this.#recipients!;
      for (const recipient of recipients) changes.push({ recipient, state: index.state(this.#row, recipient) });
    }
    return packMarks({ key: this.#key, changes });
  }

  durable(): void {
    if (!this.#gone) {
      if (this.#tellsAll) this.#host.owed.delete(this.#row);
      if (this.#last) this.#host.finished(this.#row);
    }
    this.#resolve();
  }

  failed(failure: SpoolFailure): void {
    if (!this.#gone) this.#host.owed.add(this.#row);
    this.#reject(failure);
  }

  /** An earlier mark had the last word, and the row may be another message's. */
  get #gone(): boolean {
    return this.#host.index.key(this.#row) !== this.#key;
  }
}

const count = (to: number): number[] => Array.from({ length: to }, (_, at) => at);
