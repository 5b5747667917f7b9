/**
 * Rules: conditions over facts and what is done where they hold, in order, and the verdict that they give at a stage.
 * Pure: rules and facts in, verdict out.
 *
 *   rules of a stage in order ─► tarpit, tag add up ─► the first of accept, defer, reject, discard, hold ends it
 *                             └► the first route counts: it says where, and never whether
 */
import type { Condition, Lists } from './condition.ts';
import { factsOf, holds } from './condition.ts';
import type { FactId, Facts, Stage } from './facts.ts';
import { stageNumber, stageOf } from './facts.ts';

export type Action =
  /** For the rest of the transaction no rule is asked any more. */
  | { readonly tag: 'accept' }
  | { readonly tag: 'defer'; readonly text: string }
  /** `status`: 5.1.1 counts as a guess at an address. */
  | { readonly tag: 'reject'; readonly text: string; readonly status: '5.7.1' | '5.1.1' }
  /** 250, and the message is gone. At `headers` and `data` only. */
  | { readonly tag: 'discard' }
  /** 250, and it waits in the queue until an operator releases it. At `headers` and `data` only. */
  | { readonly tag: 'hold' }
  | { readonly tag: 'tarpit'; readonly seconds: number }
  | { readonly tag: 'tag'; readonly header: string; readonly value: string }
  /** It goes there (a URL as `printRoute` writes it): at `rcpt` the recipient, later all of them. */
  | { readonly tag: 'route'; readonly route: string };

export type Rule = {
  /** In the reply, the log and the metrics. */
  readonly id: string;
  readonly stage: Stage;
  readonly when: Condition;
  readonly action: Action;
  /** It is only logged. */
  readonly dryRun: boolean;
};

export type Trial = { readonly rule: Rule; readonly matched: boolean };

export type Final = {
  readonly tag: 'accept' | 'reject' | 'defer' | 'discard' | 'hold';
  readonly rule: string;
  /** What the client is told. */
  readonly text: string;
  readonly status: '5.7.1' | '5.1.1';
};

export type Verdict = {
  readonly final: Final | null;
  readonly tarpitSeconds: number;
  readonly tags: readonly { readonly header: string; readonly value: string }[];
  /** Null: where it goes is not the stage's affair. */
  readonly route: string | null;
  /** Every rule that was asked, in order. */
  readonly trials: readonly Trial[];
};

const NOTHING: Verdict = { final: null, tarpitSeconds: 0, tags: [], route: null, trials: [] };

/** The earliest stage at which all facts of a condition can be known. */
export function earliestStage(when: Condition): Stage {
  return factsOf(when)
    .map(stageOf)
    .reduce<Stage>((latest, each) => (stageNumber(each) > stageNumber(latest) ? each : latest), 'connect');
}

export class Rules {
  readonly #byStage = new Map<Stage, readonly Rule[]>();
  readonly #asks = new Map<Stage, readonly FactId[]>();
  /** Of those that ask for a fact which nobody gives. */
  readonly leftOut: readonly Rule[];
  /** Whatever a rule asks for. */
  readonly needed: ReadonlySet<FactId>;

  /** Rules that ask for a fact which nobody gives are left out; absent `given`: all facts are given. */
  constructor(all: readonly Rule[], given?: ReadonlySet<FactId>) {
    const rules = given === undefined ? all : all.filter(({ when }) => mayHold(when, given));
    this.leftOut = all.filter((rule) => !rules.includes(rule));
    for (const rule of rules) this.#byStage.set(rule.stage, [...(this.#byStage.get(rule.stage) ?? []), rule]);
    for (const [stage, each] of this.#byStage) this.#asks.set(stage, [...factsOfAll(each)]);
    this.needed = factsOfAll(rules);
  }

  /** Nothing is asked at this stage. */
  silent(stage: Stage): boolean {
    return !this.#byStage.has(stage);
  }

  /** Whatever the rules of this stage ask for. */
  asks(stage: Stage): readonly FactId[] {
    return this.#asks.get(stage) ?? [];
  }

  judge(stage: Stage, facts: Facts, lists: Lists): Verdict {
    const rules = this.#byStage.get(stage);
    if (rules === undefined) return NOTHING;
    let verdict: Verdict = NOTHING;
    const trials: Trial[] = [];
    for (const rule of rules) {
      const matched = holds(rule.when, facts, lists);
      trials.push({ rule, matched });
      if (matched && !rule.dryRun) verdict = applied(verdict, rule.id, rule.action);
      if (verdict.final !== null) break;
    }
    return { ...verdict, trials };
  }
}

const factsOfAll = (rules: readonly Rule[]): ReadonlySet<FactId> => new Set(rules.flatMap(({ when }) => factsOf(when)));

function applied(verdict: Verdict, rule: string, action: Action): Verdict {
  switch (action.tag) {
    case 'tarpit':
      return { ...verdict, tarpitSeconds: verdict.tarpitSeconds + action.seconds };
    case 'tag':
      return { ...verdict, tags: [...verdict.tags, { header: action.header, value: action.value }] };
    case 'route':
      return { ...verdict, route: verdict.route ?? action.route };
    case 'reject':
      return { ...verdict, final: { rule, ...action } };
    case 'defer':
      return { ...verdict, final: { rule, ...action, status: '5.7.1' } };
    default:
      return { ...verdict, final: { tag: action.tag, rule, text: '', status: '5.7.1' } };
  }
}

/** By `all` of them a condition cannot hold where one of its facts is never known. */
function mayHold(when: Condition, given: ReadonlySet<FactId>): boolean {
  switch (when.tag) {
    case 'all':
      return when.conditions.every((each) => mayHold(each, given));
    case 'any':
      return when.conditions.some((each) => mayHold(each, given));
    case 'not':
      return true;
    case 'fact':
      return given.has(when.fact) || when.tests.every((test) => test.tag === 'known' && !test.known);
  }
}
