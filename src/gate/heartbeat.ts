/**
 * Finds a shard that hangs: its thread lives, and its event loop turns no more, so that nothing tells of it.
 *
 *   shard: its status timer counts a beat a second in its row of the metrics
 *   main:  looks at the rows now and then; a ready shard with as many beats as at each of so many looks before hangs
 *
 * What is counted is main's own looks, not time. While the machine or the process is suspended main does not look
 * either, and a timer that is overdue fires once: a sleep costs a shard one look of its patience, however long it was.
 */
import { LIMITS } from '../config/limits.ts';
import { type MetricsMemory, readMetric } from '../telemetry/metrics.ts';
import type { ShardSlot } from './shard_slot.ts';

export type Patience = { readonly lookMs: number; readonly looksMax: number };
const PATIENCE: Patience = { lookMs: LIMITS.heartbeatLookMs, looksMax: LIMITS.heartbeatLooksMax };

/** What is looked at of a shard. */
type Watched = Pick<ShardSlot, 'shard' | 'state'>;

export class HeartbeatWatch<Slot extends Watched> {
  readonly #slots: readonly Slot[];
  readonly #memory: MetricsMemory;
  readonly #onHung: (slot: Slot) => void;
  readonly #patience: Patience;
  /** By shard: its beats at the last look, and at how many looks in a row these were the same. */
  readonly #pulses: { beats: number; looks: number }[];
  #timer: NodeJS.Timeout | undefined;

  /** `onHung` is called once for a shard that is not ready any more when it returns. */
  constructor(
    slots: readonly Slot[],
    memory: MetricsMemory,
    onHung: (slot: Slot) => void,
    patience: Patience = PATIENCE,
  ) {
    this.#slots = slots;
    this.#memory = memory;
    this.#onHung = onHung;
    this.#patience = patience;
    this.#pulses = slots.map(() => ({ beats: 0, looks: 0 }));
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), this.#patience.lookMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One round; called by the timer, and by tests. One that replays its journal has no beat yet and is not judged. */
  look(): void {
    for (const slot of this.#slots) {
      const pulse = this.#pulses[slot.shard]!;
      const [beats = 0] = readMetric(this.#memory, slot.shard, 'shard_beats');
      const still = slot.state === 'ready' && beats === pulse.beats;
      pulse.looks = still ? pulse.looks + 1 : 0;
      pulse.beats = beats;
      if (pulse.looks >= this.#patience.looksMax) this.#onHung(slot);
    }
  }
}
