/**
 * Delivery status notifications: multipart/report (RFC 6522) with a text for people, a message/delivery-status for
 * programs (RFC 3464, 3461 §6) and what was sent: its headers, or all of it.
 *
 *   headers          From the null sender, to the sender of the original (a double bounce: to the postmaster)
 *   text/plain       what happened, and what the recipient's server said
 *   message/delivery-status        RFC 3464 §2: a group for the message, a group for each recipient
 *   text/rfc822-headers | message/rfc822
 *
 * All is ASCII, but where the original was SMTPUTF8: then a part that needs it has the global type of RFC 6533. Who
 * gets it decides how: to an internationalized address it goes with SMTPUTF8 and 8bit; on the way to any other there
 * may be a server without, so such a part is quoted-printable (RFC 6533 §4.5). Raw 8-bit bytes in the headers of other
 * mail become question marks; a whole message is returned as it was.
 */
import { assert } from '../base/assert.ts';
import { isAscii, utf8Octets } from '../base/text.ts';
import { mailDate } from './date.ts';
import type { DsnKind, Report, ReportedRecipient } from './dsn_report.ts';
import { humanPart, statusPart } from './dsn_report.ts';
import { quotedPrintable } from './encodings.ts';
import { findField, splitHeaders, unfolded } from './headers.ts';

export type { DsnKind, ReportedRecipient };

export type DsnRequest = Report & {
  /** Of the notification. */
  readonly id: string;
  readonly nowMs: number;
  readonly from: string;
  /** Header section of the original, one char per byte, perhaps cut short. */
  readonly headers: string;
  /** The whole original, one char per byte, to be returned in place of its headers. */
  readonly content?: string;
};

/** `octets` has CRLF line ends and is one char per byte; it is sent from the null sender. */
export type Dsn = { readonly octets: string; readonly smtpUtf8: boolean };

const SUBJECTS: Readonly<Record<DsnKind, string>> = {
  failed: 'Undelivered mail returned to sender',
  delayed: 'Your mail is delayed',
  relayed: 'Your mail was handed on',
  delivered: 'Your mail was delivered',
};
const DOUBLE_BOUNCE_SUBJECT = 'Undeliverable mail of the null sender';

/** Never to the null sender (RFC 5321 §6.1), and never about nobody: those are the caller's bugs. */
export function buildDsn(request: DsnRequest): Dsn {
  const { id, hostname, nowMs, envelope, recipients, kind, to, from } = request;
  assert(to !== '' && recipients.length > 0, 'a notification has a recipient and a reason');
  const smtpUtf8 = !isAscii(to);
  const part = smtpUtf8 ? eightBitPart : quotedPart;
  const wire = envelope.smtpUtf8 ? utf8Octets : ascii;
  const parts = [
    part('text/plain; charset=us-ascii', 'text/plain; charset=utf-8', wire(humanPart(request))),
    part('message/delivery-status', 'message/global-delivery-status', wire(statusPart(request))),
    originalPart(request, part),
  ];
  const boundary = freeBoundary(id, parts);
  const toSender = to === envelope.sender;
  const top = [
    `From: Mail Delivery System <${from}>`,
    `To: <${utf8Octets(to)}>`,
    `Subject: ${toSender ? SUBJECTS[kind] : DOUBLE_BOUNCE_SUBJECT}`,
    `Date: ${mailDate(nowMs)}`,
    `Message-ID: <${id}@${hostname}>`,
    ...threadFields(request.headers),
    `Auto-Submitted: ${toSender ? 'auto-replied' : 'auto-generated'}`, // RFC 3834 §5
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    `\tboundary="${boundary}"`,
    ...(parts.every(isAscii) ? [] : ['Content-Transfer-Encoding: 8bit']),
  ];
  assert(
    top.every((line) => !/[\r\n\0]/.test(line)),
    'a field is a line',
  );
  const body = parts.map((each) => `--${boundary}\r\n${each}\r\n`).join('');
  return { octets: `${top.join('\r\n')}\r\n\r\n${body}--${boundary}--\r\n`, smtpUtf8 };
}

/** RFC 6533 §4.4: the global type only where the body needs it. */
type PartOf = (type: string, globalType: string, body: string) => string;

const eightBitPart: PartOf = (type, globalType, body) =>
  isAscii(body)
    ? `Content-Type: ${type}\r\n\r\n${body}`
    : `Content-Type: ${globalType}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${body}`;

const quotedPart: PartOf = (type, globalType, body) =>
  isAscii(body)
    ? eightBitPart(type, globalType, body)
    : `Content-Type: ${globalType}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${quotedPrintable(body)}`;

function originalPart({ envelope, headers, content }: DsnRequest, part: PartOf): string {
  if (content !== undefined) {
    // RFC 2046 §5.2.1: a message/rfc822 may be 8bit, but not encoded.
    return envelope.smtpUtf8
      ? part('message/rfc822', 'message/global', content)
      : eightBitPart('message/rfc822', 'message/rfc822', content);
  }
  const lines = wholeLines(headers);
  return part(
    'text/rfc822-headers',
    'message/global-headers',
    envelope.smtpUtf8 ? utf8Octets(decoder.decode(octetsOf(lines))) : ascii(lines),
  );
}

/** The header section without its empty line, cut after the last whole line; never empty lines within. */
function wholeLines(headers: string): string {
  const { fields } = splitHeaders(headers);
  const text = headers.slice(0, fields.at(-1)?.end ?? 0);
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

/** RFC 5322 §3.6.4: so that a reader shows the notification below what it is about. */
function threadFields(headers: string): string[] {
  const field = findField(splitHeaders(headers), 'message-id');
  const match = field === undefined ? null : /^<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>$/.exec(unfolded(field));
  return match === null ? [] : [`In-Reply-To: ${match[0]}`, `References: ${match[0]}`];
}

/** A boundary that occurs in no part; of at most 70 characters, for the original holds few of those that are tried. */
function freeBoundary(id: string, parts: readonly string[]): string {
  let boundary = `postern-${id}`;
  for (let n = 1; parts.some((each) => each.includes(boundary)); n++) boundary = `postern-${id}-${n}`;
  return boundary;
}

const ascii = (text: string): string => text.replace(/[^\x00-\x7f]/gu, '?');

const decoder = new TextDecoder('utf-8');
const octetsOf = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
