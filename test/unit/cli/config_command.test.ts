/** The schema that `postern config schema` prints says what the parser says, as far as a schema can. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { policySchema } from '../../../src/cli/config_command.ts';
import { parseYaml } from '../../../src/config/yaml_file.ts';
import { parsePolicy } from '../../../src/policy/document.ts';
import { FACTS } from '../../../src/policy/facts.ts';

type Json = Readonly<Record<string, unknown>> & { readonly $defs: Readonly<Record<string, Json>> };

const SCHEMA = JSON.parse(policySchema()) as Json;
const validator = z.fromJSONSchema(SCHEMA as Parameters<typeof z.fromJSONSchema>[0]);

const allows = (document: unknown): boolean => validator.safeParse(document).success;
const parses = (document: unknown): boolean => 'document' in parsePolicy(document);
const ruleOf = (when: unknown) => ({ rules: [{ id: 'one', when, do: { reject: 'No' } }] });

const GOOD: readonly unknown[] = [
  {},
  { side: 'outside', 'dnsbl.score': { atLeast: 5, atMost: 9 } },
  { side: ['inside', 'outside'] },
  { any: [{ tls: true }, { not: { all: [{ helo: { like: ['a*', 'b?'] } }] } }] },
  { listed: { not: { like: '*.example' } }, 'client.address': { in: '192.0.2.0/24' } },
  { 'client.asn': { is: [1, 2] }, spf: { known: false } },
];
const BAD: readonly unknown[] = [
  [],
  'outside',
  { 'client.adress': 'x' },
  { side: 3 },
  { side: {} },
  { tls: 'yes' },
  { side: { atLeast: 1 } },
  { 'dnsbl.score': { atLeast: 'many' } },
  { 'dnsbl.score': { like: '5*' } },
  { any: [] },
  { any: { side: 'outside' } },
  { not: { sid: 'outside' } },
  { side: { matches: '.*' } },
  { side: { not: { is: 4 } } },
];

test('conditions that the parser takes, and those that it refuses', () => {
  for (const when of GOOD) assert.deepEqual([allows(ruleOf(when)), parses(ruleOf(when))], [true, true], show(when));
  for (const when of BAD) assert.deepEqual([allows(ruleOf(when)), parses(ruleOf(when))], [false, false], show(when));
});

const show = (value: unknown): string => JSON.stringify(value);

test('it is a schema by itself: of the file, with every fact, and with what a hook is told', () => {
  assert.equal(SCHEMA.$schema, 'https://json-schema.org/draft/2020-12/schema');
  const { condition, hookRequest, hookAnswer } = SCHEMA.$defs;
  const facts = Object.keys(condition!.properties as object);
  assert.deepEqual(
    Object.keys(FACTS).filter((id) => !facts.includes(id)),
    [],
  );
  assert.ok(hookRequest?.properties && hookAnswer?.properties);
  for (const [, name = ''] of policySchema().matchAll(/"\$ref": "#\/\$defs\/(\w+)"/g)) assert.ok(name in SCHEMA.$defs);
  assert.doesNotMatch(policySchema(), /"\$ref": "(?!#\/\$defs\/)/);
});

test("README's policy file is one by the schema, and not with a section misspelt", () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const yaml = parseYaml('README.md', /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? '');
  assert.ok('value' in yaml);
  assert.ok(allows(yaml.value), show(validator.safeParse(yaml.value).error?.issues));
  assert.ok(!allows({ ...(yaml.value as object), rule: [] }));
});
