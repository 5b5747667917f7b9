/**
 * From environment to Config, or every fault at once: each names the variable, shows its value (never one that may hold
 * a password), and says what to write instead.
 *
 *   environment ─► unknown names? ─► texts by their schemas ─► what the machine gives ─► checks.ts across options ─►
 *   Config
 */
import { crossFaults } from './checks.ts';
import { nearest } from './nearest.ts';
import type { Config, Option, OptionKey, Parsed } from './options.ts';
import { MEMORY_BYTES_MOST, OPTIONS, SPOOL_FREE_BYTES_MOST, variableOf } from './options.ts';
import { canonicalAddress, withTls } from './parsers.ts';
import type { System } from './system.ts';
import { readSystem } from './system.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Loaded = { readonly config: Config } | { readonly faults: readonly string[] };

const KEYS = Object.keys(OPTIONS) as OptionKey[];
const CONNECTIONS_DEFAULT = 16_000;
const MIB = 1_048_576;
const CONTENT_BYTES_DEFAULT = 256 * MIB;
const SPOOL_FREE_BYTES_DEFAULT = 1024 * MIB;
/** Half of it, where level 2 begins, is still the segment in use and the next one of each shard. */
const SPOOL_FREE_SEGMENTS = 4;
/** The client's socket, the file of a large message, and the connection that carries it on. */
const DESCRIPTORS_PER_SESSION = 3;
/** Listeners, standard streams, refused clients that linger (LIMITS.refusedSocketsMax), admin clients, libraries. */
const DESCRIPTORS_RESERVED = 400;
/** Journal segments, DNS sockets, and the pipes of an event loop. */
const DESCRIPTORS_PER_SHARD = 48;
const VALUE_CHARS_SHOWN = 100;

/** `environment` is process.env but in tests. Reads the files of `tlsCert` and `tlsKey`, writes nothing. */
export function loadConfig(environment: Environment = process.env, system: System = readSystem()): Loaded {
  const faults = unknownVariables(environment);
  const texts = withMachineDefaults(textsOf(environment), system);
  const { parsed, failed } = parse(texts, environment, faults);
  const config = completed(parsed);
  const connections = connectionsWithin(config, environment, system);
  for (const each of [...connections.faults, ...crossFaults(config)]) {
    if (!each.about.some((key) => failed.has(key))) faults.push(each.fault); // what failed has had its say
  }
  if (faults.length > 0) return { faults };
  return { config: { ...config, connectionsMax: connections.max } };
}

/** The spool folder alone, for whoever looks into a queue: the rest of the environment is the relay's business. */
export function loadSpoolDir(environment: Environment = process.env): string {
  return OPTIONS.spoolDir.schema.parse(textsOf(environment).spoolDir);
}

type Texts = Readonly<Record<OptionKey, string>>;

const isSet = (environment: Environment, key: OptionKey): boolean => (environment[variableOf(key)] ?? '').trim() !== '';

/** An empty text means that the variable is not set, but where the row gives it a meaning. */
function textsOf(environment: Environment): Texts {
  const texts = KEYS.map((key) => {
    const option: Option = OPTIONS[key];
    const text = environment[variableOf(key)];
    const given = isSet(environment, key) || (text !== undefined && option.emptyIsNone === true);
    return [key, given ? text : option.default];
  });
  return Object.fromEntries(texts) as Texts;
}

/** A quarter of a small machine: the rest is for everything else that we do. */
const contentBytesOf = ({ memoryBytes }: System): number =>
  Math.max(16 * MIB, Math.min(CONTENT_BYTES_DEFAULT, Math.floor(memoryBytes / 4)));

/** A quarter is left to the kernel: sockets, page cache. */
const residentBytesOf = ({ memoryBytes }: System): number =>
  Math.min(MEMORY_BYTES_MOST, Math.floor((memoryBytes * 3) / 4));

/** Texts that are no numbers, or out of bounds, are refused by their own rows. */
function spoolFreeBytesOf(workers: string, segmentBytes: string): number {
  const asked = SPOOL_FREE_SEGMENTS * Number(workers) * Number(segmentBytes);
  return asked > SPOOL_FREE_BYTES_DEFAULT ? Math.min(asked, SPOOL_FREE_BYTES_MOST) : SPOOL_FREE_BYTES_DEFAULT;
}

function withMachineDefaults(texts: Texts, system: System): Texts {
  const nameservers = system.nameservers.filter((text) => canonicalAddress(text) !== null);
  const workers = texts.workers || String(Math.min(system.cores, 256));
  return {
    ...texts,
    hostname: texts.hostname || system.hostname,
    workers,
    connectionsMax: texts.connectionsMax || String(CONNECTIONS_DEFAULT),
    memoryBytesMax: texts.memoryBytesMax || String(contentBytesOf(system)),
    spoolFreeBytesMin: texts.spoolFreeBytesMin || String(spoolFreeBytesOf(workers, texts.segmentBytes)),
    memoryResidentBytesMax: texts.memoryResidentBytesMax || String(residentBytesOf(system)),
    // resolv.conf(5): none means loopback.
    dnsServers: texts.dnsServers || nameservers.slice(0, 8).join(',') || '127.0.0.1',
  };
}

/** What each option falls back to while the rest is checked, so that all faults are found at once. */
const STAND_IN: Readonly<Partial<Record<OptionKey, string>>> = {
  hostname: 'localhost',
  workers: '1',
  connectionsMax: '1',
  memoryBytesMax: String(16 * MIB),
  spoolFreeBytesMin: '0',
  memoryResidentBytesMax: '0',
};

function parse(
  texts: Texts,
  environment: Environment,
  faults: string[],
): { parsed: Parsed; failed: ReadonlySet<OptionKey> } {
  const values: Partial<Record<OptionKey, unknown>> = {};
  const failed = new Set<OptionKey>();
  for (const key of KEYS) {
    const { schema, default: preset } = OPTIONS[key];
    const result = schema.safeParse(texts[key]);
    if (result.success) {
      values[key] = result.data;
      continue;
    }
    failed.add(key);
    for (const issue of result.error.issues) faults.push(fault(key, texts[key], environment, issue.message));
    values[key] = schema.parse(STAND_IN[key] ?? preset);
  }
  return { parsed: values as Parsed, failed };
}

/** One fault, one line. A default of the machine's that does not fit is shown as such. */
function fault(key: OptionKey, text: string, environment: Environment, message: string): string {
  const option: Option = OPTIONS[key];
  const variable = variableOf(key);
  if (option.secret === true) return `${variable}: ${message} (its value is not shown, it may hold a password)`;
  if (!isSet(environment, key))
    return `${variable} is not set, and the system's ${shown(text)} will not do: ${message}`;
  return `${variable}=${shown(text)}: ${message}`;
}

const shown = (text: string): string =>
  JSON.stringify(text.length > VALUE_CHARS_SHOWN ? `${text.slice(0, VALUE_CHARS_SHOWN)}…` : text);

function completed(parsed: Parsed): Config {
  const { domains, hostname, insideRoute, insideTls, outsideRoute, outsideTls } = parsed;
  return {
    ...parsed,
    domains: [...new Set(domains)],
    postmaster: parsed.postmaster || `postmaster@${domains[0] ?? hostname}`,
    insideRoute: insideRoute.map((route) => withTls(route, insideTls)),
    outsideRoute: outsideRoute === 'mx' ? 'mx' : outsideRoute.map((route) => withTls(route, outsideTls)),
  };
}

/**
 * The default leaves room for all that a session may open; a number that somebody wrote is kept while the sockets
 * fit.
 */
function connectionsWithin(config: Config, environment: Environment, system: System) {
  const free = system.descriptorsMax - DESCRIPTORS_RESERVED - DESCRIPTORS_PER_SHARD * config.workers;
  const most = Math.floor(free / DESCRIPTORS_PER_SESSION);
  const limit = `the limit of ${system.descriptorsMax} open files`;
  if (most < 1) {
    const fault = `${variableOf('workers')}="${config.workers}": ${limit} leaves no connection; raise it (ulimit -n)`;
    return { max: 1, faults: [{ about: ['workers'] as OptionKey[], fault }] };
  }
  if (!isSet(environment, 'connectionsMax')) return { max: Math.min(config.connectionsMax, most), faults: [] };
  if (config.connectionsMax <= free) return { max: config.connectionsMax, faults: [] };
  const written = `${variableOf('connectionsMax')}="${config.connectionsMax}"`;
  const allows = `${limit} allows ${free}, and ${most} with all that a session may open`;
  const fault = `${written}: ${allows}; write less, or raise it (ulimit -n)`;
  return { max: most, faults: [{ about: ['workers', 'connectionsMax'] as OptionKey[], fault }] };
}

/** A misspelt option must not be a silent default. Its value is not shown: it may be a misspelt secret. */
function unknownVariables(environment: Environment): string[] {
  const known = KEYS.map(variableOf);
  return Object.keys(environment)
    .filter((name) => name.startsWith('POSTERN_') && !known.includes(name))
    .sort()
    .map((name) => {
      const near = nearest(name, known);
      const advice = near === null ? 'leave it out' : `did you mean ${near}?`;
      return `${name.slice(0, VALUE_CHARS_SHOWN)}: no such option; ${advice}`;
    });
}
