/** Time that stands still until the test moves it: for what takes its clock and timers as a parameter. */

type Timer = { readonly atMs: number; readonly action: () => void };

export class ManualTimers {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();
  /** The waits of all timers so far, in order, milliseconds. */
  readonly waits: number[] = [];

  readonly nowMs = (): number => this.#nowMs;

  readonly after = (ms: number, action: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + ms, action };
    this.#timers.add(timer);
    this.waits.push(ms);
    return () => this.#timers.delete(timer);
  };

  /** Fires what is due, each timer once. */
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      timer.action();
    }
  }
}
