/**
 * Delivery status notifications: multipart/report (RFC 6522) with a text for people, a message/delivery-status for
 * programs (RFC 3464, 3461 §6) and the headers of the original. Internationalised addresses by RFC 6533.
 */
import { assert } from '../base/assert.ts';
import { mailDate } from './date.ts';
import type { Envelope, Recipient } from './envelope.ts';

export type ReportedRecipient = {
  readonly recipient: Recipient;
  /** The server's code, 0 where it did not speak. */
  readonly code: number;
  /** RFC 3463 status; '' where the server gave none. */
  readonly enhanced: string;
  /** What the server said, one printable line. */
  readonly text: string;
  /** Given up after its time in the queue, not refused. */
  readonly expired: boolean;
  /** The host that said it, '' where none was reached. */
  readonly host: string;
  readonly lastAttemptMs: number;
};

export type DsnRequest = {
  readonly id: string;
  readonly hostname: string;
  readonly postmaster: string;
  readonly nowMs: number;
  readonly envelope: Envelope;
  /** Header section of the original, one char per byte, perhaps cut short. */
  readonly headers: string;
  readonly recipients: readonly ReportedRecipient[];
};

export type Dsn = { readonly text: string; readonly smtpUtf8: boolean };

/** Never for the null sender, and never for nobody: those are the caller's bugs. */
export function buildDsn(request: DsnRequest): Dsn {
  const { envelope, recipients } = request;
  assert(envelope.sender !== '' && recipients.length > 0, 'a bounce has a recipient and a reason');
  const headers = wholeFields(request.headers);
  const status = statusPart(request);
  const utf8 = !isAscii(envelope.sender) || !isAscii(status) || !isAscii(headers);
  const text = humanPart(request);
  const boundary = freeBoundary(request.id, [text, status, headers]);
  const top = [
    `From: Mail Delivery System <MAILER-DAEMON@${request.hostname}>`,
    `To: <${envelope.sender}>`,
    'Subject: Undelivered mail returned to sender',
    `Date: ${mailDate(request.nowMs)}`,
    `Message-ID: <${request.id}@${request.hostname}>`,
    ...originalMessageId(headers),
    'Auto-Submitted: auto-replied', // RFC 3834 §5
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    `\tboundary="${boundary}"`,
    ...(utf8 ? ['Content-Transfer-Encoding: 8bit'] : []),
  ].join('\r\n');
  const parts = [
    part(`text/plain; charset=${utf8 ? 'utf-8' : 'us-ascii'}`, text),
    part(utf8 ? 'message/global-delivery-status' : 'message/delivery-status', status), // RFC 6533 §4
    part(utf8 ? 'message/global-headers' : 'text/rfc822-headers', headers),
  ];
  const body = parts.map((each) => `--${boundary}\r\n${each}\r\n`).join('');
  return { text: `${top}\r\n\r\n${body}--${boundary}--\r\n`, smtpUtf8: !isAscii(envelope.sender) };
}

const part = (type: string, body: string): string =>
  `Content-Type: ${type}\r\n${isAscii(body) ? '' : 'Content-Transfer-Encoding: 8bit\r\n'}\r\n${body}`;

function humanPart({ hostname, postmaster, envelope, recipients }: DsnRequest): string {
  const one = recipients.length === 1;
  const lines = [
    `This is the mail system at ${hostname}.`,
    '',
    `Your message of ${mailDate(envelope.acceptedMs)} could not be delivered to ${one ? 'this recipient' : 'these recipients'}:`,
    '',
  ];
  for (const each of recipients) {
    lines.push(`<${each.recipient.address}>`);
    if (each.expired) lines.push('    It was tried until its time was over. The last answer was:');
    lines.push(...folded(`${each.host === '' ? '' : `${each.host} said: `}${diagnosis(each)}`), '');
  }
  lines.push(`If this does not help you, write to ${postmaster}.`, '');
  return lines.join('\r\n');
}

const diagnosis = ({ code, enhanced, text }: ReportedRecipient): string =>
  [code === 0 ? '' : String(code), enhanced, text].filter((word) => word !== '').join(' ');

/** Lines of up to 72 characters, indented. */
function folded(text: string): string[] {
  const lines: string[] = [];
  let line = '   ';
  for (const word of text.split(' ')) {
    if (line.length + word.length > 72 && line.trim() !== '') {
      lines.push(line);
      line = '   ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** RFC 3464 §2.2 and §2.3. */
function statusPart({ hostname, envelope, recipients }: DsnRequest): string {
  const groups = [
    [
      ...(envelope.envid === undefined ? [] : [`Original-Envelope-Id: ${xtextDecoded(envelope.envid)}`]),
      `Reporting-MTA: dns; ${hostname}`,
      `Arrival-Date: ${mailDate(envelope.acceptedMs)}`,
    ],
    ...recipients.map(recipientGroup),
  ];
  return `${groups.map((fields) => fields.join('\r\n')).join('\r\n\r\n')}\r\n`;
}

function recipientGroup(each: ReportedRecipient): string[] {
  const { address, orcpt } = each.recipient;
  const type = isAscii(address) ? 'rfc822' : 'utf-8'; // RFC 6533 §3
  const fields: string[] = [];
  if (orcpt !== undefined) {
    const semicolon = orcpt.indexOf(';');
    fields.push(`Original-Recipient: ${orcpt.slice(0, semicolon)}; ${xtextDecoded(orcpt.slice(semicolon + 1))}`);
  }
  fields.push(`Final-Recipient: ${type}; ${address}`, 'Action: failed', `Status: ${statusOf(each)}`);
  if (each.host !== '') fields.push(`Remote-MTA: dns; ${each.host}`);
  if (each.code !== 0) fields.push(`Diagnostic-Code: smtp; ${diagnosis(each)}`);
  fields.push(`Last-Attempt-Date: ${mailDate(each.lastAttemptMs)}`);
  return fields;
}

/** RFC 3464 §2.3.4: the server's own, or the most general one that is true. */
function statusOf({ enhanced, code, expired }: ReportedRecipient): string {
  if (expired) return '4.4.7'; // RFC 3463 §3.5: delivery time expired
  return enhanced !== '' ? enhanced : code >= 500 || code === 0 ? '5.0.0' : '4.0.0';
}

/** RFC 3461 §4; what would break the field's line stays encoded. */
const xtextDecoded = (text: string): string =>
  text.replace(/\+([2-7][0-9A-F])/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)).replace('\x7f', '?'),
  );

/** The header section without its empty line, cut after the last whole line; never empty lines within. */
function wholeFields(headers: string): string {
  const end = headers.lastIndexOf('\r\n');
  const whole = end === -1 ? '' : headers.slice(0, end + 2);
  return decodeUtf8(whole).replace(/(\r\n)+$/, '\r\n');
}

function originalMessageId(headers: string): string[] {
  const match = /^message-id:[ \t]*(<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>)/im.exec(headers);
  return match === null ? [] : [`In-Reply-To: ${match[1]}`, `References: ${match[1]}`];
}

function freeBoundary(id: string, parts: readonly string[]): string {
  let boundary = `postern-${id}`;
  while (parts.some((each) => each.includes(boundary))) boundary += '-x';
  return boundary;
}

const isAscii = (text: string): boolean => !/[^\x00-\x7f]/.test(text);
const decoder = new TextDecoder('utf-8');

/** Header bytes are UTF-8 (RFC 6532) or of an unknown charset, and then unreadable bytes become U+FFFD. */
const decodeUtf8 = (text: string): string =>
  isAscii(text) ? text : decoder.decode(Uint8Array.from(text, (char) => char.charCodeAt(0)));
