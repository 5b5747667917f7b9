/** Why a client is refused, in brief: for the log line of the refusal. Pure, every text bounded. */
import type { Asked } from '../facts/gather.ts';
import type { Subject } from '../facts/source.ts';
import type { Clause } from '../policy/decisive.ts';
import { valueText } from '../policy/decisive.ts';
import type { FactId, Facts, Stage } from '../policy/facts.ts';
import type { Final, Rule } from '../policy/rules.ts';
import { printMailbox } from '../smtp/address.ts';
import type { Refusal } from '../smtp/replies.ts';

export type Because = {
  readonly stage: Stage;
  /** Of a rule, or the name of a filter. */
  readonly rule?: string;
  readonly filter?: string;
  readonly helo: string;
  readonly from: string;
  /** At `rcpt`. */
  readonly to?: string;
  /** What the rule's condition looked at, each with its value. */
  readonly facts?: string;
  /** Who gave these facts, each with its milliseconds. */
  readonly costs?: string;
  /** Rules that were asked at this stage, this one included. */
  readonly tried?: number;
};

/** A refusal, and why where somebody thought about it: order, grammar and limits speak for themselves. */
export type Refused = Refusal & { readonly because?: Because };
export type Decision = Refused | null;

const VALUE_CHARS_MAX = 60;
const BRIEF_CHARS_MAX = 400;

/** What a client is told, with the rule's id. */
export function refusalOf(stage: Stage, { tag, rule, text, status }: Final): Refusal {
  const detail = `${text} [${rule}]`;
  if (tag === 'defer') return { key: 'policyDefer', detail };
  if (stage === 'connect') return { key: 'policyClosed', detail };
  return { key: status === '5.1.1' ? 'policyUnknown' : 'policyReject', detail };
}

export const who = (stage: Stage, { helo, sender, recipient }: Subject): Because => ({
  stage,
  helo,
  from: sender === null ? '' : printMailbox(sender),
  ...(stage === 'rcpt' && recipient !== null ? { to: printMailbox(recipient) } : {}),
});

/** `tried`: rules that were asked at this stage. */
export const byRule = (
  stage: Stage,
  subject: Subject,
  rule: string,
  clauses: readonly Clause[],
  asked: readonly Asked[],
  tried: number,
): Because => ({
  ...who(stage, subject),
  rule,
  facts: briefFacts(clauses),
  costs: briefCosts(clauses, asked),
  tried,
});

/** Of the log line that says a rule has held. */
export const ruleFields = (stage: Stage, { side, address }: Subject, rule: Rule, clauses: readonly Clause[]) => ({
  rule: rule.id,
  stage,
  action: rule.action.tag,
  dryRun: rule.dryRun,
  side,
  client: address,
  facts: briefFacts(clauses),
});

/** `asked` has what the filter found, and its time, once it has seen the content. */
export function byFilter(stage: Stage, subject: Subject, filter: string, asked: readonly Asked[]): Because {
  const because = { ...who(stage, subject), filter };
  const answer = asked.find(({ source }) => source === filter);
  if (answer === undefined) return because;
  const facts = briefText(Object.entries(answer.facts) as [FactId, Facts[FactId]][]);
  return { ...because, facts, costs: `${filter} ${roundMs(answer.ms)}` };
}

/** `dnsbl.score=7 dnswl.score=unknown` */
function briefFacts(clauses: readonly Clause[]): string {
  return briefText([...new Map(clauses.map(({ fact, value }) => [fact, value]))]);
}

const briefText = (facts: readonly (readonly [FactId, Facts[FactId]])[]): string =>
  facts
    .map(([fact, value]) => `${fact}=${valueText(value).slice(0, VALUE_CHARS_MAX)}`)
    .join(' ')
    .slice(0, BRIEF_CHARS_MAX);

/** `dns-list-zen.example.net 12` */
function briefCosts(clauses: readonly Clause[], asked: readonly Asked[]): string {
  const facts = new Set(clauses.map(({ fact }) => fact));
  const gave = asked.filter((each) => Object.keys(each.facts).some((id) => (facts as ReadonlySet<string>).has(id)));
  return gave
    .map(({ source, ms }) => `${source} ${roundMs(ms)}`)
    .join(', ')
    .slice(0, BRIEF_CHARS_MAX);
}

/** Tenths: what is at hand costs none, what is asked of DNS some. */
export const roundMs = (ms: number): number => Math.round(ms * 10) / 10;
