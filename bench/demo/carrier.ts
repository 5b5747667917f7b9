/** One way of the demo: a ledger's messages sent until each has its 250, and awaited where they should arrive. */
import { pause } from '../bench.ts';
import type { Latency } from '../load/latency.ts';
import type { Ledger, Verdict } from '../load/ledger.ts';
import { Source } from '../load/source.ts';
import type { HostPort } from '../peers/postern.ts';

export type Carried = {
  readonly name: string;
  /** Messages sent, those sent again included. */
  readonly sent: number;
  readonly acknowledged: number;
  /** Answered 250, and some recipient does not have it. */
  readonly lost: number;
  readonly seconds: number;
  /** From the end of data to its reply. */
  readonly latency: Latency;
  readonly verdict: Verdict;
};

const CONNECTIONS = 20;
/** Nothing arrives for so long: the rest is lost. */
const STALL_MS_MAX = 30_000;
const POLL_MS = 5;

export class Carrier {
  readonly #name: string;
  readonly #ledger: Ledger;
  readonly #at: HostPort;
  #source: Source | undefined;
  #sent = 0;
  #answered = 0;

  constructor(name: string, ledger: Ledger, at: HostPort) {
    this.#name = name;
    this.#ledger = ledger;
    this.#at = at;
  }

  /** Messages with a 250 so far. */
  get acknowledged(): number {
    return this.#answered + (this.#source?.progress().acknowledged ?? 0);
  }

  /** Sends everything, and again what got no 250, as any mail server would. */
  async run(): Promise<Carried> {
    const ledger = this.#ledger;
    const startMs = performance.now();
    let open = ledger.numbers;
    let latency: Latency | undefined;
    while (open.length > 0) {
      const source = new Source(
        { ...this.#at, run: ledger.run, connections: CONNECTIONS, pipelining: true },
        ledger.load(open),
      );
      this.#source = source;
      const report = await source.run();
      this.#source = undefined;
      this.#sent += report.attempted;
      this.#answered += report.acknowledged;
      latency ??= report.phases.end;
      open = open.filter((number) => !source.acknowledgedNumbers.has(number));
      if (report.acknowledged === 0) break;
    }
    await this.#arrived();
    const unanswered = new Set(open);
    return {
      name: this.#name,
      sent: this.#sent,
      acknowledged: this.#answered,
      lost: ledger.numbers.filter((number) => !unanswered.has(number) && !ledger.has(number)).length,
      seconds: (performance.now() - startMs) / 1000,
      latency: latency!,
      verdict: ledger.verdict(),
    };
  }

  async #arrived(): Promise<void> {
    let before = this.#ledger.open;
    let changedMs = performance.now();
    while (!this.#ledger.complete && performance.now() - changedMs < STALL_MS_MAX) {
      await pause(POLL_MS);
      if (this.#ledger.open !== before) changedMs = performance.now();
      before = this.#ledger.open;
    }
  }
}
