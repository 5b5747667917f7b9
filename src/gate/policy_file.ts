/** The policy file: read at the start, on SIGHUP and when it changes; in force as a whole or not at all. */
import { LIMITS } from '../config/limits.ts';
import { watchForChange } from '../config/watch_file.ts';
import { describeFaults, parseYaml, readYaml } from '../config/yaml_file.ts';
import type { PolicyDocument } from '../policy/document.ts';
import { parsePolicy } from '../policy/document.ts';

export type PolicyRead = { readonly document: PolicyDocument } | { readonly faults: readonly string[] };

/** '' : there is no file, and the built-in rules serve alone. */
export function readPolicy(file: string): PolicyRead {
  const yaml = file === '' ? parseYaml('', '') : readYaml(file);
  if ('faults' in yaml) return yaml;
  const parsed = parsePolicy(yaml.value);
  return 'faults' in parsed ? { faults: describeFaults(file, yaml, parsed.faults) } : parsed;
}

/** Returns what ends the watch. */
export function watchPolicy(file: string, changed: () => void): () => void {
  return file === '' ? () => {} : watchForChange(file, LIMITS.policyFileMs, changed);
}
