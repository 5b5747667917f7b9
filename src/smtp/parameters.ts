/**
 * ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2): one table for each command, one row a keyword. A row turns the
 * value into fields of the command, or says null. What is not in the table was not offered.
 */
import type { Notify } from '../message/envelope.ts';
import type { ReplyKey } from './replies.ts';
import { upperAscii } from './text.ts';

export type MailParameters = {
  sizeBytes?: number;
  body?: '7BIT' | '8BITMIME';
  smtpUtf8?: true;
  ret?: 'full' | 'headers';
  envid?: string;
};
export type RecipientParameters = { notify?: Notify; orcpt?: string };

/** The value as it stands after `=`; null where there is none. */
type Table<T> = Readonly<Record<string, (value: string | null) => T | null>>;

/**
 * RFC 3461 §4: any printable but + and =, and +XX for the rest. What it encodes must be printable itself (§4.2, §4.4),
 * or it would break the line of a DSN's field in a reader that decodes it.
 */
const XTEXT = /^(?:[!-*,-<>-~]|\+[2-6][0-9A-F]|\+7[0-9A-E])+$/;
/** RFC 6533 §3: utf-8-addr-xtext and utf-8-addr-unitext, and the +XX of those who encode twice; no encoded controls. */
const UTF8_XTEXT =
  /^(?:[!-*,-<>-[\]-~\u0080-\u{10ffff}]|\\x\{(?![01].\}|7F\})[0-9A-F]{2,6}\}|\+[2-6][0-9A-F]|\+7[0-9A-E])+$/u;
const ADDRESS_TYPE = /^[A-Za-z0-9-]+$/;
const KEYWORD = /^[A-Z0-9][A-Z0-9-]*$/;
const SIZE = /^[0-9]{1,20}$/; // RFC 1870 §4
const ENVID_BYTES_MAX = 100; // RFC 3461 §4.4
const ORCPT_CHARS_MAX = 500; // RFC 3461 §4.2

export const MAIL_PARAMETERS: Table<MailParameters> = {
  SIZE: (value) => (value !== null && SIZE.test(value) ? { sizeBytes: Number(value) } : null),
  BODY: (value) => {
    const body = value === null ? null : upperAscii(value); // RFC 6152 §2; BINARYMIME is not offered (RFC 3030 §3)
    return body === '7BIT' || body === '8BITMIME' ? { body } : null;
  },
  SMTPUTF8: (value) => (value === null ? { smtpUtf8: true } : null), // RFC 6531 §3.4
  RET: (value) => {
    const ret = value === null ? null : upperAscii(value); // RFC 3461 §4.3
    return ret === 'FULL' ? { ret: 'full' } : ret === 'HDRS' ? { ret: 'headers' } : null;
  },
  ENVID: (envid) => (envid !== null && envid.length <= ENVID_BYTES_MAX && XTEXT.test(envid) ? { envid } : null),
};

export const RECIPIENT_PARAMETERS: Table<RecipientParameters> = {
  NOTIFY: (value) => {
    const notify = value === null ? null : parseNotify(value);
    return notify === null ? null : { notify };
  },
  ORCPT: (orcpt) => (orcpt !== null && isOrcpt(orcpt) ? { orcpt } : null),
};

const NOTIFY: Readonly<Record<string, 'success' | 'failure' | 'delay'>> = {
  SUCCESS: 'success',
  FAILURE: 'failure',
  DELAY: 'delay',
};

/** RFC 3461 §4.1: NEVER stands alone; nothing is said twice. */
function parseNotify(value: string): Notify | null {
  const words = upperAscii(value).split(',');
  if (words.length === 1 && words[0] === 'NEVER') return 'never';
  const known = words.map((word) => (Object.hasOwn(NOTIFY, word) ? NOTIFY[word]! : null));
  if (new Set(known).size !== known.length) return null;
  return known.every((word) => word !== null) ? known : null;
}

/** RFC 3461 §4.2: `addr-type;address`, kept as received. */
function isOrcpt(value: string): boolean {
  const semicolon = value.indexOf(';');
  if (value.length > ORCPT_CHARS_MAX || semicolon === -1) return false;
  const type = value.slice(0, semicolon);
  return (
    ADDRESS_TYPE.test(type) && (upperAscii(type) === 'UTF-8' ? UTF8_XTEXT : XTEXT).test(value.slice(semicolon + 1))
  );
}

/** `text` is what follows the path: nothing, or SP and words. The fields of all rows, or the reply that refuses. */
export function parseParameters<T extends object>(text: string, table: Table<T>): T | ReplyKey {
  const fields = {} as T;
  if (text === '') return fields;
  if (!text.startsWith(' ')) return 'badArgument';
  const seen = new Set<string>();
  for (const word of text.split(' ')) {
    if (word === '') continue;
    const equals = word.indexOf('=');
    const keyword = upperAscii(equals === -1 ? word : word.slice(0, equals));
    if (!KEYWORD.test(keyword)) return 'badArgument';
    if (!Object.hasOwn(table, keyword)) return 'unknownParameter';
    if (seen.has(keyword)) return 'twiceParameter';
    seen.add(keyword);
    const field = table[keyword]!(equals === -1 ? null : word.slice(equals + 1));
    if (field === null) return 'badParameter';
    Object.assign(fields, field);
  }
  return fields;
}
