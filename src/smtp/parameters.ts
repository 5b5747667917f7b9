/**
 * ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2): one table for each command, one row a keyword. A row turns the
 * value into a field of the command, or says null.
 */
import type { Notify } from '../message/envelope.ts';
import type { ReplyKey } from './replies.ts';

export type MailParameters = {
  sizeBytes?: number;
  body?: '7BIT' | '8BITMIME';
  smtpUtf8?: true;
  ret?: 'full' | 'headers';
  envid?: string;
};
export type RecipientParameters = { notify?: Notify; orcpt?: string };

type Table<T> = Readonly<Record<string, (value: string | null) => T | null>>;

/** RFC 3461 §4: any printable but + and =, and +XX for the rest. */
const XTEXT = /^([!-*,-<>-~]|\+[0-9A-F]{2})*$/;
const ENVID_BYTES_MAX = 100; // RFC 3461 §4.4
const ORCPT_BYTES_MAX = 500; // RFC 3461 §4.2

export const MAIL_PARAMETERS: Table<MailParameters> = {
  SIZE: (value) => (value !== null && /^\d{1,20}$/.test(value) ? { sizeBytes: Number(value) } : null), // RFC 1870 §4
  BODY: (value) => {
    const body = value?.toUpperCase(); // RFC 6152 §2; BINARYMIME is not offered (RFC 3030 §3)
    return body === '7BIT' || body === '8BITMIME' ? { body } : null;
  },
  SMTPUTF8: (value) => (value === null ? { smtpUtf8: true } : null), // RFC 6531 §3.4
  RET: (value) => {
    const ret = value?.toUpperCase(); // RFC 3461 §4.3
    return ret === 'FULL' ? { ret: 'full' } : ret === 'HDRS' ? { ret: 'headers' } : null;
  },
  ENVID: (envid) => (envid !== null && envid.length <= ENVID_BYTES_MAX && XTEXT.test(envid) ? { envid } : null),
};

export const RECIPIENT_PARAMETERS: Table<RecipientParameters> = {
  NOTIFY: (value) => {
    const notify = parseNotify(value);
    return notify === null ? null : { notify };
  },
  ORCPT: (orcpt) => (orcpt !== null && orcpt.length <= ORCPT_BYTES_MAX && isOrcpt(orcpt) ? { orcpt } : null),
};

/** RFC 3461 §4.1: NEVER stands alone; nothing is said twice. */
function parseNotify(value: string | null): Notify | null {
  if (value === null) return null;
  const words = value.toLowerCase().split(',');
  if (words.length === 1 && words[0] === 'never') return 'never';
  const known = words.filter((word) => word === 'success' || word === 'failure' || word === 'delay');
  return known.length === words.length && new Set(known).size === known.length ? known : null;
}

/** RFC 3461 §4.2; RFC 6533 §3 lets a utf-8 address stand unencoded. */
function isOrcpt(value: string): boolean {
  const semicolon = value.indexOf(';');
  if (!/^[A-Za-z0-9-]+$/.test(value.slice(0, semicolon))) return false;
  const address = value.slice(semicolon + 1);
  return /^utf-8;/i.test(value) ? address !== '' && !/[\x00-\x20\x7f=]/.test(address) : XTEXT.test(address);
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
    const keyword = (equals === -1 ? word : word.slice(0, equals)).toUpperCase();
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(keyword)) return 'badArgument';
    const row = Object.hasOwn(table, keyword) ? table[keyword]! : null;
    if (row === null) return 'unknownParameter';
    if (seen.has(keyword)) return 'twiceParameter';
    seen.add(keyword);
    const field = row(equals === -1 ? null : word.slice(equals + 1));
    if (field === null) return 'badParameter';
    Object.assign(fields, field);
  }
  return fields;
}
