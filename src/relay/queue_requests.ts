/**
 * What an operator can ask of a queue, and what comes back: plain values, the same on the admin socket, between main
 * and the shards, and for a spool that is read while its process is down.
 *
 *   list   rows*         a row per recipient, in order of acceptance
 *   show   messages*     a message with all its recipients
 *   cat    content*      a message's bytes; none where there is no such message
 *   stats  groups        counts, by site or by domain; the sum of all comes last
 *   retry hold release bounce delete   tally, where anything matched several times, each the sum so far
 *
 * A chunk `fault` says what is missing from the answer (a shard that is restarting, a record that cannot be read).
 */
import type { Envelope, Recipient } from '../message/envelope.ts';
import type { QueueFilter, QueueState } from './queue_filter.ts';

export const STEERING = ['retry', 'hold', 'release', 'bounce', 'delete'] as const;
export type Steering = (typeof STEERING)[number];

export const GROUPINGS = ['site', 'domain'] as const;
export type Grouping = (typeof GROUPINGS)[number];

export type ListRequest = { readonly action: 'list'; readonly filter: QueueFilter; readonly rowsMax: number };
export type ShowRequest = { readonly action: 'show'; readonly filter: QueueFilter };
export type CatRequest = {
  readonly action: 'cat';
  readonly id: string;
  /** As it arrived, without what we add on its way out. */
  readonly raw: boolean;
};
export type StatsRequest = { readonly action: 'stats'; readonly filter: QueueFilter; readonly by: Grouping };
export type SteerRequest = {
  readonly action: Steering;
  readonly filter: QueueFilter;
  /** Count, and leave everything as it is. */
  readonly dryRun: boolean;
  /** For `bounce`: what the sender is told. */
  readonly reason: string;
};
export type QueueRequest = ListRequest | ShowRequest | CatRequest | StatsRequest | SteerRequest;

export const QUEUE_ACTIONS = ['list', 'show', 'cat', 'stats', ...STEERING] as const;

/** One recipient that waits. */
export type QueueRow = {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly acceptedMs: number;
  readonly bytes: number;
  readonly state: QueueState;
  readonly attempts: number;
  /** Null: held. */
  readonly nextMs: number | null;
  readonly sender: string;
  readonly recipient: string;
  readonly site: string;
  /** What the last attempt came to. */
  readonly detail: string;
};

export type ShownRecipient = Recipient & {
  readonly state: QueueState | 'delivered' | 'failed';
  readonly attempts: number;
  readonly nextMs: number | null;
  readonly site: string;
  readonly detail: string;
};

export type QueueMessage = Pick<Envelope, 'id' | 'origin' | 'acceptedMs' | 'sender' | 'smtpUtf8' | 'ret' | 'envid'> & {
  readonly bytes: number;
  readonly recipients: readonly ShownRecipient[];
};

/** `name` of the group that is the sum of all; a message with recipients in several of them counts once in it. */
export const TOTAL = '*';

export type QueueGroup = {
  readonly name: string;
  readonly messages: number;
  readonly recipients: number;
  readonly due: number;
  readonly waiting: number;
  readonly held: number;
  readonly active: number;
  /** Content of these messages. */
  readonly bytes: number;
  readonly oldestMs: number;
};

export type Tally = {
  /** Recipients that the filter matched, busy ones too. */
  readonly matched: number;
  readonly messages: number;
  readonly recipients: number;
  /** Being delivered in this very moment, and left alone. */
  readonly busy: number;
};

export const NOTHING_DONE: Tally = { matched: 0, messages: 0, recipients: 0, busy: 0 };

export const addTallies = (one: Tally, other: Tally): Tally => ({
  matched: one.matched + other.matched,
  messages: one.messages + other.messages,
  recipients: one.recipients + other.recipients,
  busy: one.busy + other.busy,
});

export type QueueChunk =
  | { readonly tag: 'rows'; readonly rows: readonly QueueRow[] }
  | { readonly tag: 'messages'; readonly messages: readonly QueueMessage[] }
  | { readonly tag: 'groups'; readonly groups: readonly QueueGroup[] }
  | { readonly tag: 'content'; readonly bytes: Uint8Array }
  | { readonly tag: 'tally'; readonly tally: Tally }
  | { readonly tag: 'fault'; readonly detail: string };

/** The question cannot be answered at all; the message is for the operator. */
export class QueueFailure extends Error {
  override readonly name = 'QueueFailure';
  readonly reason: 'unreachable' | 'refused';
  constructor(reason: 'unreachable' | 'refused', message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export interface QueueSource {
  /** Ends with the answer; rejects with QueueFailure. Whoever has enough ends the iteration, and the work with it. */
  ask(request: QueueRequest): AsyncIterable<QueueChunk>;
}
