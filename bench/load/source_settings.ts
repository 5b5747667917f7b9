/** What a source is asked for, and what it says in the end; both pass between processes as they are. */
import type { Credentials } from './lane_opening.ts';
import type { Phase } from './lane_owner.ts';
import type { Latency } from './latency.ts';
import type { Correspondents } from './messages.ts';
import type { PartCounts } from './misbehaving.ts';
import type { Letter } from './outgoing.ts';
import type { LogNormal } from './text_sizes.ts';

export type SourceOptions = {
  readonly host?: string;
  readonly port: number;
  /** LHLO, and a reply for each recipient at the end (RFC 2033). */
  readonly lmtp?: boolean;
  /** The stamp's run id, 32 bits; drawn where not given. */
  readonly run?: number;
  readonly connections?: number;
  /** How many, unless `load` says it; with `seconds` alone there is no bound. */
  readonly messages?: number;
  readonly seconds?: number;
  /** 1: a connection per message. */
  readonly messagesPerConnection?: number;
  /** Messages per second, evenly spread (open loop). */
  readonly rate?: number;
  /** Connections per second, evenly spread (open loop); each carries `messagesPerConnection`, by default one. */
  readonly sessionsPerSecond?: number;
  /** For so long the rate grows from nothing, or the number of connections where there is no rate. */
  readonly rampSeconds?: number;
  readonly thinkMs?: number;
  readonly recipients?: number;
  /** Content of a message, stamp and header included. */
  readonly bytes?: number;
  /** Replaces `bytes`. */
  readonly sizes?: LogNormal;
  /** Replaces `bytes` and `sizes`. */
  readonly emlFolder?: string;
  readonly pipelining?: boolean;
  /** With pipelining by DATA: the next message's envelope leaves with the content before it. */
  readonly ahead?: boolean;
  readonly bdat?: boolean;
  readonly chunkBytes?: number;
  readonly starttls?: boolean;
  readonly implicitTls?: boolean;
  /** A lane's later connections take up its TLS session. */
  readonly resumeTls?: boolean;
  readonly auth?: Credentials;
  readonly from?: string;
  readonly to?: string;
  /** Mail of messages.ts between these, no two alike; replaces bytes, recipients, from and to. */
  readonly samples?: Correspondents;
  /** These in turn, to `to`; replaces bytes, recipients and from. */
  readonly letters?: readonly Letter[];
  readonly hello?: string;
  readonly localAddresses?: readonly string[];
  /** Connections, beside the others, that dribble a byte every `slowByteMs`, and that misbehave (misbehaving.ts). */
  readonly slow?: number;
  readonly misbehaving?: number;
  readonly slowByteMs?: number;
  /** A connection that hears nothing for so long is cut. */
  readonly silenceSecondsMax?: number;
  /** Ends the run when no connection could be made for so long. */
  readonly giveUpSeconds?: number;
};

export type SourceReport = {
  readonly run: number;
  readonly attempted: number;
  readonly acknowledged: number;
  /** Messages without a 250, by reply code or system's error. */
  readonly failed: Readonly<Record<string, number>>;
  readonly recipientsRefused: Readonly<Record<string, number>>;
  /** Connections that ended before they could carry a message, by reason. */
  readonly connectFailed: Readonly<Record<string, number>>;
  /**
   * Of an open loop: messages (or sessions) that were due and not even started when the time was up. The phase
   * `message` (or `session`) has each with what it had waited by then, so that a server which stalls to the end is not
   * flattered.
   */
  readonly notStarted: number;
  readonly gaveUp: boolean;
  readonly tls: { readonly handshakes: number; readonly resumed: number };
  readonly misbehaving: Readonly<Record<string, PartCounts>>;
  /** Monotonic clock of the machine: `nowUs` of stamp.ts. */
  readonly firstConnectUs: number;
  readonly lastAcknowledgedUs: number;
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly phases: Readonly<Record<Phase, Latency>>;
};

export type Progress = { readonly attempted: number; readonly acknowledged: number };

/** What a live display shows; latencies since the last look. */
export type Glance = Progress & {
  readonly errors: number;
  readonly connectionsOpen: number;
  readonly message: Latency;
};
