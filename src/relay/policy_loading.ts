/** The policy file as a document, and what it names in memory: or every fault. Nothing of it is in force by that. */
import { describeFaults, parseYaml, readYaml } from '../config/yaml_file.ts';
import { loadGeoip } from '../facts/geoip.ts';
import { loadList } from '../facts/list_loading.ts';
import type { PolicyDocument } from '../policy/document.ts';
import { parsePolicy } from '../policy/document.ts';
import type { PolicyInForce } from './policy.ts';

type Faults = { readonly faults: readonly string[] };

/** '': there is no file, and the built-in rules serve alone. */
export function readPolicyDocument(file: string): { readonly document: PolicyDocument } | Faults {
  const yaml = file === '' ? parseYaml('', '') : readYaml(file);
  if ('faults' in yaml) return yaml;
  const parsed = parsePolicy(yaml.value);
  return 'faults' in parsed ? { faults: describeFaults(file, yaml, parsed.faults) } : parsed;
}

export type NamedMemories = Pick<PolicyInForce, 'lists' | 'recipients' | 'geoip'>;

/** Files, and folders of such, that `loadNamed` reads. */
export function namedFiles({ lists, recipients, geoip }: PolicyDocument): readonly string[] {
  const files = Object.values(lists).map(({ file }) => file);
  const places = [geoip?.country, geoip?.asn];
  const known = recipients?.source === 'file' ? recipients.path : undefined;
  return [...files, known, ...places].filter((path) => path !== undefined);
}

/** Lists, recipients and places out of the files that the document names. */
export async function loadNamed(document: PolicyDocument): Promise<{ readonly memories: NamedMemories } | Faults> {
  const faults: string[] = [];
  const taken = <Loaded extends { readonly memory: unknown }>(loaded: Loaded | Faults): Loaded['memory'] | null => {
    if (!('faults' in loaded)) return loaded.memory;
    faults.push(...loaded.faults);
    return null;
  };
  const lists: Record<string, SharedArrayBuffer> = {};
  for (const [name, text] of Object.entries(document.lists)) {
    const memory = taken(await loadList(name, text));
    if (memory !== null) lists[name] = memory;
  }
  const { recipients: section, geoip: places } = document;
  const recipients =
    section?.source === 'file' ? taken(await loadList('recipients', { entries: [], file: section.path })) : null;
  const geoip = places === undefined ? null : taken(await loadGeoip(places));
  return faults.length > 0 ? { faults } : { memories: { lists, recipients, geoip } };
}
