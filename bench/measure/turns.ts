/**
 * Targets in turn, round after round, each under the same load: neighbours in time meet the same noise, so what is
 * compared is of one round, and a ratio or a difference is worth more than the figures that it is made of.
 *
 *   round 1: way a: target, target, …   way b: target, target, …      round 2: …
 *
 * Each turn begins with some seconds of the same load that do not count (warm.ts).
 */
import type { Bench, Chart, Ratio, Table } from '../bench.ts';
import type { SourceOptions } from '../load/source.ts';
import { digits, mib, type Spread, spreadOf, spreadText } from '../report.ts';
import { type Carried, carried, type Ends } from './carried.ts';
import { bareSyncs } from './disk.ts';
import { peakRssBytes } from './processes.ts';
import { warmSeconds, warmUp } from './warm.ts';

export type Target = {
  readonly name: string;
  readonly port: number;
  /** Root of the relay's processes; 0: there is no relay. */
  readonly pid: number;
  /** The peak of the one process, unless it is said. */
  readonly memoryBytes?: () => number;
  /** What its load has that the others' has not. */
  readonly load?: Partial<SourceOptions>;
  /** What it has done for a message when its 250 leaves; a column, where the targets differ in it. */
  readonly durability?: string;
  /** Why its CPU time is not shown. */
  readonly cpuUnknown?: string;
  /** Begins what goes on beside its load while that counts; what comes back ends it, and says what was wrong. */
  readonly beside?: () => Promise<() => Promise<readonly string[]>>;
};

/** A kind of load. */
export type Way = {
  readonly name: string;
  readonly load: Omit<SourceOptions, 'port'>;
  /** What is reported as latency: the reply to the end of data, or the whole message from when it was due. */
  readonly phase: 'end' | 'message';
  /** Enough for some seconds each on two cores; a number for each target where it depends on that. */
  readonly messages: number | Readonly<Record<string, number>> | Paced;
  /** The bare disk has its turn right before each that counts. */
  readonly bareSyncs?: true;
};

/** An open loop at a share of the rate that the target had in its last turn of another way, for some seconds. */
export class Paced {
  readonly way: string;
  readonly share: number;
  readonly seconds: number;

  constructor(way: string, share: number, seconds: number) {
    this.way = way;
    this.share = share;
    this.seconds = seconds;
  }
}

export type Turn = Omit<Carried, 'faults'> & {
  readonly round: number;
  readonly way: string;
  readonly target: string;
  readonly memoryBytes: number;
  /** The 99th percentile of the bare disk; 0 where it had no turn. */
  readonly bareP99Us: number;
};
export type Figure = (turn: Turn) => number;

export const perSecond: Figure = (turn) => turn.perSecond;
export const cpuMsPerMessage: Figure = (turn) => turn.cpuMsPerMessage;

const QUICK_SHARE = 0.08;
const BARE_SECONDS = 1;
const QUICK_BARE_SECONDS = 0.1;

/** `check`: what else is to be true of what was carried, in words where it is not. */
export async function takeTurns(
  bench: Bench,
  ends: Ends,
  ways: readonly Way[],
  targets: readonly Target[],
  check: (carried: Carried, target: Target, way: Way) => readonly string[] | Promise<readonly string[]> = () => [],
): Promise<{ readonly turns: Turns; readonly failures: string[] }> {
  const { quick, rounds } = bench.settings;
  const turns: Turn[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const way of ways) {
      // Whoever goes first meets a machine that has just done something else.
      for (const target of round % 2 === 1 ? targets : targets.toReversed()) {
        const { name, port, pid, load: own, beside, memoryBytes = () => (pid === 0 ? 0 : peakRssBytes(pid)) } = target;
        const load = { ...way.load, ...own, port, ...amountOf(way, name, turns, quick) };
        const cold = await warmUp(name, ends, load, warmSeconds(bench.settings, round));
        const bareP99Us = way.bareSyncs ? bareP99(bench) : 0;
        const end = await beside?.();
        const { faults, ...figures } = await carried(name, ends, pid, load);
        const besides = (await end?.()) ?? [];
        bench.say(`  round ${round}, ${way.name}, ${name}: ${digits(figures.perSecond)}/s`);
        turns.push({ ...figures, round, way: way.name, target: name, memoryBytes: memoryBytes(), bareP99Us });
        const others = await check({ faults, ...figures }, target, way);
        failures.push(...[...cold, ...faults, ...besides, ...others].map((fault) => `${way.name}, ${fault}`));
      }
    }
  }
  return { turns: new Turns(turns), failures };
}

/** How much of the load a turn has. */
function amountOf(
  { messages }: Way,
  target: string,
  turns: readonly Turn[],
  quick: boolean,
): Pick<SourceOptions, 'messages' | 'rate'> {
  const share = quick ? QUICK_SHARE : 1;
  if (messages instanceof Paced) {
    const before = turns.findLast((turn) => turn.way === messages.way && turn.target === target);
    const rate = messages.share * (before?.perSecond ?? Number.NaN);
    return { rate, messages: Math.ceil(rate * messages.seconds * share) };
  }
  const wanted = typeof messages === 'number' ? messages : (messages[target] ?? 0);
  return { messages: Math.ceil(wanted * share) };
}

const bareP99 = (bench: Bench): number =>
  bareSyncs(bench.folder('bare'), bench.settings.quick ? QUICK_BARE_SECONDS : BARE_SECONDS).p99Us;

export class Turns {
  readonly all: readonly Turn[];

  constructor(all: readonly Turn[]) {
    this.all = all;
  }

  of(way: string, target: string): readonly Turn[] {
    return this.all.filter((turn) => turn.way === way && turn.target === target);
  }

  spread(way: string, target: string, figure: Figure): Spread {
    return spreadOf(this.of(way, target).map(figure));
  }

  /** `target` over `other`, round by round. */
  ratio(way: string, target: string, other: string, figure: Figure): Spread {
    return this.#compared(way, target, other, figure, (one, beside) => one / beside);
  }

  /** `target` less `other`, round by round. */
  difference(way: string, target: string, other: string, figure: Figure): Spread {
    return this.#compared(way, target, other, figure, (one, beside) => one - beside);
  }

  #compared(
    way: string,
    target: string,
    other: string,
    figure: Figure,
    compare: (one: number, beside: number) => number,
  ): Spread {
    const others = this.of(way, other);
    const compared = this.of(way, target).map((turn) => {
      const beside = others.find(({ round }) => round === turn.round);
      return compare(figure(turn), beside === undefined ? Number.NaN : figure(beside));
    });
    return spreadOf(compared);
  }

  /** Of rates, under a name that is the same from run to run. */
  rateRatio(way: string, target: string, other: string): Ratio {
    return { name: `${way}: rate, ${target} / ${other}`, better: 'more', ...this.ratio(way, target, other, perSecond) };
  }

  /** Rate and CPU time where a load takes all it can get, latency always. */
  charts({ name: way, phase }: Way, targets: readonly Target[]): Chart[] {
    const chart = (title: string, unit: string, figure: Figure, shown = targets): Chart => ({
      title: `${way}: ${title}`,
      unit,
      bars: shown.map(({ name }) => ({ name, ...this.spread(way, name, figure) })),
    });
    const p99Ms: Figure = ({ phases }) => phases[phase].p99Us / 1000;
    if (phase === 'message') return [chart('due to 250, p99', 'ms', p99Ms)];
    const counted = targets.filter(({ pid, cpuUnknown }) => pid !== 0 && cpuUnknown === undefined);
    return [
      chart('rate', 'messages/s', perSecond),
      chart('CPU', 'ms a message', cpuMsPerMessage, counted),
      chart('end of data to 250, p99', 'ms', p99Ms),
    ];
  }

  table(way: Way, targets: readonly Target[]): Table {
    const open = way.load.rate !== undefined || way.messages instanceof Paced;
    const latency = way.phase === 'end' ? '250' : open ? 'due to 250' : 'message';
    const durable = new Set(targets.map(({ durability }) => durability)).size > 1;
    const rows = targets.map(({ name, pid, durability = '', cpuUnknown }) => {
      const turns = this.of(way.name, name);
      const text = (figure: Figure): string => spreadText(this.spread(way.name, name, figure));
      return [
        name,
        text(perSecond),
        ...(durable ? [durability] : []),
        pid === 0 || cpuUnknown !== undefined ? '-' : text(cpuMsPerMessage),
        text(({ phases }) => phases[way.phase].p50Us / 1000),
        text(({ phases }) => phases[way.phase].p99Us / 1000),
        text(({ endToEndP99Ms }) => endToEndP99Ms),
        pid === 0 ? '-' : mib(Math.max(...turns.map(({ memoryBytes }) => memoryBytes))),
        `${turns.reduce((sum, { duplicates }) => sum + duplicates, 0)}`,
      ];
    });
    return {
      title: `${way.name}, median (least-most)`,
      columns: [
        '',
        'messages/s',
        ...(durable ? ['before its 250'] : []),
        'CPU ms/message',
        `${latency} p50 ms`,
        `${latency} p99 ms`,
        'end to end p99 ms',
        'memory',
        'twice',
      ],
      rows,
    };
  }
}
