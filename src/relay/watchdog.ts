/**
 * Says so when something that should move does not (facts.md: at a peer 11,000 messages sat for days, and nobody was
 * told). Whoever watches asks each dispatcher how long it has stood still; the first time, and once for as long as
 * that lasts, there is a line in the log with the facts.
 */
import { LIMITS } from '../config/limits.ts';
import type { Logger } from '../telemetry/log.ts';

export type Still = {
  /** Which dispatcher: a site's key, or a name of its own. */
  readonly what: string;
  readonly ms: number;
  readonly facts: Readonly<Record<string, number>>;
};

export class Watchdog {
  readonly #logger: Logger;
  #known: ReadonlySet<string> = new Set();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Dispatchers that stood still when they were asked last. */
  get stalled(): number {
    return this.#known.size;
  }

  /** All that do not move now, and for how long they have not. */
  ask(still: readonly Still[]): void {
    const stalled = still.filter(({ ms }) => ms >= LIMITS.stalledMs);
    for (const { what, ms, facts } of stalled) {
      if (!this.#known.has(what)) this.#logger.log('queue-stalled', { what, seconds: Math.round(ms / 1000), ...facts });
    }
    this.#known = new Set(stalled.map(({ what }) => what));
  }
}
