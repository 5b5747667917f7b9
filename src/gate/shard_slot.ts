/**
 * One shard as main sees it: its state, and the sessions that were handed to it.
 *
 *   starting ──ready──► ready ──broken──► broken
 *      ▲                  │                 │   its task rejects, in any state but stopped
 *      └──── waiting ◄────┴─────────────────┘   (the thread of one that hangs is ended, so its task rejects)
 *   stopped: its task has ended after drain, or it died while draining
 */
import type { MessagePort } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { LIMITS } from '../config/limits.ts';
import type { ShardState } from '../telemetry/status.ts';
import type { ClosingsReader } from './closings.ts';
import { Handover } from './handover.ts';
import type { ToShard } from './messages.ts';
import { Questions } from './questions.ts';

export class ShardSlot {
  readonly shard: number;
  state: ShardState = 'waiting';
  port: MessagePort | null = null;
  /** Of this life. */
  handover = new Handover();
  /** The operator's. */
  readonly queue = new Questions((message) => this.post(message));
  /** Of the thread that runs it, once it has been ready. */
  threadId = 0;
  restarts = 0;
  startedMs = 0;
  /** While it lives: what it closes after that is released already. */
  closings: ClosingsReader | null = null;
  /** The client keys of its sessions by their places, null where none is: what must be released when the shard dies. */
  #clients: (string | null)[] = [];
  #freePlaces: number[] = [];
  #earlyDeaths = 0;

  constructor(shard: number) {
    this.shard = shard;
  }

  /** Why it cannot answer the operator now; a broken one still knows its queue. */
  get missing(): string | null {
    return this.state === 'ready' || this.state === 'broken' ? null : `it is ${this.state}`;
  }

  get sessions(): number {
    return this.#clients.length - this.#freePlaces.length;
  }

  /** Its place, until `sessionEnded`. */
  sessionBegun(clientKey: string): number {
    const place = this.#freePlaces.pop() ?? this.#clients.length;
    this.#clients[place] = clientKey;
    return place;
  }

  /** Whose it was. */
  sessionEnded(place: number): string {
    const clientKey = this.#clients[place];
    assert(typeof clientKey === 'string', 'a shard closes sessions that it was given');
    this.#clients[place] = null;
    this.#freePlaces.push(place);
    return clientKey;
  }

  /** Whose session the shard has closed, one at a time; null: no more until now. */
  nextClosed(): string | null {
    const place = this.closings?.next() ?? null;
    return place === null ? null : this.sessionEnded(place);
  }

  /** The client keys of all its sessions, one each; they are forgotten here. */
  releaseSessions(): readonly string[] {
    const keys = this.#clients.filter((clientKey) => clientKey !== null);
    this.#clients = [];
    this.#freePlaces = [];
    this.closings = null;
    return keys;
  }

  post(message: ToShard): void {
    this.port?.postMessage(message);
  }

  /** How long to wait before the next start: at once for one that had lived, longer with each early death. */
  restartMs(nowMs: number): number {
    if (nowMs - this.startedMs >= LIMITS.shardYoungMs) this.#earlyDeaths = 0;
    const waitMs = Math.min(LIMITS.shardStartMsMax, LIMITS.shardStartMsMin * 2 ** Math.min(this.#earlyDeaths, 20));
    this.#earlyDeaths++;
    return waitMs;
  }
}
