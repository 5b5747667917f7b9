/** The sections of the policy file: each has a JSON Schema, and each field of it says what it is for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { dnsListsSection } from '../../../src/config/policy/dns_lists.ts';
import { geoipSection } from '../../../src/config/policy/geoip.ts';
import { greylistSection } from '../../../src/config/policy/greylist.ts';
import { heloSection } from '../../../src/config/policy/helo.ts';
import { listsSection } from '../../../src/config/policy/lists.ts';
import { limitsSection } from '../../../src/config/policy/rates.ts';
import { recipientsSection } from '../../../src/config/policy/recipients.ts';

const SECTIONS = {
  lists: listsSection,
  dnsLists: dnsListsSection,
  helo: heloSection,
  greylist: greylistSection,
  limits: limitsSection,
  geoip: geoipSection,
  recipients: recipientsSection,
};

type Schema = { readonly [key: string]: unknown };

/** Paths of fields without a description. */
function silent(schema: Schema, path: string): readonly string[] {
  const fields = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
  const inner = ['anyOf', 'oneOf', 'allOf'].flatMap((key) => (schema[key] ?? []) as readonly Schema[]);
  const single = ['items', 'additionalProperties'].flatMap((key) =>
    typeof schema[key] === 'object' ? [schema[key] as Schema] : [],
  );
  return [
    ...fields.flatMap(([key, field]) => [
      ...(field.description === undefined ? [`${path}.${key}`] : []),
      ...silent(field, `${path}.${key}`),
    ]),
    ...[...inner, ...single].flatMap((each) => silent(each, path)),
  ];
}

for (const [name, section] of Object.entries(SECTIONS)) {
  test(`${name} has a JSON Schema, and all of it is described`, () => {
    const schema = z.toJSONSchema(section, { io: 'input' }) as Schema;
    assert.ok(typeof schema.description === 'string');
    assert.deepEqual(silent(schema, name), []);
  });
}

test('absent, a section is what the defaults say, or nothing', () => {
  const absent = Object.entries(SECTIONS).map(([name, section]) => [name, section.parse(undefined)]);
  assert.deepEqual(Object.fromEntries(absent), {
    lists: {},
    dnsLists: [],
    helo: { resolve: false, ours: [] },
    greylist: undefined,
    limits: [],
    geoip: undefined,
    recipients: undefined,
  });
});
