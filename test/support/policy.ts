/** A policy as a policy file would make it, without anybody to ask but `sources`. */
import assert from 'node:assert/strict';
import { loadConfig } from '../../src/config/load.ts';
import { parseYaml } from '../../src/config/yaml_file.ts';
import { ratesMemory } from '../../src/facts/rates.ts';
import type { Source } from '../../src/facts/source.ts';
import { filterLabels } from '../../src/filters/counts.ts';
import { Deadlines } from '../../src/net/connection.ts';
import type { Dns } from '../../src/net/dns.ts';
import { parsePolicy } from '../../src/policy/document.ts';
import { Policy } from '../../src/relay/policy.ts';
import { relaxerTwin } from '../../src/scanner/relaxer_twin.ts';

const SOURCE_MS_MAX = 10_000;
const NO_DNS: Dns = { query: async () => ({ tag: 'failed', reason: 'timeout' }) } as unknown as Dns;

/** `yaml` is the text of the file; without it the built-in rules serve alone. */
export function testPolicy(yaml = '', sources: readonly Source[] = [], dns: Dns = NO_DNS): Policy {
  const file = parseYaml('policy.yaml', yaml);
  assert.ok('value' in file);
  const parsed = parsePolicy(file.value);
  assert.ok('document' in parsed, JSON.stringify(parsed));
  const loaded = loadConfig({ POSTERN_DOMAINS: 'here.example', POSTERN_INSIDE_ROUTE: 'smtp://127.0.0.1:2' });
  assert.ok('config' in loaded);
  const { config } = loaded;
  const deadlines = new Deadlines();
  deadlines.stop();
  const memories = { lists: {}, recipients: null, geoip: null, rates: ratesMemory(), greylist: null, hashes: null };
  const held = new SharedArrayBuffer(8 * parsed.document.rules.length);
  const tools = {
    config,
    local: { domains: new Set(config.domains), subdomains: false },
    dns,
    relaxer: relaxerTwin,
    deadlines,
    hooks: { ended: () => {}, breaker: () => {} },
    insideTargets: () => [],
    sourceMsMax: SOURCE_MS_MAX,
    shard: 0,
  };
  const labels = filterLabels(parsed.document.filters, config.workers);
  const examined = new SharedArrayBuffer(8 * labels.length);
  return new Policy({ document: parsed.document, ...memories, held, examined }, tools, sources);
}
