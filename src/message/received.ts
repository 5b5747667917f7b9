/**
 * The trace field that a relay puts on top (RFC 5321 §4.4; `with` by RFC 3848 and RFC 6531 §4.3):
 *
 *   Received: from HELO (NAME [ADDRESS])
 *   	(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)
 *   	by HOST (Postern) with ESMTPS id ID
 *   	for <RECIPIENT>;
 *   	Tue, 24 Nov 2026 13:44:17 +0000
 *
 * A clause has a line of its own, or several of up to 78 characters; a line is longer only where a word is (RFC 5322
 * §2.1.1). What strangers said is printed only where it can be nothing but a name. Return-Path is not ours to write:
 * the final server does it (RFC 5321 §4.4).
 */
import { assert } from '../base/assert.ts';
import { mailDate } from './date.ts';

/** How a message reached us. */
export type Via = {
  /** The client's address, without brackets. */
  readonly address: string;
  /** What it said in EHLO or HELO; a stranger's text. */
  readonly helo: string;
  /** The address's name, checked both ways. Absent: not known. */
  readonly reverse?: string;
  /** It said EHLO. */
  readonly extended: boolean;
  readonly tls: { readonly protocol: string; readonly cipher: string } | null;
};

export type Trace = {
  readonly via: Via;
  /** Our name. */
  readonly by: string;
  readonly id: string;
  /** `for` is given for a single recipient only: it would tell one of several about the others (RFC 5321 §7.6). */
  readonly onlyRecipient: string | null;
  readonly smtpUtf8: boolean;
  readonly timeMs: number;
};

const LINE_CHARS = 78;
const HELO_CHARS_MAX = 255;

/** The whole field with its CRLF, folded; ASCII, but for `for` and the client's name where the mail is SMTPUTF8. */
export function receivedField({ via, by, id, onlyRecipient, smtpUtf8, timeMs }: Trace): string {
  assert(/^[\x21-\x7e]+$/.test(by) && /^[\x21-\x7e]+$/.test(id), 'our own words are words');
  let text = clause('Received:', fromWords(via, smtpUtf8));
  if (via.tls !== null) {
    text += clause('\r\n\t', ['(using', word(via.tls.protocol), 'with', 'cipher', `${word(via.tls.cipher)})`]);
  }
  const shown = onlyRecipient !== null && isPrintable(onlyRecipient, smtpUtf8);
  const semicolon = shown ? '' : ';';
  text += clause('\r\n\t', ['by', by, '(Postern)', 'with', protocol(via, smtpUtf8), 'id', `${id}${semicolon}`]);
  if (shown) text += `\r\n\tfor <${onlyRecipient}>;`;
  return `${text}\r\n\t${mailDate(timeMs)}\r\n`;
}

/** Words behind `start`, a fold in place of the space where the line would be too long. */
function clause(start: string, words: readonly string[]): string {
  let text = start;
  let column = start === '\r\n\t' ? 1 : start.length;
  for (const each of words) {
    const space = column > 1;
    if (space && column + 1 + each.length > LINE_CHARS) {
      text += `\r\n\t${each}`;
      column = 1 + each.length;
    } else {
      text += space ? ` ${each}` : each;
      column += each.length + (space ? 1 : 0);
    }
  }
  return text;
}

const NAME = /^(?:[\w.-]+|\[[\w.:-]+\])$/;
/** RFC 6531 §3.3: U-labels. */
const UTF8_NAME = /^[\p{L}\p{M}\p{N}_.-]+$/u;

/** RFC 5321 §4.4: what the client called itself, and in the comment what we know of it. */
function fromWords({ address, helo, reverse }: Via, smtpUtf8: boolean): string[] {
  const literal = literalOf(address);
  const known = reverse !== undefined && NAME.test(reverse) ? [`(${reverse}`, `${literal})`] : [`(${literal})`];
  const isName = helo.length <= HELO_CHARS_MAX && (NAME.test(helo) || (smtpUtf8 && UTF8_NAME.test(helo)));
  if (isName) return ['from', helo, ...known];
  // Not a name, perhaps an attack on who reads the field: the address stands for it, and its remains are a comment.
  const remains = helo.slice(0, 64).replace(/[^\x21-\x7e]|[()\\]/g, '?');
  return remains === '' ? ['from', literal] : ['from', literal, `(helo=${remains})`];
}

/** RFC 5321 §4.1.3. An IPv4 client of an IPv6 socket is shown as what it is; a zone means nothing to others. */
function literalOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/s, '');
  assert(/^[0-9a-fA-F.:]+$/.test(plain), 'the client has an address');
  return plain.includes(':') ? `[IPv6:${plain}]` : `[${plain}]`;
}

/** RFC 3848, RFC 6531 §4.3. HELO has no other name, TLS or not. */
function protocol({ extended, tls }: Via, smtpUtf8: boolean): string {
  if (!extended) return 'SMTP';
  return `${smtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${tls === null ? '' : 'S'}`;
}

const word = (text: string): string => text.replace(/[^\w.-]/g, '').slice(0, 60) || 'unknown';

const isPrintable = (text: string, smtpUtf8: boolean): boolean =>
  text.length <= 320 && (smtpUtf8 ? !/[\x00-\x1f\x7f-\x9f]/.test(text) : /^[\x20-\x7e]+$/.test(text));
