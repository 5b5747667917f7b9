/** What a shard has in common, on a spool in memory: no thread, no disk, and every log line and failure at hand. */
import assert from 'node:assert/strict';
import { idSource } from '../../src/base/ids.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Deadlines } from '../../src/net/connection.ts';
import { PressureWord, pressureMemory } from '../../src/relay/pressure_word.ts';
import { Relay } from '../../src/relay/relay.ts';
import { twin } from '../../src/scanner/twin.ts';
import type { CounterId } from '../../src/telemetry/metrics.ts';
import { createMetricsMemory, Metrics, totalOf } from '../../src/telemetry/metrics.ts';
import { MemorySpool } from './memory_spool.ts';
import { testPolicy } from './policy.ts';

export type Line = Readonly<Record<string, unknown>> & { readonly event: string };

/** `deadlines` is stopped by whoever asks; its `outbound` is not there yet. `logged` hears of each line. */
export function testRelay(environment: Readonly<Record<string, string>> = {}, logged: () => void = () => {}) {
  const loaded = loadConfig({
    POSTERN_DOMAINS: 'here.example',
    POSTERN_INSIDE_ROUTE: 'smtp://127.0.0.1:2',
    POSTERN_HOSTNAME: 'mx.here.example',
    POSTERN_WORKERS: '1',
    ...environment,
  });
  assert.ok('config' in loaded, JSON.stringify(loaded));
  const { config } = loaded;
  const spool = new MemorySpool();
  const lines: Line[] = [];
  const broken: string[] = [];
  const deadlines = new Deadlines();
  const memory = createMetricsMemory(1);
  const relay = new Relay({
    config,
    spool,
    scanner: twin,
    deadlines,
    policy: testPolicy(),
    pressure: new PressureWord(pressureMemory()),
    metrics: new Metrics(memory, 0),
    logger: {
      log: (event, fields = {}) => {
        lines.push({ event, ...fields });
        logged();
      },
    },
    nextId: idSource('node00', 0),
    onSessionClosed: () => {},
    onBroken: (detail) => broken.push(detail),
  });
  return { config, relay, spool, lines, broken, deadlines, counted: (id: CounterId) => totalOf(memory, id) };
}
