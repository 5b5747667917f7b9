/**
 * The policy file as a whole: what stands in it, checked, and nothing that depends on a machine. It crosses threads as
 * it is.
 */
import { z } from 'zod';
import { BUILTIN } from './builtin.ts';
import type { Fault } from './condition.ts';
import { parseRules, RULE } from './rule_text.ts';
import type { Rule } from './rules.ts';

const RULES_MAX = 1000;

const DOCUMENT = z.strictObject({
  rules: z.array(RULE).max(RULES_MAX).default([]).describe('In order; the first final action of a stage wins.'),
  builtin: z
    .record(z.string(), z.enum(['off', 'dryRun']))
    .default({})
    .describe('Built-in rules that are not wanted, or only logged, by id.'),
});

export type PolicyDocument = {
  /** Those of the file, then the built-in ones. */
  readonly rules: readonly Rule[];
};

export type ParsedPolicy = { readonly document: PolicyDocument } | { readonly faults: readonly Fault[] };

/** `value` is what the file holds; null: there is no file, or nothing in it. */
export function parsePolicy(value: unknown): ParsedPolicy {
  const parsed = DOCUMENT.safeParse(value ?? {});
  if (!parsed.success)
    return { faults: parsed.error.issues.map(({ path, message }) => ({ path: path.map(step), message })) };
  const faults: Fault[] = [];
  const { rules, builtin } = parsed.data;
  const lists = new Set<string>();
  const own = parseRules(rules, lists, ['rules'], faults);
  for (const id of Object.keys(builtin)) {
    if (!BUILTIN.some((each) => each.id === id))
      faults.push({ path: ['builtin', id], message: 'there is no such rule' });
  }
  const wanted = BUILTIN.filter(({ id }) => builtin[id] !== 'off' && !own.some((rule) => rule.id === id)).map((each) =>
    RULE.parse({ ...each, dryRun: builtin[each.id] === 'dryRun' }),
  );
  const serving = parseRules(wanted, lists, ['builtin'], faults);
  return faults.length > 0 ? { faults } : { document: { rules: [...own, ...serving] } };
}

const step = (key: PropertyKey): string | number => (typeof key === 'number' ? key : String(key));
