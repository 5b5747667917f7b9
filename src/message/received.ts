/** The trace field that a relay puts on top (RFC 5321 §4.4; `with` by RFC 3848 and RFC 6531 §4.3). */
import { mailDate } from './date.ts';

/** How a message reached us. */
export type Via = {
  /** The client's address, without brackets. */
  readonly address: string;
  /** What it said in EHLO or HELO; a stranger's text. */
  readonly helo: string;
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

/** The whole field with its CRLF, folded. */
export function receivedField({ via, by, id, onlyRecipient, smtpUtf8, timeMs }: Trace): string {
  const literal = via.address.includes(':') ? `[IPv6:${via.address}]` : `[${via.address}]`;
  const tls = via.tls === null ? '' : `\r\n\t(using ${word(via.tls.protocol)} with cipher ${word(via.tls.cipher)})`;
  const recipient = onlyRecipient === null || !printable(onlyRecipient, smtpUtf8) ? '' : `\r\n\tfor <${onlyRecipient}>`;
  const from = `Received: from ${heloName(via.helo, literal, smtpUtf8)} (${literal})${tls}`;
  return `${from}\r\n\tby ${by} (Postern) with ${protocol(via, smtpUtf8)} id ${id}${recipient};\r\n\t${mailDate(timeMs)}\r\n`;
}

function protocol({ extended, tls }: Via, smtpUtf8: boolean): string {
  if (!extended) return 'SMTP';
  return `${smtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${tls === null ? '' : 'S'}`;
}

/** A stranger's name is printed only if it can be nothing but a name; else the address speaks for itself. */
function heloName(helo: string, literal: string, smtpUtf8: boolean): string {
  const safe = smtpUtf8 ? /^[^\x00-\x2c\x2f\x3b-\x40\x5c\x5e\x60\x7b-\x9f]{1,255}$/ : /^[\w.:[\]-]{1,255}$/;
  return safe.test(helo) ? helo : literal;
}

const word = (text: string): string => text.replace(/[^\w.-]/g, '').slice(0, 60) || 'unknown';

const printable = (text: string, smtpUtf8: boolean): boolean =>
  text.length <= 320 && (smtpUtf8 ? !/[\x00-\x1f\x7f]/.test(text) : /^[\x20-\x7e]+$/.test(text));
