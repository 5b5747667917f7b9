/**
 * May this client have one more session? Pure counters; time is handed in.
 *
 *   open:  clients with sessions, at most as many as sessions
 *   idle:  clients without, remembered for the rate only, in the order in which they became idle; the oldest go first
 *
 * The rate is that of a sliding minute: the sessions of the minute begun, and those of the one before in so far as it
 * still overlaps. At worst it is off by what came unevenly in the one before.
 */
import { assert } from '../base/assert.ts';

const MINUTE_MS = 60_000;

export type AdmissionLimits = {
  readonly connectionsMax: number;
  readonly clientConnectionsMax: number;
  /** 0: off. */
  readonly clientConnectionsPerMinuteMax: number;
  readonly clientsTrackedMax: number;
};

/** Why not: a key of the reply table. */
export type Refusal = 'tooManyConnections' | 'tooManyFromClient' | 'tooFastFromClient';

type Client = { open: number; minute: number; begun: number; begunBefore: number; idleSinceMs: number };

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #open = new Map<string, Client>();
  readonly #idle = new Map<string, Client>();
  #connections = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get connections(): number {
    return this.#connections;
  }

  get clients(): number {
    return this.#open.size + this.#idle.size;
  }

  /**
   * Null when admitted: the session is counted until `release`. A refused one leaves no trace. O(1). `unlimited`: only
   * the sessions in all count, since many clients come by this key.
   */
  admit(key: string, nowMs: number, unlimited = false): Refusal | null {
    const { connectionsMax, clientConnectionsMax, clientConnectionsPerMinuteMax: perMinuteMax } = this.#limits;
    if (this.#connections >= connectionsMax) return 'tooManyConnections';
    this.#forget(nowMs);
    const known = this.#open.get(key) ?? this.#idle.get(key);
    if (known !== undefined && !unlimited) {
      if (known.open >= clientConnectionsMax) return 'tooManyFromClient';
      turnMinute(known, nowMs);
      if (perMinuteMax > 0 && rate(known, nowMs) >= perMinuteMax) return 'tooFastFromClient';
    }
    const client = known ?? { open: 0, minute: minuteOf(nowMs), begun: 0, begunBefore: 0, idleSinceMs: 0 };
    if (client.open === 0) {
      this.#idle.delete(key);
      this.#open.set(key, client);
    }
    client.open++;
    client.begun++;
    this.#connections++;
    return null;
  }

  release(key: string, nowMs: number): void {
    const client = this.#open.get(key);
    assert(client !== undefined, 'a session is released once');
    this.#connections--;
    client.open--;
    if (client.open > 0) return;
    this.#open.delete(key);
    if (this.#limits.clientConnectionsPerMinuteMax === 0) return;
    client.idleSinceMs = nowMs;
    this.#idle.set(key, client);
    this.#forget(nowMs);
  }

  /** Two minutes after its last session a client's rate is zero. Each is forgotten once: O(1) a call, on average. */
  #forget(nowMs: number): void {
    for (const [key, client] of this.#idle) {
      if (this.clients <= this.#limits.clientsTrackedMax && nowMs - client.idleSinceMs < 2 * MINUTE_MS) return;
      this.#idle.delete(key);
    }
  }
}

const minuteOf = (nowMs: number): number => Math.floor(nowMs / MINUTE_MS);

function turnMinute(client: Client, nowMs: number): void {
  const minute = minuteOf(nowMs);
  if (client.minute === minute) return;
  client.begunBefore = client.minute === minute - 1 ? client.begun : 0;
  client.begun = 0;
  client.minute = minute;
}

function rate(client: Client, nowMs: number): number {
  const overlap = 1 - (nowMs % MINUTE_MS) / MINUTE_MS;
  return client.begun + client.begunBefore * overlap;
}
