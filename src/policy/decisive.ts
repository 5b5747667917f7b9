/**
 * Why a condition holds, or why it does not: the tests that made it so, each with the fact that it looked at. Pure; for
 * `postern check` and the log, where a person reads it.
 *
 *                  it holds            it does not
 *   all            all of them         the first that does not
 *   any            the first that does all of them
 *   not            what is inside, negated
 */
import { unreachable } from '../base/assert.ts';
import type { Condition, Lists, Test } from './condition.ts';
import { holds, passes } from './condition.ts';
import type { FactId, Facts } from './facts.ts';

/** A test and its fact; `value` is undefined where the fact is not known. */
export type Clause = { readonly fact: FactId; readonly value: Facts[FactId]; readonly test: string };

const TEST_CHARS_MAX = 200;

export function decisive(condition: Condition, facts: Facts, lists: Lists, negated = false): readonly Clause[] {
  const held = holds(condition, facts, lists);
  switch (condition.tag) {
    case 'all':
    case 'any': {
      const { conditions } = condition;
      const oneDecides = held === (condition.tag === 'any');
      const one = oneDecides ? conditions.find((each) => holds(each, facts, lists) === held) : undefined;
      return (one === undefined ? conditions : [one]).flatMap((each) => decisive(each, facts, lists, negated));
    }
    case 'not':
      return decisive(condition.condition, facts, lists, !negated);
    case 'fact': {
      const value = facts[condition.fact];
      const tests = held ? condition.tests : condition.tests.filter((test) => !passes(test, value, lists));
      return [{ fact: condition.fact, value, test: wordsOfAll(tests, negated) }];
    }
    default:
      return unreachable(condition);
  }
}

function wordsOfAll(tests: readonly Test[], negated: boolean): string {
  const text = tests.map(wordsOf).join(' and ');
  const whole = negated ? `not ${tests.length > 1 ? `(${text})` : text}` : text;
  return whole.length > TEST_CHARS_MAX ? `${whole.slice(0, TEST_CHARS_MAX)}…` : whole;
}

function wordsOf(test: Test): string {
  switch (test.tag) {
    case 'is':
      return `${test.values.length === 1 ? 'is' : 'one of'} ${test.values.map(valueText).join(', ')}`;
    case 'like':
      return `like ${test.patterns.join(', ')}`;
    case 'in':
      return `in ${test.lists.join(', ')}`;
    case 'atLeast':
    case 'atMost':
      return `${test.tag === 'atLeast' ? 'at least' : 'at most'} ${test.number}`;
    case 'known':
      return test.known ? 'known' : 'not known';
    case 'not':
      return wordsOfAll(test.tests, true);
    default:
      return unreachable(test);
  }
}

/** A fact's value on one line: a list with commas, an empty text or list as such. */
export function valueText(value: Facts[FactId]): string {
  if (value === undefined) return 'unknown';
  const text = typeof value === 'object' ? value.join(', ') : String(value);
  return text === '' ? (typeof value === 'object' ? 'none' : '""') : text;
}
