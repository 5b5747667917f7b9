/**
 * Looks at what may run out, once a second, and tells everybody how hard we are pressed (policy/pressure.ts).
 *
 *   timer ─► queue: a sum over shared memory ─┐
 *        ├─► memory: one line of /proc ───────┼─► verdict ─► the word that gate and shards read
 *        └─► spool: statfs, in the background ┘          ├─► gauges, /healthz, dashboard
 *                                                        └─► one log line where the level has changed
 *
 * One statfs at a time: where the disk does not answer, the last answer stands for a while, and then is unknown. A
 * reading that fails is reported once, and again after it has worked in between.
 *
 * The queue is as long as the shards have said within the last second; one that is being run again counts nothing
 * until its journal is replayed. So the marks may be overrun by what two seconds bring.
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Level, Pressure, PressureLimits, Quantity } from '../policy/pressure.ts';
import { judgePressure, QUANTITIES, reasonsOf } from '../policy/pressure.ts';
import type { PressureWord } from '../relay/pressure_word.ts';
import type { SpoolSpace } from '../spool/space.ts';
import type { Logger } from '../telemetry/log.ts';
import type { GaugeId, Metrics } from '../telemetry/metrics.ts';
import type { PressureReport } from '../telemetry/status.ts';

/** Where the readings come from; each may throw. */
export type Probes = {
  readonly space: () => Promise<SpoolSpace>;
  readonly residentBytes: () => number;
  readonly queueMessages: () => number;
};

export type WatchSettings = {
  readonly limits: PressureLimits;
  readonly probes: Probes;
  readonly word: PressureWord;
  readonly metrics: Metrics;
  readonly logger: Logger;
};

const LEVEL_GAUGES = {
  'spool-bytes': 'pressure_spool_bytes',
  'spool-inodes': 'pressure_spool_inodes',
  queue: 'pressure_queue',
  memory: 'pressure_memory',
} as const satisfies Record<Quantity, GaugeId>;

export class PressureWatch {
  readonly #settings: WatchSettings;
  readonly #failing = new Set<keyof Probes>();
  #space: SpoolSpace | null = null;
  /** When the statfs that is under way was begun; null: none is. */
  #askedMs: number | null = null;
  #pressure: Pressure | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: WatchSettings) {
    this.#settings = settings;
  }

  /** Resolves when it has looked once. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.look(), LIMITS.pressureMs).unref();
    await this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One round; called by the timer, and by tests. */
  async look(nowMs = monotonicMs()): Promise<void> {
    if (this.#askedMs === null) {
      this.#askedMs = nowMs;
      this.#space = await this.#attempt('space', this.#settings.probes.space);
      this.#askedMs = null;
    } else if (nowMs - this.#askedMs > LIMITS.pressureReadingMsMax) {
      this.#fails('space', 'the file system does not answer');
      this.#space = null;
    }
    const { probes } = this.#settings;
    const queue = await this.#attempt('queueMessages', probes.queueMessages);
    const memory = await this.#attempt('residentBytes', probes.residentBytes);
    this.#judge(queue, memory);
  }

  report(): PressureReport {
    const pressure = this.#pressure;
    if (pressure === null) return { level: 0, reasons: [], quantities: [] };
    const quantities = QUANTITIES.map((quantity) => ({ quantity, ...pressure.quantities[quantity] }));
    return { level: pressure.level, reasons: reasonsOf(pressure), quantities };
  }

  #judge(queue: number | null, memory: number | null): void {
    const { limits, word } = this.#settings;
    const { freeBytes = null, freeInodes = null } = this.#space ?? {};
    const readings = { 'spool-bytes': freeBytes, 'spool-inodes': freeInodes, queue, memory };
    const before = this.#pressure?.level ?? 0;
    const pressure = judgePressure(readings, limits, this.#pressure);
    this.#pressure = pressure;
    word.write(pressure);
    this.#measure(pressure);
    if (pressure.level !== before) this.#say(pressure, before);
  }

  #say(pressure: Pressure, before: Level): void {
    const values = QUANTITIES.map((quantity) => [quantity, pressure.quantities[quantity].value]);
    const readings = Object.fromEntries(values) as Readonly<Record<Quantity, number | null>>;
    this.#settings.logger.log('pressure', { level: pressure.level, before, reasons: reasonsOf(pressure), readings });
  }

  #measure({ level, quantities }: Pressure): void {
    const { metrics } = this.#settings;
    metrics.set('pressure_level', level);
    for (const quantity of QUANTITIES) metrics.set(LEVEL_GAUGES[quantity], quantities[quantity].level);
    metrics.set('spool_free_bytes', quantities['spool-bytes'].value ?? Number.NaN);
    metrics.set('spool_free_inodes', quantities['spool-inodes'].value ?? Number.NaN);
    metrics.set('process_unreclaimable_bytes', quantities.memory.value ?? Number.NaN);
  }

  /** Null where it fails. */
  async #attempt<T>(probe: keyof Probes, read: () => T | Promise<T>): Promise<T | null> {
    try {
      const reading = await read();
      this.#failing.delete(probe);
      return reading;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#fails(probe, code ?? message);
      return null;
    }
  }

  #fails(probe: keyof Probes, detail: string): void {
    if (this.#failing.has(probe)) return;
    this.#failing.add(probe);
    this.#settings.logger.log('pressure-unknown', { probe, detail });
  }
}
