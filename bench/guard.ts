/** Whether a hot path got slower: a result against the bounds, and against what was kept of the same machine. Pure. */
import { digits } from './report.ts';
import type { Result, ScenarioResult } from './result.ts';
import type { Bound } from './results/bounds.ts';

export type Verdict = { readonly good: boolean; readonly text: string };

type Kept = (scenario: string) => ScenarioResult | undefined;
type RatioResult = ScenarioResult['ratios'][number];

/** A verdict for each bound of a scenario that was measured. Work that was not done as promised is not fast. */
export function verdicts(result: Result, kept: Kept, bounds: readonly Bound[]): Verdict[] {
  return result.scenarios.flatMap((scenario) => {
    const before = kept(scenario.name);
    const failed = scenario.failures.length > 0 ? [{ good: false, text: `${scenario.name}: its work failed` }] : [];
    const measured = ({ peer }: Bound): boolean =>
      peer === undefined || scenario.relays.some(({ name }) => name === peer);
    const held = bounds.filter((bound) => bound.scenario === scenario.name && measured(bound));
    return [...failed, ...held.map((bound) => verdict(bound, scenario, before))];
  });
}

function verdict(bound: Bound, scenario: ScenarioResult, before: ScenarioResult | undefined): Verdict {
  const find = (one: ScenarioResult | undefined): RatioResult | undefined =>
    one?.ratios.find(({ name }) => name === bound.ratio);
  const name = `${scenario.name}: ${bound.ratio}`;
  const now = find(scenario);
  if (now === undefined || now.median === null) return { good: false, text: `${name}: was not measured` };
  const was = find(before)?.median ?? undefined;
  const direction = now.better === 'more' ? 'at least' : 'at most';
  const target = bound.target === undefined ? '' : `, meant to be ${digits(bound.target)}`;
  const figures = `${digits(now.median)} (${direction} ${digits(bound.limit)}${target})`;
  let against = 'no result of this machine is kept to compare it with';
  // Said so that what cannot be compared is not good.
  let good = timesWorse(now.better, now.median, bound.limit) <= 1;
  if (was !== undefined) {
    const times = timesWorse(now.better, now.median, was);
    good &&= times <= bound.worse;
    against = `it was ${digits(was)}, ${changeText(times)} (${digits(bound.worse)} times is allowed)`;
  }
  return { good, text: `${name}: ${figures}; ${against}${good ? '' : `; slower is ${bound.path}`}` };
}

const timesWorse = (better: RatioResult['better'], now: number, was: number): number =>
  better === 'more' ? was / now : now / was;

const changeText = (times: number): string =>
  digits(times) === '1' ? 'as now' : times > 1 ? `${digits(times)} times worse` : `${digits(1 / times)} times better`;
