/** A policy in force in this shard: the document's rules, the sources that they ask, and who looks at content. */
import { monotonicMs } from '../base/clock.ts';
import type { Config } from '../config/options.ts';
import { Authenticator } from '../facts/authentication.ts';
import { CalloutDirectory } from '../facts/callout.ts';
import { dnsListSources } from '../facts/dns_lists.ts';
import { Gatherer } from '../facts/gather.ts';
import type { GeoipMemory } from '../facts/geoip.ts';
import { geoipSource } from '../facts/geoip.ts';
import { Greylist, greylistSource } from '../facts/greylist.ts';
import { heloSource } from '../facts/helo.ts';
import type { ListMemories } from '../facts/lists.ts';
import { SharedLists } from '../facts/lists.ts';
import { RateTable, rateSources } from '../facts/rates.ts';
import { CachedDirectory } from '../facts/recipient_cache.ts';
import type { HashesInForce } from '../facts/recipient_hashes.ts';
import { HashedDirectory } from '../facts/recipient_hashes.ts';
import { HttpDirectory } from '../facts/recipient_http.ts';
import { LdapDirectory } from '../facts/recipient_ldap.ts';
import { ListedDirectory } from '../facts/recipient_list.ts';
import type { Directory } from '../facts/recipients.ts';
import { recipientSource } from '../facts/recipients.ts';
import { reverseNameSource } from '../facts/reverse_name.ts';
import type { Source } from '../facts/source.ts';
import { FilterCounts } from '../filters/counts.ts';
import { createFilter } from '../filters/create.ts';
import type { Filter, FilterHooks } from '../filters/filter.ts';
import type { Side } from '../message/envelope.ts';
import { Firewall } from '../message/firewall.ts';
import { Rewriting } from '../message/rewriting.ts';
import { isPrivate, NetworkSet } from '../net/addresses.ts';
import type { Deadlines } from '../net/connection.ts';
import type { Dns } from '../net/dns.ts';
import type { Clause } from '../policy/decisive.ts';
import { decisive } from '../policy/decisive.ts';
import type { PolicyDocument } from '../policy/document.ts';
import type { FactId, Facts, Stage } from '../policy/facts.ts';
import type { LocalDomains } from '../policy/recipient.ts';
import type { Rule, Verdict } from '../policy/rules.ts';
import { Rules } from '../policy/rules.ts';
import type { Relaxer } from '../scanner/relaxer.ts';
import { Counts } from '../telemetry/tally.ts';
import { lookUpAddresses } from './mx.ts';
import type { Target } from './router.ts';

/** Crosses threads as it is: memories are shared, the rest is plain. */
export type PolicyInForce = {
  readonly document: PolicyDocument;
  readonly lists: ListMemories;
  readonly recipients: SharedArrayBuffer | null;
  readonly geoip: GeoipMemory | null;
  readonly rates: SharedArrayBuffer;
  readonly greylist: SharedArrayBuffer | null;
  readonly hashes: HashesInForce;
  /** How often each rule of the document has held (telemetry/tally.ts). */
  readonly held: SharedArrayBuffer;
  /** What became of examinations, by filter (filters/counts.ts). */
  readonly examined: SharedArrayBuffer;
};

/** What a policy needs of its shard. */
export type PolicyTools = {
  readonly config: Config;
  readonly local: LocalDomains;
  readonly dns: Dns;
  readonly relaxer: Relaxer;
  readonly deadlines: Deadlines;
  readonly hooks: FilterHooks;
  readonly shard: number;
  /** Where inside servers are; none: they cannot be found now. Never rejects. */
  readonly insideTargets: () => Promise<readonly Target[]> | readonly Target[];
  readonly sourceMsMax: number;
};

/** Facts that no source gives, but the session or its content. */
const INTRINSIC: ReadonlySet<FactId> = new Set<FactId>([
  'side',
  'client.address',
  'client.login',
  'helo',
  'tls',
  'from',
  'from.domain',
  'rcpt',
  'rcpt.domain',
  'recipients',
  'header.from',
  'header.from.domain',
  'header.subject',
  'header.names',
  'bytes',
]);

const MIME: readonly FactId[] = [
  'mime.names',
  'mime.extensions',
  'mime.types',
  'mime.depth',
  'mime.parts',
  'mime.faults',
];
const HEADER: readonly FactId[] = ['header.from', 'header.from.domain', 'header.subject', 'header.names'];
const FILTERS: readonly FactId[] = ['virus', 'spam.score', 'spam.action', 'filters.failed'];
const AUTHENTICATION: readonly FactId[] = [
  'spf',
  'dkim',
  'dkim.results',
  'dmarc',
  'dmarc.policy',
  'dmarc.disposition',
  'arc',
];

export class Policy {
  readonly document: PolicyDocument;
  readonly gatherer: Gatherer;
  readonly authenticator: Authenticator;
  readonly filters: readonly Filter[];
  readonly rewriting: Rewriting | null;
  readonly wants: { readonly mime: boolean; readonly headers: boolean };
  readonly #rules: Rules;
  readonly #lists: SharedLists;
  readonly #held: Counts;
  readonly #firewalls: Readonly<Record<Side, Firewall>>;
  readonly #closing: { close(): unknown }[] = [];

  constructor(inForce: PolicyInForce, tools: PolicyTools, extraSources: readonly Source[] = []) {
    const { document } = inForce;
    this.document = document;
    this.#lists = new SharedLists(inForce.lists);
    this.#held = new Counts(inForce.held);
    const sources = [...this.#sources(inForce, tools), ...extraSources];
    const given = new Set<FactId>([...INTRINSIC, ...MIME, ...sources.flatMap(({ gives }) => gives)]);
    if (document.authentication.check) for (const id of AUTHENTICATION) given.add(id);
    if (document.filters.length > 0) for (const id of FILTERS) given.add(id);
    this.#rules = new Rules(document.rules, given);
    const needed = new Set([...this.#rules.needed, ...toldTo(document.filters)]);
    this.gatherer = new Gatherer(sources, needed, tools.sourceMsMax);
    this.authenticator = new Authenticator(tools.dns, tools.relaxer, tools.config.hostname);
    const { deadlines, dns } = tools;
    const { filters } = document;
    const counts = new FilterCounts(inForce.examined, filters, tools.config.workers, tools.shard);
    const hooks = bothHooks(counts, tools.hooks);
    const lookUp = (host: string) => lookUpAddresses(dns, host);
    this.filters = filters.map((each) => createFilter(each, { deadlines, lookUp, timers: TIMERS, hooks }));
    this.#closing.push(...this.filters);
    const { rewrite, headers, mime } = document;
    const rewrites = rewrite.addresses.length + rewrite.domains.length + rewrite.masquerade.length > 0;
    this.rewriting = rewrites ? new Rewriting(rewrite) : null;
    this.#firewalls = firewallsOf(headers);
    const needs = (ids: readonly FactId[]): boolean => ids.some((id) => this.#rules.needed.has(id));
    this.wants = { mime: mime.strip.length > 0 || needs(MIME), headers: needs(HEADER) };
  }

  /** Rules that are never tried, since nobody gives the facts that they ask for. */
  get leftOut(): readonly Rule[] {
    return this.#rules.leftOut;
  }

  silent(stage: Stage): boolean {
    return this.#rules.silent(stage);
  }

  /** All of the facts that matter at this stage. */
  asks(stage: Stage): readonly FactId[] {
    return this.#rules.asks(stage);
  }

  judge(stage: Stage, facts: Facts): Verdict {
    return this.#rules.judge(stage, facts, this.#lists);
  }

  /** Why this rule holds, or why it does not. */
  decisive({ when }: Rule, facts: Facts): readonly Clause[] {
    return decisive(when, facts, this.#lists);
  }

  /** It has held. */
  count(rule: Rule): void {
    this.#held.count(this.document.rules.indexOf(rule));
  }

  /** Header fields of this side are looked at in any case: the firewall or the table of addresses may change them. */
  edits(side: Side): boolean {
    const { headers, mime } = this.document;
    if (this.rewriting !== null || mime.strip.length > 0) return true;
    if (side === 'inside' && headers.inside.received !== 'keep') return true;
    return headers[side].remove.length + headers[side].add.length > 0;
  }

  firewall(side: Side): Firewall {
    return this.#firewalls[side];
  }

  /** Another one is in force: connections end when what is under way has ended. */
  close(): void {
    for (const each of this.#closing) void each.close();
  }

  #sources(inForce: PolicyInForce, tools: PolicyTools): readonly Source[] {
    const { document, geoip, greylist, rates } = inForce;
    const { config, dns, local } = tools;
    const recipients = this.#directory(inForce, tools);
    return [
      reverseNameSource(dns),
      ...dnsListSources(dns, document.dnsLists),
      heloSource(dns, { ...document.helo, names: [config.hostname], local }),
      ...(geoip === null ? [] : [geoipSource(geoip)]),
      ...rateSources(new RateTable(rates), document.limits),
      ...(greylist === null || document.greylist === undefined
        ? []
        : [greylistSource(new Greylist(greylist, document.greylist))]),
      ...(recipients === null || document.recipients === undefined
        ? []
        : [recipientSource(recipients, document.recipients)]),
    ];
  }

  #directory({ document, recipients, hashes }: PolicyInForce, tools: PolicyTools): Directory | null {
    const section = document.recipients;
    switch (section?.source) {
      case undefined:
        return null;
      case 'file':
        return recipients === null ? null : new ListedDirectory(recipients);
      case 'hashes':
        return new HashedDirectory(hashes);
      case 'http': {
        const directory = new HttpDirectory(section, tools.dns);
        this.#closing.push(directory);
        return new CachedDirectory(directory, section);
      }
      case 'ldap': {
        const directory = new LdapDirectory(section, tools.dns);
        this.#closing.push(directory);
        return new CachedDirectory(directory, section);
      }
      case 'callout': {
        const { host, port, tls } = section;
        const targets = async (): Promise<readonly Target[]> => {
          if (host === undefined) return await tools.insideTargets();
          const addresses = await lookUpAddresses(tools.dns, host);
          return addresses.map((address) => ({ protocol: 'smtp', host, address, port, tls, credentials: undefined }));
        };
        const directory = new CalloutDirectory({
          ...section,
          hostname: tools.config.hostname,
          deadlines: tools.deadlines,
          targets,
        });
        this.#closing.push(directory);
        return new CachedDirectory(directory, section);
      }
    }
  }
}

function firewallsOf({ outside, inside }: PolicyDocument['headers']): Readonly<Record<Side, Firewall>> {
  const networks = new NetworkSet(inside.hideNetworks);
  const isHidden = (address: string): boolean => isPrivate(address) || networks.contains(address);
  const remove = (rules: typeof outside): readonly string[] => [...rules.remove, ...rules.add];
  const nothing = { received: 'keep', hideNames: [], isHidden } as const;
  return {
    outside: new Firewall({ ...outside, remove: remove(outside), ...nothing }),
    inside: new Firewall({ ...inside, remove: remove(inside), isHidden }),
  };
}

/** What filters are told beside what the session knows; a virus scanner wants none of it. */
const toldTo = (filters: PolicyDocument['filters']): readonly FactId[] =>
  filters.some(({ type }) => type !== 'clamd' && type !== 'spamd') ? ['client.name', 'client.confirmed'] : [];

const bothHooks = (one: FilterHooks, other: FilterHooks): FilterHooks => ({
  ended: (end) => {
    one.ended(end);
    other.ended(end);
  },
  breaker: (filter, open) => {
    one.breaker(filter, open);
    other.breaker(filter, open);
  },
});

const TIMERS = {
  nowMs: monotonicMs,
  after: (ms: number, action: () => void) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};
