/** A shard of its own, in this thread, on a spool in a folder. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { parseYaml } from '../../../src/config/yaml_file.ts';
import { ratesMemory } from '../../../src/facts/rates.ts';
import { parsePolicy } from '../../../src/policy/document.ts';
import type { PolicyInForce } from '../../../src/relay/policy.ts';
import { pressureMemory } from '../../../src/relay/pressure_word.ts';
import { startShard } from '../../../src/relay/shard.ts';
import { siteCountsMemory } from '../../../src/relay/site_counts.ts';
import { createMetricsMemory, Metrics } from '../../../src/telemetry/metrics.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-shard-'));
after(() => rmSync(folder, { recursive: true }));

const isLoaded = (library: string): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes(`/node_modules/${library}/`));

function inForce(yaml: string): PolicyInForce {
  const file = parseYaml('policy.yaml', yaml);
  assert.ok('value' in file);
  const parsed = parsePolicy(file.value);
  assert.ok('document' in parsed);
  const { document } = parsed;
  const named = { lists: {}, recipients: null, geoip: null, rates: ratesMemory(), greylist: null, hashes: null };
  const held = new SharedArrayBuffer(8 * document.rules.length);
  return { document, ...named, held, examined: new SharedArrayBuffer(0) };
}

function start(policy: PolicyInForce) {
  const loaded = loadConfig({
    POSTERN_DOMAINS: 'here.example',
    POSTERN_INSIDE_ROUTE: 'smtp://127.0.0.1:2',
    POSTERN_HOSTNAME: 'mx.here.example',
    POSTERN_WORKERS: '1',
    POSTERN_SPOOL_DIR: folder,
  });
  assert.ok('config' in loaded, JSON.stringify(loaded));
  return startShard({
    shard: 0,
    config: loaded.config,
    node: 'node00',
    tls: null,
    policy,
    ticketSecret: new Uint8Array(32),
    metrics: new Metrics(createMetricsMemory(1), 0),
    logger: { log: () => {} },
    siteCounts: siteCountsMemory(1),
    pressure: pressureMemory(),
    onSessionClosed: () => {},
    onBroken: (detail) => assert.fail(detail),
  });
}

test('what verifies mail is loaded before any comes, where the policy in force wants it, and only there', async () => {
  const shard = await start(inForce('authentication: { check: false }'));
  assert.ok(!isLoaded('mailauth'));
  shard.reloadPolicy(inForce('authentication: { check: true }'));
  assert.ok(isLoaded('mailauth'));
  await shard.drain(1000);
});
