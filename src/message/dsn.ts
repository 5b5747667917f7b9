/**
 * Delivery status notifications: multipart/report (RFC 6522) with a text for people, a message/delivery-status for
 * programs (RFC 3464, 3461 §6) and what was sent, by default its headers only (RFC 3461 §4.3).
 *
 *   headers          To the sender of the original, from the null sender
 *   text/plain       what happened, and what the recipient's server said
 *   message/delivery-status        RFC 3464 §2: a group for the message, a group for each recipient
 *   text/rfc822-headers | message/rfc822
 *
 * All is ASCII, but where the original was SMTPUTF8: then a part that needs it has the global type of RFC 6533. Raw
 * 8-bit bytes in the headers of other mail become question marks, for a notification must arrive anywhere.
 */
import { assert } from '../base/assert.ts';
import { mailDate } from './date.ts';
import type { DsnKind, Report, ReportedRecipient } from './dsn_report.ts';
import { humanPart, statusPart } from './dsn_report.ts';
import { findField, splitHeaders, unfolded } from './headers.ts';

export type { DsnKind, ReportedRecipient };

export type DsnRequest = Omit<Report, 'kind'> & {
  /** Of the notification. */
  readonly id: string;
  readonly nowMs: number;
  /** Absent: `failed`. */
  readonly kind?: DsnKind;
  /** Header section of the original, one char per byte, perhaps cut short. */
  readonly headers: string;
  /** The whole original, one char per byte, to be returned in place of its headers where it can be. */
  readonly content?: string;
};

/** `text` has CRLF line ends; it is sent in UTF-8, from the null sender to the sender of the original. */
export type Dsn = { readonly text: string; readonly smtpUtf8: boolean };

const SUBJECTS: Readonly<Record<DsnKind, string>> = {
  failed: 'Undelivered mail returned to sender',
  delayed: 'Your mail is delayed',
  relayed: 'Your mail was handed on',
};

/** Never for the null sender (RFC 5321 §6.1), and never for nobody: those are the caller's bugs. */
export function buildDsn(request: DsnRequest): Dsn {
  const { id, hostname, nowMs, envelope, recipients } = request;
  assert(envelope.sender !== '' && recipients.length > 0, 'a notification has a recipient and a reason');
  const kind = request.kind ?? 'failed';
  const report: Report = { ...request, kind };
  const wire = envelope.smtpUtf8 ? (text: string) => text : ascii;
  const parts = [
    part('text/plain; charset=us-ascii', 'text/plain; charset=utf-8', wire(humanPart(report))),
    part('message/delivery-status', 'message/global-delivery-status', wire(statusPart(report))),
    originalPart(request),
  ];
  const boundary = freeBoundary(id, parts);
  const top = [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${envelope.sender}>`,
    `Subject: ${SUBJECTS[kind]}`,
    `Date: ${mailDate(nowMs)}`,
    `Message-ID: <${id}@${hostname}>`,
    ...threadFields(request.headers),
    'Auto-Submitted: auto-replied', // RFC 3834 §5
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
  return { text: `${top.join('\r\n')}\r\n\r\n${body}--${boundary}--\r\n`, smtpUtf8: !isAscii(envelope.sender) };
}

/** RFC 6533 §4, §5: the global type only where the body needs it. */
function part(type: string, globalType: string, body: string): string {
  return isAscii(body)
    ? `Content-Type: ${type}\r\n\r\n${body}`
    : `Content-Type: ${globalType}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${body}`;
}

function originalPart({ envelope, headers, content }: DsnRequest): string {
  if (content !== undefined) {
    const whole = envelope.smtpUtf8 ? decodeStrictly(content) : isAscii(content) ? content : null;
    // In another charset it cannot be a part of our text.
    if (whole !== null) return part('message/rfc822', 'message/global', whole);
  }
  const lines = wholeLines(headers);
  return part(
    'text/rfc822-headers',
    'message/global-headers',
    envelope.smtpUtf8 ? decoder.decode(octets(lines)) : ascii(lines),
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

const isAscii = (text: string): boolean => !/[^\x00-\x7f]/.test(text);
const ascii = (text: string): string => text.replace(/[^\x00-\x7f]/gu, '?');

const decoder = new TextDecoder('utf-8');
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const octets = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

function decodeStrictly(text: string): string | null {
  try {
    return strictDecoder.decode(octets(text));
  } catch {
    return null;
  }
}
