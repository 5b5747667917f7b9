/**
 * The content filters of the policy file, as a zod schema: who examines messages, where, for how long at most, and what
 * holds when it cannot. Strict: a key that is not named here is a fault.
 *
 *   filters:
 *     - { name: virus, type: clamd, at: unix:/run/clamav/clamd.ctl, onFailure: closed }
 *     - { name: spam, type: rspamd, at: http://127.0.0.1:11333, onFailure: open, side: outside }
 */
import { z } from 'zod';
import { canonicalAddress } from './parsers.ts';

/** Where a filter listens. `host` is an address without brackets, or a name that our own DNS client looks up. */
export type FilterAddress =
  | { readonly tag: 'tcp'; readonly host: string; readonly port: number }
  | { readonly tag: 'unix'; readonly path: string };

/** Where an HTTP filter listens; `origin` is `http://host:port`, whatever way leads there. */
export type HttpTarget = { readonly origin: string; readonly path: string; readonly socketPath?: string };

/** `sun_path` of Linux has 108 bytes with its NUL. */
const SOCKET_PATH_BYTES_MAX = 107;
const TARGET_WORDS = 'write tcp://host:port or unix:/path';
const HTTP_WORDS = 'write http://host:port/path, https://host:port/path or unix:/path';

function unixPath(text: string): string | null {
  const path = text.slice('unix:'.length);
  const sound = path.startsWith('/') && !/[\0-\x1f]/.test(path) && Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX;
  return sound ? path : null;
}

function hostOf(hostname: string): string | null {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1');
  const address = canonicalAddress(bare);
  if (address !== null) return address;
  return /^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/i.test(bare) ? bare.toLowerCase() : null;
}

function readTarget(text: string): FilterAddress | null {
  if (text.startsWith('unix:')) {
    const path = unixPath(text);
    return path === null ? null : { tag: 'unix', path };
  }
  const found = /^tcp:\/\/(\[[^\]/]+\]|[^:/[\]]+):(\d{1,5})$/.exec(text);
  const host = found === null ? null : hostOf(found[1]!);
  const port = Number(found?.[2] ?? 0);
  return host === null || port < 1 || port > 65_535 ? null : { tag: 'tcp', host, port };
}

function readHttpTarget(text: string, path: string): HttpTarget | null {
  if (text.startsWith('unix:')) {
    const socketPath = unixPath(text);
    return socketPath === null ? null : { origin: 'http://localhost', path, socketPath };
  }
  if (!/^https?:\/\/[^/?#]/.test(text) || /[\s#]/.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || hostOf(url.hostname) === null) return null;
  return { origin: url.origin, path: url.pathname === '/' ? path : `${url.pathname}${url.search}` };
}

function target<T>(words: string, read: (text: string) => T | null) {
  return z
    .string()
    .max(1024)
    .transform((text, context): T => {
      const value = read(text);
      if (value !== null) return value;
      context.addIssue({ code: 'custom', message: words });
      return z.NEVER;
    });
}

const address = () => target(TARGET_WORDS, readTarget).describe(TARGET_WORDS);
const httpTarget = (path: string) => target(HTTP_WORDS, (text) => readHttpTarget(text, path)).describe(HTTP_WORDS);
const ms = (value: number) => z.int().min(1).max(600_000).default(value);
const secret = () =>
  z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/, 'write 1 to 256 printable ASCII characters without blanks')
    .optional();

/** What every filter has. Times are milliseconds of the filter's own: while the client is the slow one, none pass. */
const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'write up to 32 of a-z, 0-9 and -'),
  /** `open`: what cannot be examined passes; `closed`: it is deferred with 451. */
  onFailure: z.enum(['open', 'closed']).default('closed'),
  /** What it says is logged and counted, and changes nothing. */
  dryRun: z.boolean().default(false),
  side: z.enum(['outside', 'inside', 'both']).default('both'),
  /** The wait for a free connection, and the opening of one. */
  connectMs: ms(5000),
  /** From one sign of life to the next. */
  stepMs: ms(30_000),
  totalMs: ms(120_000),
  /** Messages that it examines at once, for each shard; a milter each from MAIL on. */
  connectionsMax: z.int().min(1).max(10_000).default(100),
  /** So many failures in a row end the asking for a while; then one message tries. */
  breaker: z.strictObject({ failures: z.int().min(1).max(1000).default(5), pauseMs: ms(30_000) }).prefault({}),
};

/** A larger message passes this filter unexamined; 0: every size is examined. */
const contentBytesMax = (value: number) => z.int().min(0).default(value);

export const filterSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...common,
    type: z.literal('milter'),
    at: address(),
    contentBytesMax: contentBytesMax(0),
    /** The macro {daemon_name}. */
    daemonName: z
      .string()
      .regex(/^[\x21-\x7e]{1,64}$/, 'write 1 to 64 printable ASCII characters without blanks')
      .default('postern'),
  }),
  z.strictObject({
    ...common,
    type: z.literal('rspamd'),
    at: httpTarget('/checkv2'),
    contentBytesMax: contentBytesMax(0),
    password: secret(),
  }),
  z.strictObject({
    ...common,
    type: z.literal('clamd'),
    at: address(),
    contentBytesMax: contentBytesMax(0),
    onFound: z.enum(['reject', 'discard', 'hold']).default('reject'),
  }),
  z.strictObject({
    ...common,
    type: z.literal('spamd'),
    at: address(),
    /** SpamAssassin's own advice: larger mail is hardly ever spam and costs it seconds. */
    contentBytesMax: contentBytesMax(524_288),
    user: z
      .string()
      .regex(/^[\w.-]{1,64}$/, 'write a user name')
      .optional(),
    /** What spam gets; `tag`: header fields that say so. */
    onSpam: z.enum(['tag', 'reject', 'discard', 'hold']).default('tag'),
  }),
  z.strictObject({
    ...common,
    type: z.literal('http'),
    at: httpTarget('/'),
    contentBytesMax: contentBytesMax(0),
    /** Sent as `Authorization: Bearer`. */
    token: secret(),
  }),
]);

export type FilterConfig = z.infer<typeof filterSchema>;
export type FilterConfigOf<Type extends FilterConfig['type']> = Extract<FilterConfig, { type: Type }>;

const FILTERS_MAX = 32;

/** In order: where two change the same thing, the later one has the last word. */
export const filtersSchema = z
  .array(filterSchema)
  .max(FILTERS_MAX)
  .refine((filters) => new Set(filters.map(({ name }) => name)).size === filters.length, 'names must differ')
  .default([]);
