/** A policy in force in this shard: the document's rules, and the sources that they ask. */
import { Gatherer } from '../facts/gather.ts';
import type { Source } from '../facts/source.ts';
import type { Lists } from '../policy/condition.ts';
import type { PolicyDocument } from '../policy/document.ts';
import type { Facts, Stage } from '../policy/facts.ts';
import type { Verdict } from '../policy/rules.ts';
import { Rules } from '../policy/rules.ts';

export class Policy {
  readonly gatherer: Gatherer;
  readonly #rules: Rules;
  readonly #lists: Lists;

  constructor({ rules }: PolicyDocument, sources: readonly Source[], lists: Lists, sourceMsMax: number) {
    this.#rules = new Rules(rules);
    this.#lists = lists;
    this.gatherer = new Gatherer(sources, this.#rules.needed, sourceMsMax);
  }

  silent(stage: Stage): boolean {
    return this.#rules.silent(stage);
  }

  judge(stage: Stage, facts: Facts): Verdict {
    return this.#rules.judge(stage, facts, this.#lists);
  }
}
