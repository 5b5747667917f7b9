/**
 * A relay for one message that goes nowhere: rules, sources and filters as the configuration has them, and in the place
 * of journal, delivery and counters nothing. What the running process keeps on disk is read and never written; what it
 * has in memory only is not seen, and `notes` say so. So a policy file can be tried before it is in force, and without
 * a process.
 */
import { assert } from '../base/assert.ts';
import { idSource, newNode } from '../base/ids.ts';
import type { Config } from '../config/options.ts';
import { readGreylist } from '../facts/greylist_file.ts';
import { ratesMemory } from '../facts/rates.ts';
import { PushedHashes } from '../facts/recipient_hashes.ts';
import { filterLabels } from '../filters/counts.ts';
import type { FilterEnd } from '../filters/filter.ts';
import { Deadlines } from '../net/connection.ts';
import type { PolicyDocument } from '../policy/document.ts';
import { chooseScanner } from '../scanner/index.ts';
import { systemDisk } from '../spool/disk.ts';
import { Rows } from '../spool/rows.ts';
import type { Draft, Spool } from '../spool/spool.ts';
import { createMetricsMemory, Metrics } from '../telemetry/metrics.ts';
import type { FilterLabel } from '../telemetry/tally.ts';
import { Tally } from '../telemetry/tally.ts';
import type { PolicyInForce } from './policy.ts';
import { Policy } from './policy.ts';
import { loadNamed, readPolicyDocument } from './policy_loading.ts';
import { policyTools } from './policy_tools.ts';
import { Relay } from './relay.ts';

export type StandSettings = {
  /** In its `config` the policy file. */
  readonly config: Config;
  /** Content filters are asked, as for any mail. */
  readonly filters: boolean;
  readonly onFiltered: (end: FilterEnd) => void;
};

export type Stand = {
  readonly relay: Relay;
  /** What is not as in the running process, a line each. */
  readonly notes: readonly string[];
  close(): void;
};

export async function openStand(settings: StandSettings): Promise<Stand | { readonly faults: readonly string[] }> {
  const { config } = settings;
  const read = readPolicyDocument(config.config);
  if ('faults' in read) return read;
  const loaded = await loadNamed(read.document);
  if ('faults' in loaded) return loaded;
  const notes: string[] = [];
  const document = settings.filters ? read.document : withoutFilters(read.document, notes);
  const inForce: PolicyInForce = {
    ...loaded.memories,
    document,
    rates: ratesMemory(),
    greylist: await greylistOf(document, config.spoolDir, notes),
    hashes: await hashesOf(document, config.spoolDir, notes),
    held: new SharedArrayBuffer(document.rules.length * BigUint64Array.BYTES_PER_ELEMENT),
    examined: new Tally<FilterLabel>().begin(filterLabels(document.filters, config.workers)),
  };
  if (document.limits.length > 0)
    notes.push('limits: what has been used up is in the memory of the running process; here nothing is');
  if (document.filters.length > 0) notes.push('filters: asked for real, as for any mail');
  return standOn(inForce, settings, notes);
}

function standOn(inForce: PolicyInForce, { config, onFiltered }: StandSettings, notes: readonly string[]): Stand {
  const { scanner, relaxer } = chooseScanner();
  const deadlines = new Deadlines();
  const hooks = { ended: onFiltered, breaker: () => {} };
  const policy = new Policy(inForce, policyTools({ config, relaxer, deadlines, hooks, shard: 0 }).tools);
  const relay = new Relay({
    config,
    spool: new NoSpool(),
    policy,
    scanner,
    deadlines,
    pressure: { deferral: () => null },
    metrics: new Metrics(createMetricsMemory(1), 0),
    logger: { log: () => {} },
    nextId: idSource(newNode(), 0),
    onSessionClosed: () => {},
    onBroken: () => {},
  });
  const close = () => {
    policy.close();
    deadlines.stop();
  };
  return { relay, notes, close };
}

function withoutFilters(document: PolicyDocument, notes: string[]): PolicyDocument {
  const names = document.filters.map(({ name }) => name);
  if (names.length > 0) notes.push(`filters: left out, and so are rules that need them: ${names.join(', ')}`);
  return { ...document, filters: [] };
}

async function greylistOf(
  { greylist }: PolicyDocument,
  spoolDir: string,
  notes: string[],
): Promise<SharedArrayBuffer | null> {
  if (greylist === undefined) return null;
  notes.push('greylist: as the spool folder has it, a second old at most; this visit is not noted');
  return await readGreylist(systemDisk, `${spoolDir}/greylist`, greylist.entriesMax, (line) => notes.push(line));
}

async function hashesOf({ recipients }: PolicyDocument, spoolDir: string, notes: string[]) {
  if (recipients?.source !== 'hashes') return null;
  const pushed = new PushedHashes(systemDisk, spoolDir, () => {});
  const fault = await pushed.load();
  notes.push(fault ?? 'recipients: as pushed last, from the spool folder');
  return pushed.inForce;
}

/** Takes everything and keeps nothing. */
class NoSpool implements Spool {
  readonly index = new Rows();
  readonly stats = { syncs: 0, records: 0, segments: 0, bytesOnDisk: 0, bytesInMemory: 0, broken: false };

  begin(): Draft {
    let bytes = 0;
    return {
      get bytes() {
        return bytes;
      },
      write: (_chunk, from, to) => {
        bytes += to - from;
        return undefined;
      },
      writeText: (text) => {
        bytes += text.length;
      },
      commit: nothingStored,
      discard: () => {},
    };
  }

  wake = nothingStored;
  rest = nothingStored;
  keep = nothingStored;
  read = nothingStored;
  mark = nothingStored;

  async close(): Promise<void> {}
}

const nothingStored = (): never => {
  assert(false, 'a check stores nothing');
  return undefined as never;
};
