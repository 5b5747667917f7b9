/** `postern config`: the policy file's schema, and a file held against it, without a process. */
import { z } from 'zod';
import { hookSchemas } from '../filters/hook_schema.ts';
import { conditionDefinitions } from '../policy/condition_schema.ts';
import { DOCUMENT } from '../policy/document.ts';
import { RULE } from '../policy/rule_text.ts';
import { readPolicyDocument } from '../relay/policy_loading.ts';

/** JSON Schema (draft 2020-12) of the file; among its definitions are what a hook is sent, and what it may answer. */
export function policySchema(): string {
  const { when } = RULE.shape;
  const file = z.toJSONSchema(DOCUMENT, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if ((zodSchema as unknown) === when) jsonSchema.$ref = '#/$defs/condition';
    },
  });
  const { request, answer } = hookSchemas();
  const hook = { hookRequest: defined(request), hookAnswer: defined(answer) };
  const definitions = { ...file.$defs, ...conditionDefinitions(), ...hook };
  return `${JSON.stringify({ title: 'Policy file of Postern', ...file, $defs: definitions }, null, 2)}\n`;
}

/** A definition has no dialect of its own. */
function defined({ $schema: _, ...schema }: Readonly<Record<string, unknown>>): object {
  return schema;
}

/** Faults of the file; what it names (lists, certificates) is looked at by the relay itself. */
export function policyFaults(path: string): readonly string[] {
  const read = readPolicyDocument(path);
  return 'faults' in read ? read.faults : [];
}
