/**
 * Every reply that Postern gives, and the only file with reply text: key, code, enhanced code (RFC 3463, RFC 5248),
 * words. `%s` stands for what the caller adds. Texts say what is wrong and, where there is something, what to do.
 */

export const REPLIES = {
  // What is well.
  banner: [220, '', '%s ESMTP Postern'], // RFC 5321 §4.2.4, §4.3.1
  startTls: [220, '2.0.0', 'Ready to start TLS'], // RFC 3207 §4
  bye: [221, '2.0.0', '%s closing connection'], // RFC 5321 §4.1.1.10
  hello: [250, '', '%s'], // RFC 5321 §4.1.1.1: no enhanced code for EHLO and HELO (RFC 2034 §4)
  ok: [250, '2.0.0', 'OK'],
  senderOk: [250, '2.1.0', 'Sender OK'],
  recipientOk: [250, '2.1.5', 'Recipient OK'],
  chunkOk: [250, '2.0.0', '%s octets received'], // RFC 3030 §2
  queued: [250, '2.0.0', 'OK: queued as %s'],
  cannotVerify: [252, '2.0.0', 'Cannot VRFY, but will try to deliver'], // RFC 5321 §3.5.3
  help: [214, '2.0.0', 'EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS HELP: see RFC 5321'],
  goAhead: [354, '', 'End data with <CRLF>.<CRLF>'], // RFC 2034 §4: 3yz has no enhanced code

  // The session ends (RFC 5321 §3.8), %s is our name.
  shuttingDown: [421, '4.3.2', '%s is shutting down, try again'],
  shardBroken: [421, '4.3.0', '%s cannot store mail at the moment, try again'],
  noShard: [421, '4.3.2', '%s is starting, try again in a moment'],
  tooManyConnections: [421, '4.3.2', '%s has too many connections, try again later'],
  tooManyFromClient: [421, '4.7.0', '%s has too many connections from your address, close some'],
  tooFastFromClient: [421, '4.7.0', '%s has had too many new connections from your address in this minute, wait'],
  closedForSpool: [421, '4.3.1', '%s is short of storage, try again later'], // RFC 3463 §3.4
  closedForQueue: [421, '4.3.2', '%s has much mail waiting already, try again later'],
  closedForMemory: [421, '4.3.2', '%s is busy, try again later'],
  badProxyHeader: [421, '4.3.5', '%s cannot read your PROXY header'],
  noProxyHeader: [421, '4.3.5', '%s waits for a PROXY header from your address'],
  timeout: [421, '4.4.2', '%s timed out waiting for you'],
  tooSlow: [421, '4.4.2', '%s received data too slowly'],
  sessionTooLong: [421, '4.4.2', '%s ends long sessions, connect again'],
  tooManyErrors: [421, '4.7.0', '%s saw too many errors, connect again when they are mended'],
  tooManyIdle: [421, '4.7.0', '%s saw too many commands without a message, connect again when there is one'],
  tooManyMessages: [421, '4.7.0', '%s takes no more messages in this session, connect again'], // RFC 9422 §4.1

  // Not now.
  recipientsFull: [452, '4.5.3', 'Too many recipients, send the rest in another transaction'], // RFC 5321 §4.5.3.1.10
  spoolFull: [452, '4.3.1', 'Insufficient system storage, try again later'],
  spoolShort: [452, '4.3.1', 'Storage is running short, try again later'], // RFC 5321 §4.2.2, RFC 3463 §3.4
  queueLong: [452, '4.3.2', 'Much mail is waiting already, try again later'],
  memoryShort: [452, '4.3.2', 'Too busy for new mail, try again later'],
  internal: [451, '4.3.0', 'Local error, try again later'],
  policyDefer: [451, '4.7.1', '%s'], // words of a rule, and its id
  tlsFailed: [454, '4.7.0', 'TLS is not available at the moment, try again later'], // RFC 3207 §4

  // Grammar.
  lineTooLong: [500, '5.5.2', 'Line too long'], // RFC 5321 §4.5.3.1.4, §4.2.3
  bareLf: [500, '5.5.2', 'Lines end with CRLF, not with LF alone'], // RFC 5321 §2.3.8
  unknownCommand: [500, '5.5.1', 'Command not recognized'],
  badLine: [500, '5.5.2', 'Command is not text: control characters, or bytes that are not UTF-8'],
  lmtpHere: [500, '5.5.1', 'This is SMTP, not LMTP: use EHLO'], // RFC 2033 §4.1
  badArgument: [501, '5.5.4', 'Syntax error in the argument'],
  noArgument: [501, '5.5.4', 'This command takes no argument'],
  needsName: [501, '5.5.4', 'Say your domain name or address literal'], // RFC 5321 §4.1.1.1
  badSender: [501, '5.1.7', 'Bad sender address syntax'],
  badRecipient: [501, '5.1.3', 'Bad recipient address syntax'],
  badParameter: [501, '5.5.4', 'Bad value of a parameter'],
  twiceParameter: [501, '5.5.4', 'A parameter is given twice'],
  badChunkSize: [501, '5.5.4', 'BDAT without a size that can be read, so its octets could be read as commands'],
  notImplemented: [502, '5.5.1', 'Command not implemented'],
  tlsUnavailable: [502, '5.5.1', 'STARTTLS is not available here'],
  authUnavailable: [502, '5.5.1', 'AUTH is not available here'],
  unknownParameter: [555, '5.5.4', 'Parameter not recognized or not implemented'], // RFC 5321 §4.1.1.11

  // Order (RFC 5321 §4.1.4).
  helloFirst: [503, '5.5.1', 'Say EHLO first'],
  nestedMail: [503, '5.5.1', 'A transaction is open: finish it or say RSET'],
  mailFirst: [503, '5.5.1', 'Say MAIL first'],
  recipientFirst: [503, '5.5.1', 'No valid recipient: say RCPT first'],
  chunksBegun: [503, '5.5.1', 'BDAT has begun: go on with BDAT or say RSET'], // RFC 3030 §2
  tlsAlready: [503, '5.5.1', 'TLS is active already'],
  noRecipients: [554, '5.5.1', 'No valid recipients'], // RFC 5321 §3.3

  // No.
  senderNeedsSmtpUtf8: [550, '5.6.7', 'Internationalized sender address needs SMTPUTF8'], // RFC 6531 §3.5
  recipientNeedsSmtpUtf8: [553, '5.6.7', 'Internationalized recipient address needs SMTPUTF8'], // RFC 6531 §3.5
  tooLarge: [552, '5.3.4', 'Message exceeds the maximum size'], // RFC 1870 §6.1, §6.3
  relayDenied: [550, '5.7.1', 'Relaying denied: the recipient domain is not ours'],
  unknownRecipient: [550, '5.1.1', 'No such recipient here'],
  tooManyHops: [554, '5.4.6', 'Too many Received fields: the message loops'], // RFC 5321 §6.3
  bareLineEnds: [550, '5.6.11', 'Message contains a CR or LF alone: send CRLF'], // RFC 5321 §2.3.8
  earlyTalk: [554, '5.5.0', 'You talked before the greeting: wait for it'], // RFC 5321 §4.3.1
  policyClosed: [554, '5.7.1', '%s'], // RFC 5321 §3.1: words of a rule, and its id
  policyReject: [550, '5.7.1', '%s'],
  policyUnknown: [550, '5.1.1', '%s'],
  wrongProtocol: [554, '5.5.0', 'This is SMTP, and you speak something else'],
  insideOnly: [554, '5.7.1', 'This address serves inside clients only'], // RFC 5321 §3.1

  // Content filters, where they have no words of their own (RFC 3463 §3.8).
  filterFailed: [451, '4.3.0', 'The message cannot be examined at the moment, try again later'],
  filterDeferred: [451, '4.7.1', 'The message is not accepted at the moment, try again later'],
  filterRejected: [550, '5.7.1', 'The message is refused by policy'],
  virusFound: [550, '5.7.1', 'The message contains malware: %s'],
  spamFound: [550, '5.7.1', 'The message is taken for spam'],
} as const satisfies Record<string, readonly [code: number, enhanced: string, text: string]>;

export type ReplyKey = keyof typeof REPLIES;

/** In place of those of the table. */
export type Status = { readonly code: number; readonly enhanced: string };

/** A reply of class 4 or 5, and what stands where its text has %s. */
export type Refusal = { readonly key: ReplyKey; readonly detail?: string; readonly status?: Status };

export const codeOf = ({ key, status }: Refusal): number => status?.code ?? REPLIES[key][0];

/** RFC 5321 §4.5.3.1.5, octets with the CRLF. */
const REPLY_LINE_BYTES_MAX = 512;
/** Longer words are cut: nobody reads more, and a reply is not to be a way to send much for little. */
const REPLY_LINES_MAX = 4;

const withoutDetail = new Map<ReplyKey, string>();

/**
 * The reply as wire text: one line with its CRLF, or several where the words are long (RFC 5321 §4.2.1). `detail` goes
 * where the text has %s; whatever it holds, it stays one reply: what is not printable ASCII becomes `?`.
 */
export function replyLine(key: ReplyKey, detail?: string, status?: Status): string {
  if (detail !== undefined) return print(key, detail, status);
  let line = withoutDetail.get(key);
  if (line === undefined) {
    line = print(key, '');
    withoutDetail.set(key, line);
  }
  return line;
}

function print(key: ReplyKey, detail: string, own?: Status): string {
  const [, , text] = REPLIES[key];
  const { code, enhanced } = own ?? { code: REPLIES[key][0], enhanced: REPLIES[key][1] };
  const words = text.replace('%s', () => detail).replace(/[^\x20-\x7e]/g, '?');
  const status = enhanced === '' ? '' : `${enhanced} `; // on each line: RFC 2034 §4
  const room = REPLY_LINE_BYTES_MAX - `${code} ${status}\r\n`.length;
  if (words.length <= room) return `${code} ${status}${words}\r\n`;
  const lines = folded(words, room).slice(0, REPLY_LINES_MAX);
  return lines.map((line, at) => `${code}${at < lines.length - 1 ? '-' : ' '}${status}${line}\r\n`).join('');
}

/** Lines of at most `room` chars, cut after a space where there is one. */
function folded(words: string, room: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < words.length; ) {
    const space = at + room < words.length ? words.lastIndexOf(' ', at + room) : -1;
    const end = space > at ? space : at + room;
    lines.push(words.slice(at, end));
    at = words[end] === ' ' ? end + 1 : end;
  }
  return lines;
}
