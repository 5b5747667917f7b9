/**
 * The relays of a comparison: none at all (the ceiling of the load itself), this Postern, and whoever `--vs` names:
 * relays of another make, or other revisions of Postern.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bench, LOAD_ENVIRONMENT } from '../bench.ts';
import { peakRssBytes } from '../measure/processes.ts';
import { Wrong } from '../options.ts';
import { exim } from './exim.ts';
import { haraka } from './haraka.ts';
import { opensmtpd } from './opensmtpd.ts';
import type { Peer, PeerOptions, PeerRelay } from './peer.ts';
import { startPostern } from './postern.ts';
import { postfix } from './postfix.ts';
import { commitOf, treeOf } from './revision.ts';

export const PEERS: readonly Peer[] = [postfix, haraka, exim, opensmtpd];

/** A relay that runs, with what a reader has to know to judge its figures. */
export type Relay = PeerRelay & Pick<Peer, 'name' | 'durability' | 'cpuUnknown'>;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const POSTERN: Omit<Peer, 'name' | 'start'> = {
  durability: 'a synced write to the journal, one for all that wait',
  getIt: 'it is here',
  tls: true,
  missing: () => undefined,
};

const postern: Peer = { ...POSTERN, name: 'postern', start: (options) => startTree(options, ROOT) };

const revisionPeer = (commit: string): Peer => ({
  ...POSTERN,
  name: `postern@${commit}`,
  start: (options) => startTree(options, treeOf(commit, options.folder)),
});

async function startTree({ folder, sinkPort, tls }: PeerOptions, tree: string): Promise<PeerRelay> {
  const environment = {
    ...LOAD_ENVIRONMENT,
    INSIDE_ROUTE: `smtp://127.0.0.1:${sinkPort}`,
    ...(tls !== undefined && { TLS_CERT: tls.certFile, TLS_KEY: tls.keyFile }),
  };
  const running = await startPostern({ folder, environment, ...(tree !== ROOT && { tree }) });
  const { version } = JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8')) as { version: string };
  return {
    version,
    port: running.outside.port,
    pid: running.pid,
    memoryBytes: () => peakRssBytes(running.pid),
    stop: async () => void (await running.stop()),
  };
}

/**
 * Of `--vs`: names of peers, or revisions, with commas between them; `none`. Without it: Postfix, where it is
 * installed. Throws, with what to do about it, where one cannot be had.
 */
export function contenders(vs: string | undefined): Peer[] {
  if (vs === undefined) return postfix.missing() === undefined ? [postfix] : [];
  if (vs === 'none') return [];
  const named = vs.split(',').map((name) => {
    const peer = PEERS.find((one) => one.name === name);
    const missing = peer?.missing();
    if (peer !== undefined && missing !== undefined) throw new Wrong(`--vs ${name}: ${missing}. ${peer.getIt}`);
    if (peer !== undefined) return peer;
    const commit = commitOf(name);
    if (commit !== undefined) return revisionPeer(commit);
    const known = PEERS.map((one) => one.name).join(', ');
    throw new Wrong(`--vs ${name}: neither a peer (${known}) nor a revision that git knows, nor none`);
  });
  // Two names of one commit are one contender.
  return [...new Map(named.map((peer) => [peer.name, peer])).values()];
}

/** All of them, with the sink itself first. Each is stopped with the scenario. */
export async function startRelays(bench: Bench, sinkPort: number): Promise<Relay[]> {
  const direct = { name: 'direct', version: '', durability: 'no relay: to the sink, which only counts' };
  const nothing = { port: sinkPort, pid: 0, memoryBytes: () => 0, stop: async () => undefined };
  return [{ ...direct, ...nothing }, ...(await startContenders(bench, { sinkPort }))];
}

/** This Postern, and whoever is measured beside it. */
export async function startContenders(bench: Bench, options: Omit<PeerOptions, 'folder'>): Promise<Relay[]> {
  const relays: Relay[] = [];
  for (const peer of [postern, ...bench.settings.contenders]) {
    const { name, durability, cpuUnknown, tls } = peer;
    if (options.tls !== undefined && !tls) throw new Wrong(`--vs ${name}: it is not set up for STARTTLS here`);
    const relay = await peer.start({ folder: bench.folder(name), ...options });
    relays.push({ ...bench.started(relay), name, durability, ...(cpuUnknown !== undefined && { cpuUnknown }) });
  }
  return relays;
}
