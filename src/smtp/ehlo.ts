/** What we say that we can do: the reply to EHLO (RFC 5321 §4.1.1.1), each keyword from its own RFC. */
import { REPLIES } from './replies.ts';
import { XCLIENT_ATTRIBUTES } from './xclient.ts';

export type Offer = {
  readonly hostname: string;
  readonly messageBytesMax: number;
  readonly recipientsMax: number;
  readonly messagesMax: number;
  readonly startTls: boolean;
};

/** RFC 9422 §4: a limit has one to six digits. */
const LIMIT_MAX = 999_999;

/** Two replies for each offer, since settings are few and sessions are many. */
const printed = new WeakMap<Offer, { readonly clear: string; readonly secure: string }>();

/** `xclient`: to a peer that may speak for others. */
export function ehloReply(offer: Offer, secure: boolean, xclient = false): string {
  if (xclient) return print(offer, offer.startTls && !secure, [`XCLIENT ${XCLIENT_ATTRIBUTES.join(' ')}`]);
  let replies = printed.get(offer);
  if (replies === undefined) {
    replies = { clear: print(offer, offer.startTls), secure: print(offer, false) };
    printed.set(offer, replies);
  }
  return secure ? replies.secure : replies.clear;
}

/** AUTH is never among them (RFC 4954 §4 is for submission), nor BINARYMIME (RFC 3030 §3). */
function print(offer: Offer, startTls: boolean, further: readonly string[] = []): string {
  const lines = [
    offer.hostname,
    'PIPELINING', // RFC 2920 §3
    `SIZE ${offer.messageBytesMax}`, // RFC 1870 §3
    '8BITMIME', // RFC 6152 §2
    'SMTPUTF8', // RFC 6531 §3.1
    'ENHANCEDSTATUSCODES', // RFC 2034 §3
    'CHUNKING', // RFC 3030 §2
    'DSN', // RFC 3461 §4
    // RFC 9422 §3
    `LIMITS RCPTMAX=${Math.min(offer.recipientsMax, LIMIT_MAX)} MAILMAX=${Math.min(offer.messagesMax, LIMIT_MAX)}`,
    ...(startTls ? ['STARTTLS'] : []), // RFC 3207 §4
    ...further,
    'HELP',
  ];
  const [code] = REPLIES.hello;
  return lines.map((line, at) => `${code}${at < lines.length - 1 ? '-' : ' '}${line}\r\n`).join('');
}
