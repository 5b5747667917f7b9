/**
 * How long one filter may take over one message: a limit for each step, and one for all of them. Only the filter's own
 * time counts: while it waits for content that the client has not sent, the clock stands.
 *
 *   owes ──(a sign of life: owe again)──► owes ──(thirsty: rest)──► rests ──► …          step or total over: onExpired
 *
 * One timer a message, set anew when it fires too early: a timer per step would cost more than the step.
 */
import type { Timers } from '../net/dns_exchange.ts';

export type PatienceLimits = { readonly stepMs: number; readonly totalMs: number };

export class Patience {
  readonly #timers: Timers;
  readonly #limits: PatienceLimits;
  readonly #onExpired: (detail: string) => void;
  #spentMs = 0;
  /** When the filter's present stretch of owing began; null: it rests. */
  #sinceMs: number | null = null;
  #stepMs = 0;
  #stepEndMs = 0;
  #stopTimer: (() => void) | null = null;
  #firesMs = 0;
  #over = false;

  /** `onExpired` is told which wait was too long, in words. */
  constructor(timers: Timers, limits: PatienceLimits, onExpired: (detail: string) => void) {
    this.#timers = timers;
    this.#limits = limits;
    this.#onExpired = onExpired;
  }

  /** It is the filter's turn; or it has shown life, and its step begins anew. */
  owe(stepMs = this.#limits.stepMs): void {
    if (this.#over) return;
    const nowMs = this.#timers.nowMs();
    this.#sinceMs ??= nowMs;
    this.#stepMs = stepMs;
    this.#stepEndMs = nowMs + stepMs;
    if (this.#stopTimer === null || this.#dueMs() < this.#firesMs) this.#arm(nowMs);
  }

  rest(): void {
    if (this.#sinceMs === null) return;
    this.#spentMs += this.#timers.nowMs() - this.#sinceMs;
    this.#sinceMs = null;
  }

  /** For good. */
  stop(): void {
    this.rest();
    this.#over = true;
    this.#stopTimer?.();
    this.#stopTimer = null;
  }

  /** The filter's own time so far. */
  get spentMs(): number {
    return this.#spentMs + (this.#sinceMs === null ? 0 : this.#timers.nowMs() - this.#sinceMs);
  }

  #dueMs(): number {
    return Math.min(this.#stepEndMs, this.#sinceMs! + this.#limits.totalMs - this.#spentMs);
  }

  #arm(nowMs: number): void {
    this.#stopTimer?.();
    const waitMs = Math.max(1, Math.ceil(this.#dueMs() - nowMs));
    this.#firesMs = nowMs + waitMs;
    this.#stopTimer = this.#timers.after(waitMs, () => this.#fired());
  }

  #fired(): void {
    this.#stopTimer = null;
    if (this.#over || this.#sinceMs === null) return; // `owe` arms it again
    const nowMs = this.#timers.nowMs();
    if (nowMs < this.#dueMs()) this.#arm(nowMs);
    else if (nowMs >= this.#stepEndMs) this.#onExpired(`it was silent for ${this.#stepMs} ms`);
    else this.#onExpired(`totalMs (${this.#limits.totalMs}) are over`);
  }
}
