/**
 * The circuit breaker of one filter: who has failed so many times in a row is left alone for a while, so that messages
 * do not each wait for a deadline; then one message tries.
 *
 *   closed ──failures in a row──► open ──pause over──► trying ──success──► closed
 *                                  ▲                     │
 *                                  └──────failure────────┘
 */
export type BreakerLimits = { readonly failures: number; readonly pauseMs: number };

export class Breaker {
  readonly #limits: BreakerLimits;
  readonly #onChange: (open: boolean) => void;
  #failures = 0;
  #openUntilMs: number | null = null;
  #trying = false;

  constructor(limits: BreakerLimits, onChange: (open: boolean) => void) {
    this.#limits = limits;
    this.#onChange = onChange;
  }

  /** Whether a message may go to the filter now; each yes ends in `succeeded`, `failed` or `unknown`. */
  admits(nowMs: number): boolean {
    if (this.#openUntilMs === null) return true;
    if (nowMs < this.#openUntilMs || this.#trying) return false;
    this.#trying = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#trying = false;
    if (this.#openUntilMs === null) return;
    this.#openUntilMs = null;
    this.#onChange(false);
  }

  failed(nowMs: number): void {
    this.#failures++;
    const wasOpen = this.#openUntilMs !== null;
    // What began before it opened says nothing new; what was sent to try does.
    if (wasOpen ? this.#trying : this.#failures >= this.#limits.failures) {
      this.#openUntilMs = nowMs + this.#limits.pauseMs;
      if (!wasOpen) this.#onChange(true);
    }
    this.#trying = false;
  }

  /** It ended in a way that says nothing of the filter's health; or it may take long, and others may try. */
  unknown(): void {
    this.#trying = false;
  }
}
