/** `postern config`: the policy file's schema, and a file held against it, without a process. */
import { z } from 'zod';
import { hookSchemas } from '../filters/hook_schema.ts';
import { DOCUMENT } from '../policy/document.ts';
import { FACTS } from '../policy/facts.ts';
import { readPolicyDocument } from '../relay/policy_loading.ts';

/** JSON: the schema of the file (draft 2020-12), the facts that its rules may ask for, and what a hook is sent. */
export function policySchema(): string {
  const file = z.toJSONSchema(DOCUMENT, { io: 'input', unrepresentable: 'any' });
  const facts = Object.fromEntries(
    Object.entries(FACTS).map(([id, [type, stage, about]]) => [id, { type, stage, about }]),
  );
  return `${JSON.stringify({ file, facts, hook: hookSchemas() }, null, 2)}\n`;
}

/** Faults of the file; what it names (lists, certificates) is looked at by the relay itself. */
export function policyFaults(path: string): readonly string[] {
  const read = readPolicyDocument(path);
  return 'faults' in read ? read.faults : [];
}
