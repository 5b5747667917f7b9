/**
 * What one kind of filter has to bring: how a message is examined, in one straight line, with every answer checked.
 * Deadlines, connections at once, breaker, fail mode and dry run are not its matter but guarded.ts's.
 */
import type { FilteredEnvelope, Findings } from './filter.ts';
import type { Hearing } from './hearing.ts';
import type { Passage } from './passage.ts';
import type { Patience } from './patience.ts';

/** One message, as its protocol sees it. */
export type Subject = {
  readonly envelope: FilteredEnvelope;
  /** Of an `early` protocol: whoever is not in the envelope yet. */
  readonly hearing: Hearing;
  readonly content: Passage;
  /** A sign of life is `patience.owe()`. Reading content does that by itself. */
  readonly patience: Patience;
  /**
   * Registers what ends a connection at once, so that whoever waits on it hears; `abort` if the message is not coming,
   * `failure` if the filter has used up its time. The latest one registered is called, at most once, and only while
   * the examination is not over.
   */
  readonly onCut: (cut: (why: 'abort' | 'failure') => void) => void;
};

export interface Protocol {
  /** As of a Filter. */
  readonly early?: true;
  /** Rejects with FilterFailure for all that the filter does, and with nothing else. */
  examine(subject: Subject): Promise<Findings>;
  close(): Promise<void>;
}
