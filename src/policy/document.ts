/**
 * The policy file as a whole: what stands in it, checked, and nothing that depends on a machine. It crosses threads as
 * it is.
 */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { filtersSchema } from '../config/filters.ts';
import { AUTHENTICATION } from '../config/policy/authentication.ts';
import { dnsListsSection } from '../config/policy/dns_lists.ts';
import { geoipSection } from '../config/policy/geoip.ts';
import { greylistCondition, greylistSection } from '../config/policy/greylist.ts';
import { HEADERS } from '../config/policy/headers.ts';
import { heloSection } from '../config/policy/helo.ts';
import { listsSection } from '../config/policy/lists.ts';
import { MIME } from '../config/policy/mime.ts';
import { limitsSection } from '../config/policy/rates.ts';
import { recipientsSection } from '../config/policy/recipients.ts';
import { REWRITE } from '../config/policy/rewrite.ts';
import { clashes } from '../message/rewriting.ts';
import { BUILTIN } from './builtin.ts';
import type { Fault } from './condition.ts';
import type { RuleText } from './rule_text.ts';
import { parseRules, RULE } from './rule_text.ts';
import type { Rule } from './rules.ts';

const RULES_MAX = 1000;

export const DOCUMENT = z.strictObject({
  rules: z.array(RULE).max(RULES_MAX).default([]).describe('In order; the first final action of a stage wins.'),
  builtin: z
    .record(z.string(), z.enum(['off', 'dryRun']))
    .default({})
    .describe('Built-in rules that are not wanted, or only logged, by id.'),
  lists: listsSection,
  dnsLists: dnsListsSection,
  helo: heloSection,
  limits: limitsSection,
  greylist: greylistSection,
  geoip: geoipSection,
  recipients: recipientsSection,
  authentication: AUTHENTICATION.prefault({}),
  filters: filtersSchema.describe('Content filters; a message streams to all of them at once.'),
  mime: MIME.prefault({}),
  headers: HEADERS.prefault({}),
  rewrite: REWRITE.prefault({}),
});

type Sections = Omit<z.output<typeof DOCUMENT>, 'rules' | 'builtin'>;

export type PolicyDocument = Sections & {
  /** Those of the file, then the built-in ones. */
  readonly rules: readonly Rule[];
};

export type ParsedPolicy = { readonly document: PolicyDocument } | { readonly faults: readonly Fault[] };

/** `value` is what the file holds; null: there is no file, or nothing in it. */
export function parsePolicy(value: unknown): ParsedPolicy {
  const parsed = DOCUMENT.safeParse(value ?? {});
  if (!parsed.success) return { faults: [...formFaults(parsed.error), ...ruleFaults(value as object)] };
  const { rules, builtin, ...sections } = parsed.data;
  const faults: Fault[] = [...crossFaults(sections)];
  const lists = new Set(Object.keys(sections.lists));
  const own = parseRules(rules, lists, ['rules'], faults);
  for (const id of Object.keys(builtin)) {
    if (!BUILTIN.some((each) => each.id === id))
      faults.push({ path: ['builtin', id], message: 'there is no such rule' });
  }
  const wanted = BUILTIN.filter(({ id }) => builtin[id] !== 'off' && !own.some((rule) => rule.id === id)).map((each) =>
    RULE.parse({ ...conditioned(each, sections), dryRun: builtin[each.id] === 'dryRun' }),
  );
  const serving = parseRules(wanted, lists, ['greylist'], faults);
  return faults.length > 0 ? { faults } : { document: { ...sections, rules: [...own, ...serving] } };
}

/** A key that nobody knows is told where it stands, not where the map around it begins. */
const formFaults = ({ issues }: z.ZodError): readonly Fault[] =>
  issues.flatMap((issue): readonly Fault[] => {
    const path = issue.path.map(step);
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
    return issue.keys.map((key) => ({ path: [...path, key], message: 'there is no such key' }));
  });

/** What is wrong with those rules whose form is right, though something else in the file has none. */
function ruleFaults(value: { readonly rules?: unknown; readonly lists?: unknown }): readonly Fault[] {
  const faults: Fault[] = [];
  const rules: readonly unknown[] = Array.isArray(value.rules) ? value.rules.slice(0, RULES_MAX) : [];
  const formed = rules.map((rule) => RULE.safeParse(rule).data ?? null);
  parseRules(formed, new Set(Object.keys(Object(value.lists ?? {}))), ['rules'], faults);
  return faults;
}

/** Whom the greylist lets through stands in its section. */
const conditioned = (rule: RuleText, { greylist }: Sections): RuleText =>
  rule.id === 'grey' && greylist !== undefined ? { ...rule, when: greylistCondition(greylist) } : rule;

/** What no section can see by itself. */
function crossFaults({ headers, rewrite, greylist, lists }: Sections): readonly Fault[] {
  const faults: Fault[] = [];
  for (const [at, network] of headers.inside.hideNetworks.entries()) {
    if (!ipaddr.isValidCIDR(network))
      faults.push({ path: ['headers', 'inside', 'hideNetworks', at], message: 'write networks as 10.0.0.0/8' });
  }
  for (const clash of clashes(rewrite)) {
    const message = `${clash.address} has two counterparts, so mail would not find its way back`;
    if (clash.kind === 'twice') faults.push({ path: ['rewrite', ...clash.at], message });
  }
  const { spfDomains } = greylist ?? {};
  if (spfDomains !== undefined && !Object.hasOwn(lists, spfDomains))
    faults.push({ path: ['greylist', 'spfDomains'], message: `there is no list ${JSON.stringify(spfDomains)}` });
  return faults;
}

const step = (key: PropertyKey): string | number => (typeof key === 'number' ? key : String(key));
