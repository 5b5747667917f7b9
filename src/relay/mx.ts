/**
 * From the domain of a recipient to the hosts that take its mail (RFC 5321 §5.1, RFC 7505), or why there are none.
 *
 *   [literal] ─► that address
 *   name ─► MX? ── "." alone ─► permanent 5.1.10
 *            │  └─ none: the name itself is its host
 *            ▼
 *         by preference, equal ones shuffled ─► addresses of all ─► we among them: only what is preferred to us
 *                                                              └─► private ones refused
 *
 * Whoever sends mail chooses the domain, so everything DNS says here is a stranger's word: hosts and addresses are
 * limited, and the inside of the wall cannot be reached by naming it in an MX.
 */
import { randomBelow } from '../base/random.ts';
import { LIMITS } from '../config/limits.ts';
import { isAddress, isLoopback, isPrivate, normaliseAddress } from '../net/addresses.ts';
import type { Dns, DnsAnswer, Mx } from '../net/dns.ts';

export type MxSettings = {
  /** Our name: a host of that name is us. */
  readonly hostname: string;
  /** Where we listen. Loopback ones do not count: on them everything else of a test listens, too. */
  readonly ownAddresses: readonly string[];
  /** Whether a host may have a loopback or private address. */
  readonly allowPrivate: boolean;
};

export type MxHost = {
  /** Lower case, without a dot at the end; for a literal the address. */
  readonly name: string;
  readonly preference: number;
  /** In the order in which to try them; never empty. */
  readonly addresses: readonly string[];
  /** The addresses are authentic by DNSSEC (RFC 7672 §2.2.2). */
  readonly authentic: boolean;
};

export type MxFailed = {
  readonly tag: 'failed';
  readonly permanent: boolean;
  /** RFC 3463. */
  readonly enhanced: string;
  readonly detail: string;
};

export type MxResult =
  | {
      readonly tag: 'hosts';
      /** The sorted names of the hosts, so that domains with the same hosts share it; for a literal the address. */
      readonly site: string;
      /** In the order in which to try them; never empty. */
      readonly hosts: readonly MxHost[];
      /** The names of the hosts are authentic by DNSSEC (RFC 7672 §2.2.1). */
      readonly authentic: boolean;
    }
  | MxFailed;

const failed = (permanent: boolean, enhanced: string, detail: string): MxFailed => ({
  tag: 'failed',
  permanent,
  enhanced,
  detail,
});

/** `domain` is a name in A-labels or an address literal, as the grammar of addresses gives it. Never rejects. */
export async function resolveHosts(
  dns: Dns,
  domain: string,
  settings: MxSettings,
  random: (below: number) => number = randomBelow,
): Promise<MxResult> {
  if (domain.startsWith('[')) return literalHost(domain, settings);
  const name = domain.toLowerCase();
  const answer = await dns.query(name, 'MX');
  if (answer.tag === 'failed') return failed(false, '4.4.3', `MX of ${name} cannot be looked up (${answer.reason})`);
  if (answer.tag === 'none' && answer.why === 'nxdomain') return failed(true, '5.1.2', `domain ${name} does not exist`);
  const listed = exchangesOf(name, answer);
  if ('tag' in listed) return listed;
  const exchanges = byPreference(listed, random);
  const found = await Promise.all(exchanges.map((exchange) => lookUpHost(dns, exchange)));
  const chosen = choose(name, found, settings);
  if ('tag' in chosen) return chosen;
  const site = exchanges
    .map(({ exchange }) => exchange)
    .sort()
    .join(',');
  return { tag: 'hosts', site, hosts: chosen, authentic: answer.authentic };
}

/** All addresses of a configured host, which is a name or an address; empty where none is found. */
export async function lookUpAddresses(dns: Dns, host: string): Promise<readonly string[]> {
  if (isAddress(host)) return [normaliseAddress(host)];
  const found = await lookUpHost(dns, { preference: 0, exchange: host.toLowerCase() });
  return found.addresses;
}

/** RFC 5321 §4.1.3. */
function literalHost(domain: string, settings: MxSettings): MxResult {
  const address = normaliseAddress(domain.slice(1, -1).replace(/^IPv6:/i, ''));
  if (!isAddress(address)) return failed(true, '5.1.2', `address literal ${domain} is not known`);
  const host: Found = { name: address, preference: 0, addresses: [address], authentic: false, reason: null };
  const hosts = choose(domain, [host], settings);
  return 'tag' in hosts ? hosts : { tag: 'hosts', site: address, hosts, authentic: false };
}

/** The hosts that the answer names, each once. Names are checked: a stranger's, they go into logs and TLS. */
function exchangesOf(name: string, answer: DnsAnswer<'MX'> & { tag: 'records' | 'none' }): readonly Mx[] | MxFailed {
  if (answer.tag === 'none') return [{ preference: 0, exchange: name }]; // RFC 5321 §5.1: the implicit MX
  const [first] = answer.records;
  if (answer.records.length === 1 && first!.exchange === '')
    return failed(true, '5.1.10', `domain ${name} does not accept mail (null MX, RFC 7505)`);
  const best = new Map<string, Mx>();
  for (const mx of answer.records) {
    const before = best.get(mx.exchange);
    if (isHostName(mx.exchange) && (before === undefined || mx.preference < before.preference))
      best.set(mx.exchange, mx);
  }
  return best.size > 0 ? [...best.values()] : failed(true, '5.4.4', `MX of ${name} names no host`);
}

/** Letters, digits, hyphens and, for they are in use, underscores; an address written as a name is none. */
const isHostName = (text: string): boolean => /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(text) && !/\.\d+$/.test(text);

/**
 * Most preferred first, equal ones shuffled (RFC 5321 §5.1 spreads the load so). What is above the limit is cut before
 * the shuffle, so that a domain has one site however the dice fall.
 */
function byPreference(exchanges: readonly Mx[], random: (below: number) => number): readonly Mx[] {
  const compare = (a: Mx, b: Mx) => a.preference - b.preference || (a.exchange < b.exchange ? -1 : 1);
  const kept = [...exchanges].sort(compare).slice(0, LIMITS.mxHostsMax);
  for (let at = kept.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [kept[at], kept[other]] = [kept[other]!, kept[at]!];
  }
  return kept.sort((a, b) => a.preference - b.preference); // stable: equal ones stay shuffled
}

type Found = MxHost & {
  /** Why an address look-up failed for now, or null. */
  readonly reason: string | null;
};

/** Both families at once; one that fails does not hide the other. A CNAME is followed, against RFC 2181 §10.3. */
async function lookUpHost(dns: Dns, { exchange: name, preference }: Mx): Promise<Found> {
  const [v4, v6] = await Promise.all([dns.query(name, 'A'), dns.query(name, 'AAAA')]);
  const addresses = alternate(addressesIn(v4), addressesIn(v6)).slice(0, LIMITS.mxAddressesMax);
  const reason = v4.tag === 'failed' ? v4.reason : v6.tag === 'failed' ? v6.reason : null;
  const authentic = v4.tag !== 'failed' && v4.authentic && v6.tag !== 'failed' && v6.authentic;
  return { name, preference, addresses, authentic, reason };
}

const addressesIn = (answer: DnsAnswer<'A' | 'AAAA'>): readonly string[] =>
  answer.tag === 'records' ? answer.records.map(normaliseAddress) : [];

/**
 * IPv4 first, then in turn: so either family is tried early whatever the machine has. A network without IPv6 says so at
 * once or not at all, and one without IPv4 at once; within a family the resolver's order stands (RFC 5321 §5.1).
 */
function alternate(v4: readonly string[], v6: readonly string[]): readonly string[] {
  const addresses: string[] = [];
  for (let at = 0; at < Math.max(v4.length, v6.length); at++) {
    if (at < v4.length) addresses.push(v4[at]!);
    if (at < v6.length) addresses.push(v6[at]!);
  }
  return addresses;
}

/** What is left of `found`, in its order, once we ourselves, refused addresses and unknown hosts are out of it. */
function choose(domain: string, found: readonly Found[], settings: MxSettings): readonly MxHost[] | MxFailed {
  const own = new Set(settings.ownAddresses.map(normaliseAddress).filter((address) => !isLoopback(address)));
  const hostname = settings.hostname.toLowerCase();
  const us = found.filter((host) => host.name === hostname || host.addresses.some((address) => own.has(address)));
  // RFC 5321 §5.1: only hosts that are preferred to us take it from us, or it would go round in circles.
  const limit = Math.min(...us.map((host) => host.preference));
  const others = found.filter((host) => host.preference < limit);
  if (others.length === 0) return failed(true, '5.4.6', `mail for ${domain} would come back to us`);
  const hosts: MxHost[] = [];
  let refused = false;
  for (const { name, preference, addresses, authentic } of others) {
    const allowed = settings.allowPrivate ? addresses : addresses.filter((address) => !isPrivate(address));
    if (allowed.length < addresses.length) refused = true;
    if (allowed.length > 0) hosts.push({ name, preference, addresses: allowed, authentic });
  }
  if (hosts.length > 0) return hosts;
  const reason = others.find((host) => host.reason !== null)?.reason;
  if (reason !== undefined) return failed(false, '4.4.3', `hosts of ${domain} cannot be looked up (${reason})`);
  if (refused) return failed(true, '5.4.4', `hosts of ${domain} have private addresses only`);
  return failed(true, '5.4.4', `hosts of ${domain} have no address`);
}
