/** What a server says that it can do, from its EHLO or LHLO reply (RFC 5321 §4.1.1.1). Unknown keywords are ignored. */
import type { Reply } from './reply_reader.ts';

export type Capabilities = {
  readonly pipelining: boolean; // RFC 2920
  readonly eightBitMime: boolean; // RFC 6152
  readonly smtpUtf8: boolean; // RFC 6531
  readonly chunking: boolean; // RFC 3030
  readonly dsn: boolean; // RFC 3461
  readonly startTls: boolean; // RFC 3207
  readonly enhancedCodes: boolean; // RFC 2034
  /** SASL mechanisms, upper case (RFC 4954). */
  readonly auth: readonly string[];
  /** Octets, 0: offered without a limit (RFC 1870 §4); null: not offered. */
  readonly sizeBytesMax: number | null;
  /** RFC 9422 §4, null where not given. */
  readonly recipientsMax: number | null;
  readonly recipientDomainsMax: number | null;
  readonly messagesMax: number | null;
};

export const NO_CAPABILITIES: Capabilities = {
  pipelining: false,
  eightBitMime: false,
  smtpUtf8: false,
  chunking: false,
  dsn: false,
  startTls: false,
  enhancedCodes: false,
  auth: [],
  sizeBytesMax: null,
  recipientsMax: null,
  recipientDomainsMax: null,
  messagesMax: null,
};

/** Takes the words after the keyword, and what earlier lines said. */
type Row = (words: readonly string[], earlier: Capabilities) => Partial<Capabilities>;

const KEYWORDS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['PIPELINING', () => ({ pipelining: true })],
  ['8BITMIME', () => ({ eightBitMime: true })],
  ['SMTPUTF8', () => ({ smtpUtf8: true })],
  ['CHUNKING', () => ({ chunking: true })],
  ['DSN', () => ({ dsn: true })],
  ['STARTTLS', () => ({ startTls: true })],
  ['ENHANCEDSTATUSCODES', () => ({ enhancedCodes: true })],
  ['AUTH', (words, { auth }) => ({ auth: [...new Set([...auth, ...words.map((word) => word.toUpperCase())])] })],
  ['SIZE', ([size]) => ({ sizeBytesMax: positive(size) ?? 0 })],
  [
    'LIMITS',
    (words) => ({
      recipientsMax: limit(words, 'RCPTMAX'),
      recipientDomainsMax: limit(words, 'RCPTDOMAINMAX'),
      messagesMax: limit(words, 'MAILMAX'),
    }),
  ],
]);

/** `reply` is the 250 to EHLO; its first line is the server's name. */
export function parseCapabilities(reply: Reply): Capabilities {
  let found = NO_CAPABILITIES;
  for (const line of reply.lines.slice(1)) {
    // `AUTH=LOGIN` is how servers of before RFC 2554 say it, often beside the other.
    const [keyword = '', ...words] = line.trim().split(/[ \t]+|(?<=^AUTH)=/i);
    const row = KEYWORDS.get(keyword.toUpperCase());
    if (row !== undefined) found = { ...found, ...row(words, found) };
  }
  return found;
}

/** A whole number above 0, or null. */
function positive(word: string | undefined): number | null {
  return word !== undefined && /^\d{1,15}$/.test(word) && Number(word) > 0 ? Number(word) : null;
}

function limit(words: readonly string[], name: string): number | null {
  const word = words.find((each) => each.toUpperCase().startsWith(`${name}=`));
  return positive(word?.slice(name.length + 1));
}
