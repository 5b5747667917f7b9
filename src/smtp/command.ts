/**
 * One command line to one value (RFC 5321 §4.1.1), once, at the edge. What a command may do in which state is
 * session.ts. Never throws, whatever the bytes.
 */
import type { Notify, Recipient } from '../message/envelope.ts';
import type { Mailbox } from './address.ts';
import { isAscii, parseDomain, parsePath, printMailbox } from './address.ts';
import { MAIL_PARAMETERS, parseParameters, RECIPIENT_PARAMETERS } from './parameters.ts';
import type { ReplyKey } from './replies.ts';

export type Command =
  | { readonly verb: 'HELO' | 'EHLO'; readonly client: string }
  | {
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
    }
  | { readonly verb: 'RCPT'; readonly recipient: Recipient; readonly mailbox: Mailbox; readonly extended: boolean }
  | { readonly verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS' }
  | { readonly verb: 'NOOP' | 'HELP' | 'VRFY' | 'EXPN'; readonly argument: string }
  | { readonly verb: 'BDAT'; readonly bytes: number; readonly last: boolean };

/** A line that is no command. `bdatBytes`: a BDAT whose octets come whatever we answer. */
export type Mistake = { readonly verb: 'mistake'; readonly reply: ReplyKey; readonly bdatBytes?: number; readonly fatal?: true };

const mistake = (reply: ReplyKey): Mistake => ({ verb: 'mistake', reply });

/** Takes the argument: what follows the verb and its space, trailing spaces gone. */
const PARSERS: Readonly<Record<string, (argument: string) => Command | Mistake>> = {
  EHLO: (argument) => parseHello('EHLO', argument),
  HELO: (argument) => parseHello('HELO', argument),
  MAIL: parseMail,
  RCPT: parseRcpt,
  DATA: (argument) => bare('DATA', argument),
  BDAT: parseBdat,
  RSET: (argument) => bare('RSET', argument),
  QUIT: (argument) => bare('QUIT', argument),
  STARTTLS: (argument) => bare('STARTTLS', argument),
  NOOP: (argument) => ({ verb: 'NOOP', argument }),
  HELP: (argument) => ({ verb: 'HELP', argument }),
  VRFY: (argument) => (argument === '' ? mistake('badArgument') : { verb: 'VRFY', argument }),
  EXPN: (argument) => ({ verb: 'EXPN', argument }),
  AUTH: () => mistake('authUnavailable'), // RFC 4954 §4: never offered here
  LHLO: () => mistake('lmtpHere'),
  ETRN: () => mistake('notImplemented'),
  TURN: () => mistake('notImplemented'), // RFC 5321 appendix F.1
  SEND: () => mistake('notImplemented'),
  SOML: () => mistake('notImplemented'),
  SAML: () => mistake('notImplemented'),
};

/** A browser or proxy that was talked into speaking to port 25 sends its header lines as commands next. */
const OTHER_PROTOCOLS = /^(GET|POST|PUT|HEAD|CONNECT|OPTIONS) /;

/** `line` without its line end, one char per byte. */
export function parseCommand(line: string): Command | Mistake {
  const text = isAscii(line) ? line : decodeUtf8(line);
  if (text === null || /[\x00-\x08\x0a-\x1f\x7f]/.test(text)) return mistake('badLine');
  const space = text.indexOf(' ');
  const verb = (space === -1 ? text : text.slice(0, space)).toUpperCase();
  const parser = Object.hasOwn(PARSERS, verb) ? PARSERS[verb]! : null;
  if (parser !== null) return parser(space === -1 ? '' : text.slice(space + 1).trimEnd());
  return OTHER_PROTOCOLS.test(text) ? { ...mistake('wrongProtocol'), fatal: true } : mistake('unknownCommand');
}

function parseHello(verb: 'EHLO' | 'HELO', argument: string): Command | Mistake {
  const client = argument.trimStart();
  if (client === '') return mistake('needsName');
  // Clients say what they like here, and policy may judge it; only what could not be printed safely is refused.
  if (client.length > 255 || (parseDomain(client) === null && !/^[\w.:[\]-]+$/.test(client))) return mistake('needsName');
  return { verb, client };
}

function parseMail(argument: string): Command | Mistake {
  const rest = afterKeyword(argument, 'FROM:');
  if (rest === null) return mistake('badArgument');
  const path = parsePath(rest);
  if (path === null || path.mailbox?.domain === '') return mistake('badSender');
  const parameters = parseParameters(rest.slice(path.end), MAIL_PARAMETERS);
  if (typeof parameters === 'string') return mistake(parameters);
  const sender = path.mailbox === null ? '' : printMailbox(path.mailbox);
  const { sizeBytes = 0, body = null, smtpUtf8 = false, ...kept } = parameters;
  if (!smtpUtf8 && !isAscii(sender)) return mistake('needsSmtpUtf8');
  return { verb: 'MAIL', sender, sizeBytes, body, smtpUtf8, ...kept, extended: rest.length > path.end };
}

function parseRcpt(argument: string): Command | Mistake {
  const rest = afterKeyword(argument, 'TO:');
  if (rest === null) return mistake('badArgument');
  const path = parsePath(rest);
  if (path === null || path.mailbox === null) return mistake('badRecipient');
  const parameters: { notify?: Notify; orcpt?: string } | ReplyKey = parseParameters(rest.slice(path.end), RECIPIENT_PARAMETERS);
  if (typeof parameters === 'string') return mistake(parameters);
  const recipient = { address: printMailbox(path.mailbox), ...parameters };
  return { verb: 'RCPT', recipient, mailbox: path.mailbox, extended: rest.length > path.end };
}

/** What follows `FROM:` or `TO:`; a space after the colon is not in the grammar but in the world. */
function afterKeyword(argument: string, keyword: string): string | null {
  return argument.slice(0, keyword.length).toUpperCase() === keyword ? argument.slice(keyword.length).trimStart() : null;
}

/** RFC 3030 §2. */
function parseBdat(argument: string): Command | Mistake {
  const match = /^(\d{1,15})( +LAST)?$/i.exec(argument);
  if (match !== null) return { verb: 'BDAT', bytes: Number(match[1]), last: match[2] !== undefined };
  const size = /^(\d{1,15})(?!\d)/.exec(argument);
  return size === null ? mistake('badArgument') : { ...mistake('badArgument'), bdatBytes: Number(size[1]) };
}

const bare = (verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS', argument: string): Command | Mistake =>
  argument === '' ? { verb } : mistake('noArgument');

const decoder = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(line: string): string | null {
  const bytes = Uint8Array.from(line, (char) => char.charCodeAt(0));
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}
