/** What condition.ts parses, as definitions of a JSON Schema: for editors, which then know every fact and its tests. */
import type { FactId } from './facts.ts';
import { FACTS } from './facts.ts';

type Schema = Readonly<Record<string, unknown>>;

const VALUES = { text: 'string', texts: 'string', address: 'string', number: 'number', flag: 'boolean' } as const;

const ref = (name: string): Schema => ({ $ref: `#/$defs/${name}` });
const object = (properties: Schema, more: Schema = {}): Schema => ({
  type: 'object',
  properties,
  additionalProperties: false,
  ...more,
});
const oneOrSeveral = (each: Schema): Schema => ({ anyOf: [each, { type: 'array', items: each, minItems: 1 }] });

/** Of `condition`, and of the tests for each kind of value. */
export function conditionDefinitions(): Schema {
  const several = { type: 'array', items: ref('condition'), minItems: 1 };
  const facts = (Object.keys(FACTS) as FactId[]).map((id) => {
    const [type, stage, about] = FACTS[id];
    return [id, { ...ref(`${VALUES[type]}Test`), description: `${about}; from ${stage} on` }];
  });
  const logic = { all: several, any: several, not: ref('condition') };
  const tests = [...new Set(Object.values(VALUES))].map((type) => [`${type}Test`, testOf(type)]);
  return { condition: object({ ...logic, ...Object.fromEntries(facts) }), ...Object.fromEntries(tests) };
}

function testOf(type: (typeof VALUES)[keyof typeof VALUES]): Schema {
  const values = oneOrSeveral({ type });
  const texts = oneOrSeveral({ type: 'string' });
  const tests = {
    is: { ...values, description: 'one of these; case does not matter' },
    oneOf: values,
    not: ref(`${type}Test`),
    known: { type: 'boolean', description: 'it could be found out' },
    in: { ...texts, description: 'on one of these lists of the file, or in one of these networks' },
    ...(type === 'string' ? { like: { ...texts, description: '* is any text, ? any character' } } : {}),
    ...(type === 'number' ? { atLeast: { type }, atMost: { type } } : {}),
  };
  return { anyOf: [values, object(tests, { minProperties: 1 })] };
}
