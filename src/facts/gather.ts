/**
 * Asks all sources of a stage at once, each with the same deadline, and puts their answers together. What is late is
 * missing, and counted as trouble; nobody else waits for it.
 */
import { monotonicMs } from '../base/clock.ts';
import type { FactId, Facts, Stage } from '../policy/facts.ts';
import type { Answer, Source, Subject } from './source.ts';

/** Who was asked, what that cost, and what it gave: for `postern check` and the log. */
export type Asked = {
  readonly source: string;
  readonly stage: Stage;
  readonly ms: number;
  readonly trouble: string;
  readonly facts: Facts;
};

export type Gathered = { readonly facts: Facts; readonly asked: readonly Asked[] };

/** Nobody was asked. */
export const NOTHING: Gathered = { facts: {}, asked: [] };
const LATE = 'no answer in time';

export class Gatherer {
  readonly #byStage = new Map<Stage, readonly Source[]>();
  readonly #msMax: number;

  /** Sources that give nothing of what is needed are never asked. */
  constructor(sources: readonly Source[], needed: ReadonlySet<FactId>, msMax: number) {
    this.#msMax = msMax;
    for (const source of sources) {
      if (!source.gives.some((id) => needed.has(id))) continue;
      this.#byStage.set(source.stage, [...(this.#byStage.get(source.stage) ?? []), source]);
    }
  }

  /** At once where every source answers at once. */
  gather(stage: Stage, subject: Subject): Gathered | Promise<Gathered> {
    const sources = this.#byStage.get(stage);
    if (sources === undefined) return NOTHING;
    const abort = new AbortController();
    const startMs = monotonicMs();
    const answers = sources.map((source) => source.ask(subject, abort.signal));
    if (answers.every((answer): answer is Answer => !(answer instanceof Promise))) {
      return together(answers.map((answer, at) => asked(sources[at]!, answer, startMs)));
    }
    return this.#await(sources, answers, abort, startMs);
  }

  async #await(
    sources: readonly Source[],
    answers: readonly (Answer | Promise<Answer>)[],
    abort: AbortController,
    startMs: number,
  ): Promise<Gathered> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Answer>((resolve) => {
      timer = setTimeout(() => {
        resolve({ facts: {}, trouble: LATE });
        abort.abort();
      }, this.#msMax);
    });
    const all = await Promise.all(
      answers.map(async (answer, at) => asked(sources[at]!, await Promise.race([answer, late]), startMs)),
    );
    clearTimeout(timer);
    return together(all);
  }
}

const asked = ({ name, stage }: Source, { facts, trouble = '' }: Answer, startMs: number): Asked => ({
  source: name,
  stage,
  ms: monotonicMs() - startMs,
  trouble,
  facts,
});

/** Lists of several sources are one list, and numbers add up: two block lists both have their say. */
function together(all: readonly Asked[]): Gathered {
  return { facts: merged(all.map(({ facts }) => facts)), asked: all };
}

export function merged(all: readonly Facts[]): Facts {
  const facts: Record<string, unknown> = {};
  for (const each of all) {
    for (const id in each) {
      const value = each[id as FactId];
      facts[id] = facts[id] === undefined ? value : added(facts[id], value);
    }
  }
  return facts as Facts;
}

/** Of these facts only: rules of a stage ask for few of all that is known. */
export function mergedOf(ids: readonly FactId[], all: readonly Facts[]): Facts {
  const facts: Record<string, unknown> = {};
  for (const id of ids) {
    for (const each of all) {
      const value = each[id];
      if (value !== undefined) facts[id] = facts[id] === undefined ? value : added(facts[id], value);
    }
  }
  return facts as Facts;
}

function added(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) return [...one, ...other];
  if (typeof one === 'number' && typeof other === 'number') return one + other;
  return other ?? one;
}
