/**
 * Conditions over facts: parsed from what the policy file says, then asked of facts again and again.
 *
 *   { side: outside, dnsbl.score: { atLeast: 5 } }        all of them
 *   { any: [ {…}, {…} ] }   { all: [ {…}, {…} ] }   { not: {…} }
 *   a test is a value, a list of values (one of them), or { is, oneOf, like, in, atLeast, atMost, known, not }
 *
 * A test of an absent fact is false, whatever it says, but for `known: false`; under `not` an absent fact makes a
 * condition true. A fact that is a list passes a test when one of its members does.
 */
import { unreachable } from '../base/assert.ts';
import { isLike } from '../base/glob.ts';
import type { FactId, Facts } from './facts.ts';
import { FACTS, isFactId } from './facts.ts';

/** Asks whether a text is on a list of the policy file, by the list's name. */
export type Lists = { has(list: string, value: string): boolean };

export type Test =
  | { readonly tag: 'is'; readonly values: readonly (string | number | boolean)[] }
  | { readonly tag: 'like'; readonly patterns: readonly string[] }
  | { readonly tag: 'in'; readonly lists: readonly string[] }
  | { readonly tag: 'atLeast' | 'atMost'; readonly number: number }
  | { readonly tag: 'known'; readonly known: boolean }
  | { readonly tag: 'not'; readonly tests: readonly Test[] };

export type Condition =
  | { readonly tag: 'all' | 'any'; readonly conditions: readonly Condition[] }
  | { readonly tag: 'not'; readonly condition: Condition }
  | { readonly tag: 'fact'; readonly fact: FactId; readonly tests: readonly Test[] };

export type Fault = { readonly path: readonly (string | number)[]; readonly message: string };

const DEPTH_MAX = 16;
const PATTERN_CHARS_MAX = 255;

// --- asking ---

export function holds(condition: Condition, facts: Facts, lists: Lists): boolean {
  switch (condition.tag) {
    case 'all':
      return condition.conditions.every((each) => holds(each, facts, lists));
    case 'any':
      return condition.conditions.some((each) => holds(each, facts, lists));
    case 'not':
      return !holds(condition.condition, facts, lists);
    case 'fact': {
      const value = facts[condition.fact];
      return condition.tests.every((test) => passes(test, value, lists));
    }
    default:
      return unreachable(condition);
  }
}

type Value = Facts[FactId];

export function passes(test: Test, value: Value, lists: Lists): boolean {
  if (test.tag === 'known') return (value !== undefined) === test.known;
  if (value === undefined) return false;
  if (test.tag === 'not') return !test.tests.every((each) => passes(each, value, lists));
  return typeof value === 'object' ? value.some((member) => matches(test, member, lists)) : matches(test, value, lists);
}

function matches(
  test: Exclude<Test, { tag: 'known' | 'not' }>,
  value: string | number | boolean,
  lists: Lists,
): boolean {
  switch (test.tag) {
    case 'is':
      return test.values.includes(typeof value === 'string' ? value.toLowerCase() : value);
    case 'like':
      return test.patterns.some((pattern) => isLike(pattern, String(value).toLowerCase()));
    case 'in':
      return test.lists.some((list) => lists.has(list, String(value)));
    case 'atLeast':
      return typeof value === 'number' && value >= test.number;
    case 'atMost':
      return typeof value === 'number' && value <= test.number;
    default:
      return unreachable(test);
  }
}

// --- parsing ---

/** Facts that it asks for. */
export function factsOf(condition: Condition): readonly FactId[] {
  switch (condition.tag) {
    case 'all':
    case 'any':
      return condition.conditions.flatMap(factsOf);
    case 'not':
      return factsOf(condition.condition);
    case 'fact':
      return [condition.fact];
    default:
      return unreachable(condition);
  }
}

/** Names of lists that it asks for, and where: for the check that they are there. */
export function listsOf(condition: Condition): readonly string[] {
  if (condition.tag === 'not') return listsOf(condition.condition);
  if (condition.tag !== 'fact') return condition.conditions.flatMap(listsOf);
  const inTests = (tests: readonly Test[]): readonly string[] =>
    tests.flatMap((test) => (test.tag === 'in' ? test.lists : test.tag === 'not' ? inTests(test.tests) : []));
  return inTests(condition.tests);
}

/** What is wrong goes to `faults`; then what comes back is of no use. */
export function parseCondition(value: unknown, path: readonly (string | number)[], faults: Fault[]): Condition {
  const nothing: Condition = { tag: 'all', conditions: [] };
  const wrong = (message: string, at = path): Condition => {
    faults.push({ path: at, message });
    return nothing;
  };
  if (path.length > 2 * DEPTH_MAX) return wrong('conditions are nested too deep');
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return wrong('write a map of facts to tests');
  const conditions = Object.entries(value).map(([key, inner]): Condition => {
    const here = [...path, key];
    if (key === 'not') return { tag: 'not', condition: parseCondition(inner, here, faults) };
    if (key === 'any' || key === 'all') {
      if (!Array.isArray(inner) || inner.length === 0) return wrong('write a list of conditions', here);
      return { tag: key, conditions: inner.map((each, at) => parseCondition(each, [...here, at], faults)) };
    }
    if (!isFactId(key)) return wrong(`there is no fact ${JSON.stringify(key)}`, here);
    return { tag: 'fact', fact: key, tests: parseTests(key, inner, here, faults) };
  });
  return conditions.length === 1 ? conditions[0]! : { tag: 'all', conditions };
}

function parseTests(
  fact: FactId,
  value: unknown,
  path: readonly (string | number)[],
  faults: Fault[],
): readonly Test[] {
  if (typeof value !== 'object' || value === null) return [isOneOf(fact, [value], path, faults)];
  if (Array.isArray(value)) return [isOneOf(fact, value, path, faults)];
  const entries = Object.entries(value);
  if (entries.length === 0) faults.push({ path, message: 'write what the fact is compared with' });
  return entries.map(([name, operand]) => parseTest(fact, name, operand, [...path, name], faults));
}

function parseTest(
  fact: FactId,
  name: string,
  operand: unknown,
  path: readonly (string | number)[],
  faults: Fault[],
): Test {
  const wrong = (message: string): Test => {
    faults.push({ path, message });
    return { tag: 'known', known: true };
  };
  const operands = Array.isArray(operand) ? operand : [operand];
  const texts = operands.every((each) => typeof each === 'string') ? (operands as string[]) : null;
  const [type] = FACTS[fact];
  switch (name) {
    case 'is':
    case 'oneOf':
      return isOneOf(fact, operands, path, faults);
    case 'not':
      return { tag: 'not', tests: parseTests(fact, operand, path, faults) };
    case 'known':
      return typeof operand === 'boolean' ? { tag: 'known', known: operand } : wrong('write true or false');
    case 'atLeast':
    case 'atMost':
      if (type !== 'number') return wrong(`${fact} is no number`);
      return typeof operand === 'number' ? { tag: name, number: operand } : wrong('write a number');
    case 'like':
      if (type === 'number' || type === 'flag') return wrong(`${fact} is no text`);
      if (texts === null) return wrong('write a pattern, or a list of them; * is any text, ? any character');
      if (texts.some((text) => text.length > PATTERN_CHARS_MAX)) return wrong('the pattern is too long');
      return { tag: 'like', patterns: texts.map((text) => text.toLowerCase()) };
    case 'in':
      return texts === null ? wrong('write the name of a list, or several') : { tag: 'in', lists: texts };
    default:
      return wrong('there is no such test: is, oneOf, not, like, in, atLeast, atMost, known');
  }
}

const KIND = { text: 'string', texts: 'string', address: 'string', number: 'number', flag: 'boolean' } as const;
const WORDS = { string: 'a text', number: 'a number', boolean: 'true or false' } as const;

function isOneOf(fact: FactId, values: readonly unknown[], path: readonly (string | number)[], faults: Fault[]): Test {
  const kind = KIND[FACTS[fact][0]];
  const fitting = values.filter((each): each is string | number | boolean => typeof each === kind);
  if (fitting.length < values.length || values.length === 0) {
    faults.push({ path, message: `${fact} is compared with ${WORDS[kind]}, or a list of such` });
  }
  return { tag: 'is', values: fitting.map((each) => (typeof each === 'string' ? each.toLowerCase() : each)) };
}
