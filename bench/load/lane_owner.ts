/** What a lane of the source is told, and whom it tells: the words between source and lane. */
import type { OpeningSettings } from './lane_opening.ts';
import type { LatencyHistogram } from './latency.ts';
import type { Outgoing } from './outgoing.ts';

export type LaneSettings = OpeningSettings & {
  /** Used where the peer offers it. */
  readonly pipelining: boolean;
  /** With pipelining: the next message's envelope leaves with the content before it. */
  readonly ahead: boolean;
  readonly bdat: boolean;
  /** Of a BDAT chunk; Infinity: a message is one. */
  readonly chunkBytes: number;
  readonly messagesPerConnection: number;
  /** Between the answer to a message and the next one on the connection. */
  readonly thinkMs: number;
};

/**
 * `session` is from the moment that a connection was due until it was closed in good order, `message` from when a
 * message was due, or its lane was free for it, to its 250; the rest is from command to reply.
 */
export const PHASES = [
  'connect',
  'tls',
  'banner',
  'hello',
  'auth',
  'mail',
  'rcpt',
  'data',
  'end',
  'message',
  'session',
] as const;
export type Phase = (typeof PHASES)[number];

/** A message and when it should have started; 0 where that is when the lane was free. */
export type Assignment = { readonly message: Outgoing; readonly dueUs: number };

/** What a lane asks of and tells the source that runs it. */
export interface LaneOwner<L> {
  readonly settings: LaneSettings;
  readonly phases: Readonly<Record<Phase, LatencyHistogram>>;
  /** Whether a connection would be of use. */
  wanted(): boolean;
  take(): Assignment | undefined;
  acknowledged(number: number): void;
  /** `reason` is a reply code or a system's error. The message counts as not accepted. */
  failed(reason: string): void;
  recipientRefused(code: number): void;
  /** The connection ended before it could carry a message. */
  connectFailed(reason: string): void;
  secured(resumed: boolean): void;
  /** The lane has nothing to do: `run` it when there is. */
  parked(lane: L): void;
}
