/**
 * Whatever a filter wants is checked here before anybody else sees it: a filter may be broken or taken over, and its
 * words end up in replies, header sections and envelopes. What does not pass is a FilterFailure: the fail mode holds.
 */
import { hasControls } from '../base/text.ts';
import { LIMITS } from '../config/limits.ts';
import { parsePath, printMailbox } from '../smtp/address.ts';
import type { ReplyKey } from '../smtp/replies.ts';
import { REPLIES } from '../smtp/replies.ts';
import type { FilterReply } from './filter.ts';
import { malformed } from './filter.ts';

/** RFC 5322 §2.2; 76 is longer than any name in use, and leaves room in a line. */
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]{1,76}$/;
/** RFC 5322 §2.1.1, octets without the CRLF. */
const LINE_BYTES_MAX = 998;

export function checkedFieldName(name: string): string {
  if (!FIELD_NAME.test(name)) throw malformed('a field name that is none');
  return name;
}

/**
 * What follows the colon. A line end, CRLF or LF alone, is a fold and nothing else: a blank stands behind it, and
 * something visible on each line, or the rest could be read as fields or as the body (RFC 5322 §3.2.2).
 */
export function checkedFieldValue(name: string, value: string): string {
  const lines = value.split(/\r?\n/);
  for (const [at, line] of lines.entries()) {
    if (hasControls(line)) throw malformed(`control characters in ${name}`);
    if (at > 0 && !/^[ \t]/.test(line)) throw malformed(`a line of ${name} that is no continuation`);
    if (at > 0 && line.trim() === '') throw malformed(`an empty line in ${name}`);
    if (Buffer.byteLength(line) + (at === 0 ? name.length + 1 : 0) > LINE_BYTES_MAX)
      throw malformed(`a line of ${name} that is too long`);
  }
  return lines.join('\r\n');
}

/** A mailbox, with or without its brackets. */
export function checkedRecipient(text: string): string {
  const mailbox = pathOf(text)?.mailbox ?? null;
  if (mailbox === null || mailbox.domain === '') throw malformed('a recipient that is no address');
  return printMailbox(mailbox);
}

/** As above; '' and `<>` are the null sender. */
export function checkedSender(text: string): string {
  if (text === '') return '';
  const path = pathOf(text);
  if (path === null || path.mailbox?.domain === '') throw malformed('a sender that is no address');
  return path.mailbox === null ? '' : printMailbox(path.mailbox);
}

function pathOf(text: string): ReturnType<typeof parsePath> {
  if (hasControls(text)) return null;
  const bracketed = text.startsWith('<') ? text : `<${text}>`;
  const path = parsePath(bracketed);
  return path !== null && path.end === bracketed.length ? path : null;
}

/** One of our own replies. */
export function replyOf(key: ReplyKey, detail = ''): FilterReply {
  const [code, enhanced, text] = REPLIES[key];
  return { code, enhanced, text: printable(text.replace('%s', () => detail)) };
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, LIMITS.filterReplyTextMax);

/**
 * A filter's own words for `verdict`. The code is of the verdict's class; 421 would promise that the connection ends,
 * which is not a filter's to say, so it becomes 451.
 */
export function checkedReply(
  verdict: 'reject' | 'defer',
  code: number | undefined,
  enhanced: string | undefined,
  text: string | undefined,
): FilterReply {
  const standard = replyOf(verdict === 'reject' ? 'filterRejected' : 'filterDeferred');
  const digit = verdict === 'reject' ? 5 : 4;
  if (code !== undefined && !(Number.isInteger(code) && code >= digit * 100 && code < digit * 100 + 60))
    throw malformed(`code ${code} for ${verdict}`);
  if (enhanced !== undefined && !new RegExp(`^${digit}\\.\\d{1,3}\\.\\d{1,3}$`).test(enhanced))
    throw malformed(`an enhanced code that does not fit ${verdict}`);
  const words = printable((text ?? '').replace(/\s+/g, ' ').trim());
  return {
    code: code === undefined || code === 421 ? standard.code : code,
    enhanced: enhanced ?? standard.enhanced,
    text: words === '' ? standard.text : words,
  };
}

/** `550 5.7.1 text`, or several such lines (RFC 5321 §4.2.1), all of one code. */
export function parsedReply(text: string): { verdict: 'reject' | 'defer'; reply: FilterReply } {
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  const parts = lines.map((line) => /^([45]\d\d)(?:[ -](?:([45]\.\d{1,3}\.\d{1,3})(?: |$))?(.*))?$/.exec(line));
  const first = parts[0] ?? null;
  if (first === null || parts.some((part) => part?.[1] !== first[1])) throw malformed('a reply that is none');
  const verdict = first[1]!.startsWith('5') ? 'reject' : 'defer';
  const words = parts.map((part) => part![3] ?? '').join(' ');
  return { verdict, reply: checkedReply(verdict, Number(first[1]), first[2], words) };
}

/** For logs and facts: printable, bounded. */
export const checkedNames = (names: readonly string[]): readonly string[] =>
  names.slice(0, LIMITS.filterNamesMax).map((name) => name.replace(/[^\x21-\x7e]/g, '?').slice(0, 100));
