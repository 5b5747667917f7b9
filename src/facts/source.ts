/**
 * Where facts come from: somebody is asked (DNS, a directory, a counter), and says what it knows, or why not. One file
 * a source in this room.
 */
import type { Side } from '../message/envelope.ts';
import type { FactId, Facts, Stage } from '../policy/facts.ts';
import type { Mailbox } from '../smtp/address.ts';

/** What a session has come to: fields are filled as far as its stage. */
export type Subject = {
  readonly side: Side;
  readonly address: string;
  readonly helo: string;
  readonly tls: boolean;
  /** Null: the null sender, or none yet. */
  readonly sender: Mailbox | null;
  /** Of this RCPT; null at other stages. */
  readonly recipient: Mailbox | null;
  /** As whom the client has authenticated, itself or by the word of a listed proxy. */
  readonly identity?: string;
  /** Size of the content; from `data` on. */
  readonly bytes?: number;
};

export type Answer = {
  readonly facts: Facts;
  /** Why a fact is missing that should be there; for the log and the metrics. */
  readonly trouble?: string;
};

export interface Source {
  /** In the log, the metrics and `postern check`. */
  readonly name: string;
  /** When it is asked; at `rcpt` for each recipient. */
  readonly stage: Stage;
  /** It is asked only if somebody needs one of these. */
  readonly gives: readonly FactId[];
  /** At once where it can be. Never rejects. `signal` ends what is under way when the time is over. */
  ask(subject: Subject, signal: AbortSignal): Answer | Promise<Answer>;
}
