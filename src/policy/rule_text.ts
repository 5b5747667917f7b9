/**
 * Rules as the policy file writes them, parsed: every fault at once, each with its place.
 *
 *   - id: listed
 *     stage: rcpt                                  optional: the earliest at which all its facts can be known
 *     when: { side: outside, dnsbl.score: { atLeast: 5 } }
 *     do: { reject: "Your address is listed" }     accept, defer, discard, hold, tarpit, tag, route
 *     dryRun: true                                 optional: only logged
 */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { ruleRoute } from '../config/parsers.ts';
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
    accept: done
      .optional()
      .describe(
        'No further rule is asked: at connect and helo for the session, at rcpt for this recipient (and for the ' +
          'message where each of its recipients is so accepted), else for the transaction.',
      ),
    reject: z
      .union([text, z.strictObject({ text, status: z.enum(['5.7.1', '5.1.1']) })])
      .optional()
      .describe('Refused for good, with these words; 5.1.1 for a recipient that is not there.'),
    defer: text.optional().describe('Refused for now, with these words.'),
    discard: done.optional().describe('Answered 250, and gone; at headers and data.'),
    hold: done.optional().describe('Answered 250, and held in the queue for an operator; at headers and data.'),
    tarpit: z.number().int().min(1).max(60).optional().describe('The reply waits so many seconds.'),
    tag: z.strictObject({ header: headerName, value: text }).optional().describe('A header field is added.'),
    route: ruleRoute()
      .optional()
      .describe('It goes to this smtp:// or lmtp:// server: at rcpt the recipient, at headers and data all of them.'),
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
    case 'route':
      return { tag, route: value as string };
    default:
      return { tag: tag as 'accept' | 'discard' | 'hold' };
  }
}

/** At `data` or `headers` a recipient's own facts are over, and 250 to one RCPT cannot mean the message. */
const OF_CONTENT = { from: 'headers', usual: 'data' } as const;
/** The stage from which on an action can stand, and where it does if its facts would let it stand before that. */
const STANDS: Partial<Record<Action['tag'], { readonly from: Stage; readonly usual: Stage }>> = {
  discard: OF_CONTENT,
  hold: OF_CONTENT,
  tag: OF_CONTENT,
  route: { from: 'rcpt', usual: 'rcpt' },
};

/** `lists` are the names that `in` may use beside networks. Rules with faults are left out; null: one without form. */
export function parseRules(
  values: readonly (z.output<typeof RULE> | null)[],
  lists: ReadonlySet<string>,
  path: readonly (string | number)[],
  faults: Fault[],
): readonly Rule[] {
  const ids = new Set<string>();
  return values.flatMap((value, at): readonly Rule[] => {
    if (value === null) return [];
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
  const { from, usual } = STANDS[action.tag] ?? { from: earliest, usual: earliest };
  const chosen = stage ?? (stageNumber(earliest) < stageNumber(from) ? usual : earliest);
  if (stageNumber(chosen) < stageNumber(earliest)) {
    faults.push({ path: [...path, 'stage'], message: `its facts are known from ${earliest} on` });
  }
  if (action.tag in STANDS && stageNumber(chosen) < stageNumber(from)) {
    const may = STAGES.slice(stageNumber(from));
    const message = `${action.tag} is for the stages ${may.slice(0, -1).join(', ')} and ${may.at(-1)}`;
    faults.push({ path: [...path, 'stage'], message });
  }
  return chosen;
}
