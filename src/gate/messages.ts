/**
 * The one vocabulary between the main thread and a shard, over the MessagePort that comes with the shard's task.
 *
 *   main ──connection, tls, policy, drain──► shard ──ready, broken, lines──► main
 *   main ──ask, more, cancel──► shard ──answer──► main      the operator's questions (questions.ts)
 *
 * A shard's task (Piscina runs one a shard) ends well after `drain`, and badly when the shard dies.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Config } from '../config/options.ts';
import type { TlsMaterial } from '../config/tls_material.ts';
import type { Accepted } from '../net/accepted.ts';
import type { PolicyInForce } from '../relay/policy.ts';
import type { QueueChunk, QueueRequest } from '../relay/queue_requests.ts';
import type { Door } from '../relay/shard.ts';
import type { MetricsMemory } from '../telemetry/metrics.ts';
import type { HandoverMemory } from './handover.ts';

export type ShardTask = {
  readonly shard: number;
  /** Part of every message id: the same for all shards and restarts of this process. */
  readonly node: string;
  readonly config: Config;
  readonly tls: TlsMaterial | null;
  readonly policy: PolicyInForce;
  /** From it come the keys of TLS tickets, so that a client may come back to any shard. */
  readonly ticketSecret: Uint8Array;
  readonly metrics: MetricsMemory;
  readonly siteCounts: SharedArrayBuffer;
  /** The memory of closings.ts. */
  readonly closings: SharedArrayBuffer;
  /** The word of relay/pressure_word.ts. */
  readonly pressure: SharedArrayBuffer;
  readonly port: MessagePort;
  readonly handover: HandoverMemory;
};

export type ToShard =
  /** Main has no hold on it any more, but for what the handover says. `place`: the session's, for closings.ts. */
  | { readonly tag: 'connection'; readonly accepted: Accepted; readonly door: Door; readonly place: number }
  /** For STARTTLS from now on. */
  | { readonly tag: 'tls'; readonly material: TlsMaterial }
  /** In force from the next transaction on. */
  | { readonly tag: 'policy'; readonly policy: PolicyInForce }
  /** No new transaction; the task ends when the open ones have, or after so long. */
  | { readonly tag: 'drain'; readonly msMax: number }
  /** An operator's question; then one `more` for each further chunk of its answer, or `cancel`. */
  | { readonly tag: 'ask'; readonly question: number; readonly request: QueueRequest }
  | { readonly tag: 'more' | 'cancel'; readonly question: number }
  /** Dies as by a defect of ours: for the demo and for tests. */
  | { readonly tag: 'crash' };

export type FromShard =
  /** The journal is replayed; in this thread. */
  | { readonly tag: 'ready'; readonly threadId: number }
  /** The journal failed for good: send no more sockets. */
  | { readonly tag: 'broken'; readonly detail: string }
  /** Log lines, each with its line end. */
  | { readonly tag: 'lines'; readonly lines: string }
  /** The next chunk; null: the answer is whole or, where `failure` says why, none. */
  | {
      readonly tag: 'answer';
      readonly question: number;
      readonly chunk: QueueChunk | null;
      readonly failure: string;
    };
