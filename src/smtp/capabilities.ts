/** What a server says that it can do, from its EHLO or LHLO reply (RFC 5321 §4.1.1.1). Unknown keywords are ignored. */
import type { Reply } from './reply_reader.ts';

export type Capabilities = {
  readonly pipelining: boolean; // RFC 2920
  readonly eightBitMime: boolean; // RFC 6152
  readonly smtpUtf8: boolean; // RFC 6531
  readonly chunking: boolean; // RFC 3030
  readonly dsn: boolean; // RFC 3461
  readonly startTls: boolean; // RFC 3207
  /** SASL mechanisms, upper case (RFC 4954). */
  readonly auth: readonly string[];
  /** Octets, or null where no limit is given (RFC 1870 §3). */
  readonly sizeBytesMax: number | null;
  /** RFC 9422 §4, null where not given. */
  readonly recipientsMax: number | null;
  readonly messagesMax: number | null;
};

export const NO_CAPABILITIES: Capabilities = {
  pipelining: false,
  eightBitMime: false,
  smtpUtf8: false,
  chunking: false,
  dsn: false,
  startTls: false,
  auth: [],
  sizeBytesMax: null,
  recipientsMax: null,
  messagesMax: null,
};

type Row = (words: readonly string[]) => Partial<Capabilities>;

const KEYWORDS: Readonly<Record<string, Row>> = {
  PIPELINING: () => ({ pipelining: true }),
  '8BITMIME': () => ({ eightBitMime: true }),
  SMTPUTF8: () => ({ smtpUtf8: true }),
  CHUNKING: () => ({ chunking: true }),
  DSN: () => ({ dsn: true }),
  STARTTLS: () => ({ startTls: true }),
  AUTH: (words) => ({ auth: words.map((word) => word.toUpperCase()) }),
  SIZE: ([size]) => ({ sizeBytesMax: positive(size) }),
  LIMITS: (words) => ({
    recipientsMax: limit(words, 'RCPTMAX'),
    messagesMax: limit(words, 'MAILMAX'),
  }),
};

/** `reply` is the 250 to EHLO; its first line is the server's name. */
export function parseCapabilities(reply: Reply): Capabilities {
  const found: Partial<Capabilities> = {};
  for (const line of reply.lines.slice(1)) {
    const [keyword = '', ...words] = line.trim().split(/[ \t]+/);
    const name = keyword.toUpperCase();
    if (Object.hasOwn(KEYWORDS, name)) Object.assign(found, KEYWORDS[name]!(words));
  }
  return { ...NO_CAPABILITIES, ...found };
}

/** A whole number above 0, or null: 0 means no limit. */
function positive(word: string | undefined): number | null {
  return word !== undefined && /^\d{1,15}$/.test(word) && Number(word) > 0 ? Number(word) : null;
}

function limit(words: readonly string[], name: string): number | null {
  const word = words.find((each) => each.toUpperCase().startsWith(`${name}=`));
  return positive(word?.slice(name.length + 1));
}
