/** What travels: a message that is awake, and those of its recipients that go to one site together. */
import type { Stored } from '../spool/spool.ts';

/** Holds its message awake, once: whoever settles it, or puts it back to rest, ends that. */
export type Parcel = {
  readonly message: Stored;
  /** Indices into the envelope; each is claimed. */
  readonly recipients: readonly number[];
  /** Times it went back to the ready queue without counting as an attempt. */
  readonly again: number;
};
