/** A policy as a policy file would make it, without anybody to ask. */
import assert from 'node:assert/strict';
import { parseYaml } from '../../src/config/yaml_file.ts';
import type { Source } from '../../src/facts/source.ts';
import { parsePolicy } from '../../src/policy/document.ts';
import { Policy } from '../../src/relay/policy.ts';

const SOURCE_MS_MAX = 10_000;

/** `yaml` is the text of the file; without it the built-in rules serve alone. */
export function testPolicy(yaml = '', sources: readonly Source[] = []): Policy {
  const file = parseYaml('policy.yaml', yaml);
  assert.ok('value' in file);
  const parsed = parsePolicy(file.value);
  assert.ok('document' in parsed, JSON.stringify(parsed));
  return new Policy(parsed.document, sources, { has: () => false }, SOURCE_MS_MAX);
}
