/**
 * Rules as the policy file writes them, parsed: every fault at once, each with its place.
 *
 *   - id: listed
 *     stage: rcpt                                  optional: the earliest at which all its facts can be known
 *     when: { side: outside, dnsbl.score: { atLeast: 5 } }
 *     do: { reject: "Your address is listed" }     accept, defer, discard, hold, tarpit, tag
 *     dryRun: true                                 optional: only logged
 */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import type { Fault } from './condition.ts';
import { listsOf, parseCondition } from './condition.ts';
import type { Stage } from './facts.ts';
import { STAGES, stageNumber } from './facts.ts';
import type { Action, Rule } from './rules.ts';
import { earliestStage } from './rules.ts';

/** A reply is read by people, and by servers that keep one line of it. */
const text = z.string().regex(/^[\x20-\x7e]{1,400}$/, 'write one line of printable ASCII, 400 characters at most');
const headerName = z.string().regex(/^[\x21-\x39\x3b-\x7e]{1,100}$/, 'write the name of a header field');
const done = z.literal(true, { error: 'write true' });

const ACTION = z
  .strictObject({
    accept: done.optional().describe('No further rule is asked for this transaction.'),
    reject: z
      .union([text, z.strictObject({ text, status: z.enum(['5.7.1', '5.1.1']) })])
      .optional()
      .describe('Refused for good, with these words; 5.1.1 for a recipient that is not there.'),
    defer: text.optional().describe('Refused for now, with these words.'),
    discard: done.optional().describe('Answered 250, and gone; at headers and data.'),
    hold: done.optional().describe('Answered 250, and held in the queue for an operator; at headers and data.'),
    tarpit: z.number().int().min(1).max(60).optional().describe('The reply waits so many seconds.'),
    tag: z.strictObject({ header: headerName, value: text }).optional().describe('A header field is added.'),
    route: z
      .string()
      .regex(/^(?:smtp|lmtp):\/\/\S{1,300}$/, 'write smtp://host:port or lmtp://host:port')
      .optional(),
  })
  .refine((action) => Object.keys(action).length === 1, 'write one action')
  .transform(actionOf);

export const RULE = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,62})$/, 'write small letters, digits and hyphens, 63 at most')
    .describe('Stands in the reply, the log and the metrics.'),
  stage: z.enum(STAGES).optional().describe('By default the earliest at which all its facts can be known.'),
  when: z.unknown().describe('A condition over facts.'),
  do: ACTION,
  dryRun: z.boolean().default(false).describe('It is only logged.'),
});

export type RuleText = z.input<typeof RULE>;

function actionOf(action: Readonly<Record<string, unknown>>): Action {
  const [[tag, value]] = Object.entries(action) as [[string, unknown]];
  switch (tag) {
    case 'reject':
      if (typeof value === 'string') return { tag, text: value, status: '5.7.1' };
      return { tag, ...(value as { text: string; status: '5.7.1' | '5.1.1' }) };
    case 'defer':
      return { tag, text: value as string };
    case 'tarpit':
      return { tag, seconds: value as number };
    case 'tag':
      return { tag, ...(value as { header: string; value: string }) };
    default:
      return { tag: tag as 'accept' | 'discard' | 'hold' };
  }
}

/** At `data` or `headers` a recipient's own facts are over, and 250 to one RCPT cannot mean the message. */
const CONTENT_ACTIONS: readonly Action['tag'][] = ['discard', 'hold', 'tag'];

/** `lists` are the names that `in` may use beside networks. Rules with faults are left out. */
export function parseRules(
  values: readonly z.output<typeof RULE>[],
  lists: ReadonlySet<string>,
  path: readonly (string | number)[],
  faults: Fault[],
): readonly Rule[] {
  const ids = new Set<string>();
  return values.flatMap((value, at): readonly Rule[] => {
    const here = [...path, at];
    const before = faults.length;
    if (ids.has(value.id))
      faults.push({ path: [...here, 'id'], message: `${value.id} is the id of another rule, too` });
    ids.add(value.id);
    const when = parseCondition(value.when, [...here, 'when'], faults);
    for (const list of listsOf(when)) {
      if (!lists.has(list) && !ipaddr.isValidCIDR(list))
        faults.push({ path: [...here, 'when'], message: `there is no list ${JSON.stringify(list)}` });
    }
    const stage = stageFor(value, earliestStage(when), here, faults);
    if (faults.length > before) return [];
    return [{ id: value.id, stage, when, action: value.do, dryRun: value.dryRun }];
  });
}

function stageFor(
  { stage, do: action }: z.output<typeof RULE>,
  earliest: Stage,
  path: readonly (string | number)[],
  faults: Fault[],
): Stage {
  const content = CONTENT_ACTIONS.includes(action.tag);
  const chosen = stage ?? (content && stageNumber(earliest) < stageNumber('headers') ? 'data' : earliest);
  if (stageNumber(chosen) < stageNumber(earliest)) {
    faults.push({ path: [...path, 'stage'], message: `its facts are known from ${earliest} on` });
  }
  if (content && stageNumber(chosen) < stageNumber('headers')) {
    faults.push({ path: [...path, 'stage'], message: `${action.tag} is for the stages headers and data` });
  }
  return chosen;
}
