/**
 * One command line to one value (RFC 5321 §4.1.1), once, at the edge. What a command may do in which state is
 * session.ts. Never throws, whatever the bytes.
 *
 *   line ─► bytes are text? ─► verb ─► its row in PARSERS ─► path ─► parameters ─► Command
 *              └ no ────────────┴ none ───┴─────────────────────┴────────┴───────► Mistake, with its reply
 */
import { decodeUtf8, hasControls, isAscii } from '../base/text.ts';
import type { Recipient } from '../message/envelope.ts';
import type { Mailbox } from './address.ts';
import { parsePath, printMailbox } from './address.ts';
import { MAIL_PARAMETERS, parseParameters, RECIPIENT_PARAMETERS } from './parameters.ts';
import type { ReplyKey } from './replies.ts';
import { upperAscii, withoutLeadingSpaces, withoutTrailingBlanks } from './text.ts';
import type { Announcement } from './xclient.ts';
import { parseXclient } from './xclient.ts';

export type MailCommand = {
  readonly verb: 'MAIL';
  /** '' is the null sender. */
  readonly sender: string;
  /** SIZE=, or 0 where it is not said (RFC 1870 §4). */
  readonly sizeBytes: number;
  readonly body: '7BIT' | '8BITMIME' | null;
  readonly smtpUtf8: boolean;
  readonly ret?: 'full' | 'headers';
  readonly envid?: string;
  /** It had parameters, so the client must have said EHLO. */
  readonly extended: boolean;
};

export type RcptCommand = {
  readonly verb: 'RCPT';
  readonly recipient: Recipient;
  readonly mailbox: Mailbox;
  /** It had parameters. */
  readonly extended: boolean;
  /** It was not ASCII as it came, so MAIL must have said SMTPUTF8 (RFC 6531 §3.3), whatever the domain is by now. */
  readonly international: boolean;
};

export type Command =
  | { readonly verb: 'HELO' | 'EHLO'; readonly client: string }
  | MailCommand
  | RcptCommand
  | { readonly verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS' }
  | { readonly verb: 'NOOP' | 'HELP' | 'VRFY' | 'EXPN'; readonly argument: string }
  | { readonly verb: 'BDAT'; readonly bytes: number; readonly last: boolean }
  /** Null: it cannot be read, which is told to those only that may say it. */
  | { readonly verb: 'XCLIENT'; readonly said: Announcement | null };

export type Verb = Command['verb'];

/**
 * A line that is no command. `bdatBytes`: a BDAT whose octets come whatever we answer, and must be skipped. `fatal`:
 * who says this is not to be listened to any longer; the reply is the last line.
 */
export type Mistake = {
  readonly verb: 'mistake';
  readonly reply: ReplyKey;
  readonly bdatBytes?: number;
  readonly fatal?: true;
};

type Parsed = Command | Mistake;

const mistake = (reply: ReplyKey): Mistake => ({ verb: 'mistake', reply });
const fatal = (reply: ReplyKey): Mistake => ({ verb: 'mistake', reply, fatal: true });

/** Takes the argument: what follows the verb and its space, trailing blanks gone. */
const PARSERS: ReadonlyMap<string, (argument: string) => Parsed> = new Map<string, (argument: string) => Parsed>([
  ['EHLO', (argument) => parseHello('EHLO', argument)],
  ['HELO', (argument) => parseHello('HELO', argument)],
  ['MAIL', parseMail],
  ['RCPT', parseRcpt],
  ['DATA', (argument) => bare('DATA', argument)],
  ['BDAT', parseBdat],
  ['RSET', (argument) => bare('RSET', argument)],
  ['QUIT', (argument) => bare('QUIT', argument)],
  ['STARTTLS', (argument) => bare('STARTTLS', argument)], // RFC 3207 §4: a parameter is 501
  ['NOOP', (argument) => ({ verb: 'NOOP', argument })],
  ['HELP', (argument) => ({ verb: 'HELP', argument })],
  ['VRFY', (argument) => (argument === '' ? mistake('badArgument') : { verb: 'VRFY', argument })],
  ['EXPN', (argument) => ({ verb: 'EXPN', argument })],
  ['XCLIENT', (argument) => ({ verb: 'XCLIENT', said: parseXclient(argument) })],
  ['AUTH', () => mistake('authUnavailable')], // RFC 4954 §4: never offered here
  ['LHLO', () => mistake('lmtpHere')], // RFC 2033 §4.1
  ['ETRN', () => mistake('notImplemented')], // RFC 1985
  ['TURN', () => mistake('notImplemented')], // RFC 5321 appendix F.1
  ['SEND', () => mistake('notImplemented')], // RFC 5321 appendix F.6
  ['SOML', () => mistake('notImplemented')],
  ['SAML', () => mistake('notImplemented')],
  // A browser or proxy that was talked into speaking to us sends what its attacker wrote as its next lines.
  ...['GET', 'POST', 'PUT', 'HEAD', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'DELETE', 'PRI'].map(
    (method): [string, () => Parsed] => [method, () => fatal('wrongProtocol')],
  ),
]);

/** `line` without its line end, one char per byte. */
export function parseCommand(line: string): Command | Mistake {
  const text = decodeUtf8(line);
  if (text === null || hasControls(text)) return mistake('badLine');
  const space = text.indexOf(' ');
  const word = space === -1 ? withoutTrailingBlanks(text) : text.slice(0, space);
  const parser = PARSERS.get(word) ?? PARSERS.get(upperAscii(word));
  return parser === undefined ? mistake('unknownCommand') : parser(space === -1 ? '' : argumentAfter(text, space));
}

const argumentAfter = (text: string, space: number): string => withoutTrailingBlanks(text.slice(space + 1));

/**
 * Clients say what they like here: underscores, names without a domain, literals without `IPv6:`. Policy may judge it.
 * What goes into a Received field is letters, digits and `-._:[]`, and no more than a domain's length.
 */
const HELLO = /^[\w.:[\]-]{1,255}$/;

function parseHello(verb: 'EHLO' | 'HELO', argument: string): Parsed {
  const client = withoutLeadingSpaces(argument);
  return HELLO.test(client) ? { verb, client } : mistake('needsName'); // RFC 5321 §4.1.1.1
}

function parseMail(argument: string): Parsed {
  const rest = afterKeyword(argument, 'FROM:');
  if (rest === null) return mistake('badArgument');
  const path = parsePath(rest);
  if (path === null || path.mailbox?.domain === '') return mistake('badSender');
  const sender = path.mailbox === null ? '' : printMailbox(path.mailbox);
  const extended = rest.length > path.end;
  if (extended) return extendedMail(sender, rest, path.end);
  return isAscii(rest)
    ? { verb: 'MAIL', sender, sizeBytes: 0, body: null, smtpUtf8: false, extended }
    : mistake('senderNeedsSmtpUtf8');
}

function extendedMail(sender: string, rest: string, end: number): Parsed {
  const parameters = parseParameters(rest.slice(end), MAIL_PARAMETERS);
  if (typeof parameters === 'string') return mistake(parameters);
  const { sizeBytes = 0, body = null, smtpUtf8 = false, ...kept } = parameters;
  if (!smtpUtf8 && !isAscii(rest)) return mistake('senderNeedsSmtpUtf8'); // RFC 6531 §3.5
  return { verb: 'MAIL', sender, sizeBytes, body, smtpUtf8, ...kept, extended: true };
}

function parseRcpt(argument: string): Parsed {
  const rest = afterKeyword(argument, 'TO:');
  if (rest === null) return mistake('badArgument');
  const path = parsePath(rest);
  if (path === null || path.mailbox === null) return mistake('badRecipient');
  const { mailbox } = path;
  const address = printMailbox(mailbox);
  const international = !isAscii(rest);
  if (rest.length === path.end)
    return { verb: 'RCPT', recipient: { address }, mailbox, extended: false, international };
  const parameters = parseParameters(rest.slice(path.end), RECIPIENT_PARAMETERS);
  if (typeof parameters === 'string') return mistake(parameters);
  return { verb: 'RCPT', recipient: { address, ...parameters }, mailbox, extended: true, international };
}

/** What follows `FROM:` or `TO:`; spaces after the colon are not in the grammar but in the world. */
function afterKeyword(argument: string, keyword: string): string | null {
  const word = argument.slice(0, keyword.length);
  if (word !== keyword && upperAscii(word) !== keyword) return null;
  return withoutLeadingSpaces(argument.slice(keyword.length));
}

/** 15 digits: exact as a number, and more than anybody could send. */
const CHUNK = /^([0-9]{1,15})(?: (.*))?$/;

/**
 * RFC 3030 §2. The octets follow at once, whatever we answer. Where we cannot tell how many they are, they could be
 * read as commands, so that is the end of the session.
 */
function parseBdat(argument: string): Parsed {
  const match = CHUNK.exec(argument);
  if (match === null) return fatal('badChunkSize');
  const bytes = Number(match[1]);
  const marker = match[2] === undefined ? '' : withoutLeadingSpaces(match[2]);
  if (marker === '' || upperAscii(marker) === 'LAST') return { verb: 'BDAT', bytes, last: marker !== '' };
  return { verb: 'mistake', reply: 'badArgument', bdatBytes: bytes };
}

const bare = (verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS', argument: string): Parsed =>
  argument === '' ? { verb } : mistake('noArgument');
