/** The records that the spool appends, and what follows when each is durable. */
import { Entry } from './journal.ts';
import type { ContentFile, Message, Place } from './message.ts';
import { packMarks, packMessage } from './message.ts';
import { KIND } from './record.ts';
import type { Segment } from './segment.ts';
import type { SpoolFailure, Stored } from './spool.ts';

export interface EntryHost {
  /** A new message is durable. */
  stored(message: Message, place: Place): void;
  /** A copy of a message is durable. */
  copied(message: Message, place: Place): void;
  /** The last recipient's final state is durable. */
  finished(message: Message): void;
  /** Marks of this message failed: its next ones tell all states. */
  readonly owed: Set<Message>;
  release(message: Message): void;
  dropContent(file: ContentFile): void;
}

abstract class MessageEntry extends Entry {
  readonly kind = KIND.message;
  override readonly content: Buffer | null;
  override readonly contentCrc: number;
  readonly message: Message;
  readonly host: EntryHost;

  /** `content` is null where it is in a file. */
  constructor(host: EntryHost, message: Message, content: Buffer | null) {
    super();
    this.host = host;
    this.message = message;
    this.content = content;
    this.contentCrc = message.contentCrc;
  }

  pack(): Buffer {
    return packMessage(this.message);
  }

  place(segment: Segment): Place {
    return { segment, frameBytes: this.frameBytes, contentAt: this.contentAt };
  }
}

/** A message that comes to this journal for the first time: accepted, or adopted. */
export class CommitEntry extends MessageEntry {
  readonly urgent = false;
  readonly #resolve: (stored: Stored) => void;
  readonly #reject: (failure: SpoolFailure) => void;

  constructor(
    host: EntryHost,
    message: Message,
    content: Buffer | null,
    resolve: (stored: Stored) => void,
    reject: (failure: SpoolFailure) => void,
  ) {
    super(host, message, content);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override placed(): void {
    this.message.key = this.sequence;
  }

  durable(segment: Segment): void {
    this.host.stored(this.message, this.place(segment));
    this.#resolve(this.message);
  }

  failed(failure: SpoolFailure): void {
    this.host.release(this.message);
    this.#reject(failure);
  }
}

/** A live message again, with its states as they are. If this fails the older record still stands. */
export class CopyEntry extends MessageEntry {
  readonly urgent = true;

  durable(segment: Segment): void {
    this.host.copied(this.message, this.place(segment));
  }

  failed(): void {}
}

/** What became of recipients. `recipients` is null for all of them. */
export class MarkEntry extends Entry {
  readonly kind = KIND.marks;
  readonly urgent = true;
  readonly #host: EntryHost;
  readonly #message: Message;
  readonly #recipients: readonly number[] | null;
  /** With this record, and all before it, every recipient is final. */
  readonly #last: boolean;
  #tellsAll = false;
  readonly #resolve: () => void;
  readonly #reject: (failure: SpoolFailure) => void;

  constructor(
    host: EntryHost,
    message: Message,
    recipients: readonly number[] | null,
    resolve: () => void,
    reject: (failure: SpoolFailure) => void,
  ) {
    super();
    this.#host = host;
    this.#message = message;
    this.#recipients = recipients;
    this.#last = message.waiting === 0;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** States as they are now, not as they were: so a mark that was held back never undoes a later copy. */
  pack(): Buffer {
    this.#tellsAll = this.#recipients === null || this.#host.owed.has(this.#message);
    const recipients = this.#tellsAll ? this.#message.states.keys() : this.#recipients!;
    return packMarks(this.#message, recipients);
  }

  durable(): void {
    if (this.#tellsAll) this.#host.owed.delete(this.#message);
    if (this.#last) this.#host.finished(this.#message);
    this.#resolve();
  }

  failed(failure: SpoolFailure): void {
    this.#host.owed.add(this.#message);
    this.#reject(failure);
  }
}
