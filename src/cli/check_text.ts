/**
 * What a check found, for people and awk: a line each, what it is in its first word, white space only in the last
 * column.
 *
 *   rcpt bob@example.org
 *     fact   dnsbl.score             5.2 ms  dns-list-zen        7
 *     rule   block-list            holds     reject              dnsbl.score=7 (at least 5)
 *     wait   2 s
 *     reply  550 5.7.1 Your address is on block lists [block-list]
 *
 * JSON holds the same as one object; a fact that is not known is null there.
 */
import type { Asked } from '../facts/gather.ts';
import type { FilterEnd } from '../filters/filter.ts';
import type { Clause } from '../policy/decisive.ts';
import { valueText } from '../policy/decisive.ts';
import type { Facts } from '../policy/facts.ts';
import type { CheckReport, StageReport, TriedRule } from '../relay/check.ts';
import { field } from './render.ts';

export type Checked = CheckReport & {
  readonly filters: readonly FilterWord[];
  /** What is not as in the running process. */
  readonly notes: readonly string[];
};

/** What a content filter said of the message. */
export type FilterWord = {
  readonly filter: string;
  readonly verdict: string;
  readonly dryRun: boolean;
  /** Why it could not examine; '' where it could. */
  readonly failure: string;
  readonly ms: number;
};

export function filterWord({ filter, findings, filterSeconds }: FilterEnd): FilterWord {
  const { verdict, dryRun, failure } = findings;
  return {
    filter,
    verdict: dryRun?.verdict ?? verdict,
    dryRun: dryRun !== undefined,
    failure: failure === undefined ? '' : `${failure.reason}: ${failure.detail}`,
    ms: Math.round(filterSeconds * 10_000) / 10,
  };
}

export const checkJson = (checked: Checked): string =>
  `${JSON.stringify(checked, (_, value: unknown) => (value === undefined ? null : value))}\n`;

export function checkText(checked: Checked): string {
  const { stages, filters, verdict, refusals, leftOut, notes } = checked;
  const lines = stages.flatMap((page) => [
    page.about === '' ? page.stage : `${page.stage} ${field(page.about, true)}`,
    ...stageLines(page),
    ...(page.stage === 'data' ? filters.map(filterLine) : []),
    ...endLines(page),
    '',
  ]);
  const others = verdict !== 'refused' && verdict !== 'deferred' && refusals > 0;
  lines.push(`verdict  ${verdict}${others ? `, but for ${refusals} recipients` : ''}`);
  lines.push(...changeLines(checked), ...notes.map((note) => `note     ${field(note, true)}`));
  if (leftOut.length > 0) lines.push(`note     never tried, for nobody gives what they ask for: ${leftOut.join(', ')}`);
  return `${lines.join('\n')}\n`;
}

function row(kind: string, name: string, middle: string, by: string, last: string): string {
  const [left, right] = [field(name, false).padEnd(22), field(by, false).padEnd(18)];
  return `  ${kind.padEnd(5)}  ${left} ${middle}  ${right}  ${field(last, true)}`;
}

const milliseconds = (ms: number): string => `${ms.toFixed(1).padStart(7)} ms`;

function stageLines({ asked, rules }: StageReport): readonly string[] {
  return [...asked.flatMap(factLines), ...rules.map(ruleLine)];
}

function factLines({ source, ms, trouble, facts }: Asked): readonly string[] {
  const cost = source === 'client' || source === 'content' ? ' '.repeat(10) : milliseconds(ms);
  const known = Object.entries(facts) as [string, Facts[keyof Facts]][];
  if (known.length === 0) return [row('fact', '-', cost, source, trouble === '' ? 'nothing' : `trouble: ${trouble}`)];
  return known.map(([fact, value]) => row('fact', fact, cost, source, valueText(value)));
}

function ruleLine({ rule, action, dryRun, matched, because }: TriedRule): string {
  const why = because.map(clauseText).join(', ');
  return row('rule', rule, (matched ? 'holds' : 'no').padStart(10), `${action}${dryRun ? '/dry-run' : ''}`, why);
}

const clauseText = ({ fact, value, test }: Clause): string => `${fact}=${valueText(value)} (${test})`;

const filterLine = ({ filter, verdict, dryRun, failure, ms }: FilterWord): string =>
  row(
    'filter',
    filter,
    milliseconds(ms),
    `${verdict}${dryRun ? '/dry-run' : ''}`,
    failure === '' ? 'examined' : failure,
  );

function endLines({ delayMs, reply }: StageReport): readonly string[] {
  const more = reply.length > 1 && reply[0]!.startsWith('2') ? reply.slice(0, 1) : reply;
  return [
    ...(delayMs > 0 ? [`  wait   ${delayMs / 1000} s before the reply`] : []),
    ...more.map((line) => `  reply  ${field(line, true)}`),
  ];
}

function changeLines({ changes }: Checked): readonly string[] {
  if (changes === null) return [];
  const { removed, added, body, sender, recipients } = changes;
  const bytes = body === null || body === 'replaced' ? body : `${body.removed} bytes out, ${body.added} in`;
  return [
    `from     ${sender === '' ? '<>' : field(sender, true)}`,
    ...recipients.map(
      ({ address, route }) => `to       ${field(address, false)}${route === null ? '' : ` by ${route}`}`,
    ),
    ...removed.map((each) => `remove   ${unfolded(each)}`),
    ...added.map((each) => `add      ${unfolded(each)}`),
    ...(bytes === null ? [] : [`body     ${bytes}`]),
  ];
}

const unfolded = (text: string): string => field(text.replace(/\r?\n[ \t]+/g, ' '), true);
