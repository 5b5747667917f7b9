/**
 * What rspamd says of a message, and what follows from it: its action is the verdict, its milter block the changes, as
 * its own proxy would have them done to a milter's MTA.
 */
import { z } from 'zod';
import { isAscii } from '../base/text.ts';
import type { Changes } from './changes.ts';
import { checkedNames, checkedReply } from './checks.ts';
import type { Findings, Verdict } from './filter.ts';
import { malformed } from './filter.ts';

const added = z.union([z.string(), z.object({ value: z.string(), order: z.int().optional() })]);
const oneOrMore = <T extends z.ZodType>(one: T) => z.union([one, z.array(one).max(100)]);

const answerSchema = z.object({
  action: z.string().max(64),
  score: z.number(),
  symbols: z.record(z.string(), z.unknown()).default({}),
  subject: z.string().optional(),
  messages: z.object({ smtp_message: z.string().optional() }).optional(),
  'dkim-signature': oneOrMore(z.string()).optional(),
  milter: z
    .object({
      add_headers: z.record(z.string(), oneOrMore(added)).optional(),
      remove_headers: z.record(z.string(), oneOrMore(z.int())).optional(),
      change_from: z.string().optional(),
      add_rcpt: z.array(z.string()).optional(),
      del_rcpt: z.array(z.string()).optional(),
      reject: z.string().optional(),
      spam_header: z.union([z.string(), z.record(z.string(), z.string())]).optional(),
      no_action: z.boolean().optional(),
    })
    .optional(),
});
type Answer = z.infer<typeof answerSchema>;
type MilterBlock = NonNullable<Answer['milter']>;

/** Whatever is not here (`no action`, `greylist` as long as its own module has not decided, own ones) is accepted. */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  reject: 'reject',
  'soft reject': 'defer',
  discard: 'discard',
  quarantine: 'hold',
};

export function findingsOf(text: string, changes: Changes): Findings {
  const answer = parsed(text);
  const names = checkedNames(Object.keys(answer.symbols));
  const found = { score: answer.score, action: checkedNames([answer.action.replaceAll(' ', '_')])[0]!, names };
  const { milter } = answer;
  const verdict = verdictOf(answer);
  if (verdict === 'reject' || verdict === 'defer') {
    const words = answer.messages?.smtp_message;
    return { ...found, verdict, reply: checkedReply(verdict, undefined, undefined, words), headers: [] };
  }
  if (milter !== undefined) applyBlock(milter, changes);
  for (const signature of listed(answer['dkim-signature'])) changes.addHeader(0, 'DKIM-Signature', ` ${signature}`);
  if (milter?.no_action !== true) applyAction(answer, changes);
  return { ...found, ...changes.found, verdict };
}

function parsed(text: string): Answer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw malformed('an answer that is not JSON');
  }
  const result = answerSchema.safeParse(json);
  if (!result.success) throw malformed(`an answer with a fault at ${result.error.issues[0]?.path.join('.')}`);
  return result.data;
}

function verdictOf({ action, milter }: Answer): Verdict {
  const verdict = Object.hasOwn(VERDICTS, action) ? VERDICTS[action]! : 'accept';
  if (verdict !== 'reject') return verdict;
  if (milter?.reject === 'discard') return 'discard';
  return milter?.reject === 'quarantine' ? 'hold' : 'reject';
}

function applyBlock(milter: MilterBlock, changes: Changes): void {
  for (const [name, which] of Object.entries(milter.remove_headers ?? {})) {
    for (const nth of listed(which)) changes.removeHeader(name, nth === 0 ? 'all' : nth);
  }
  for (const [name, values] of Object.entries(milter.add_headers ?? {})) {
    for (const each of listed(values)) {
      const { value, order = -1 } = typeof each === 'string' ? { value: each } : each;
      changes.addHeader(order < 0 ? 'end' : order, name, ` ${value}`);
    }
  }
  if (milter.change_from !== undefined) changes.sender = milter.change_from;
  for (const address of milter.add_rcpt ?? []) changes.addRecipient(address);
  for (const address of milter.del_rcpt ?? []) changes.removeRecipient(address);
}

function applyAction({ action, subject, milter }: Answer, changes: Changes): void {
  if (action === 'add header') {
    const header = milter?.spam_header ?? 'X-Spam';
    const fields = typeof header === 'string' ? { [header]: 'Yes' } : header;
    for (const [name, value] of Object.entries(fields)) changes.addHeader('end', name, ` ${value}`);
  }
  if (action === 'rewrite subject' && subject !== undefined) changes.changeHeader('Subject', 1, ` ${encoded(subject)}`);
}

const listed = <T>(values: T | T[] | undefined): readonly T[] =>
  values === undefined ? [] : Array.isArray(values) ? values : [values];

/** So many code points of UTF-8 in base64 fit into the 75 chars of an encoded word (RFC 2047 §2). */
const WORD_POINTS = 11;

/** As it is where it is ASCII, else in encoded words. */
function encoded(text: string): string {
  if (isAscii(text)) return text;
  const points = [...text];
  const words: string[] = [];
  for (let at = 0; at < points.length; at += WORD_POINTS) {
    const part = Buffer.from(points.slice(at, at + WORD_POINTS).join(''), 'utf8');
    words.push(`=?UTF-8?B?${part.toString('base64')}?=`);
  }
  return words.join('\r\n ');
}
