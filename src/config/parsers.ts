/**
 * Readers of option texts: each is a zod schema from the text of an environment variable to its value. Parsed once,
 * here;
 * nobody reads these texts again. Messages say what to write instead, and never repeat a text that may hold a password.
 * `meta().bounds` is what the option table in the README shows.
 */
import { domainToASCII } from 'node:url';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/** An address (canonical text, no brackets) and a port; port 0 is any free one. */
export type HostPort = { readonly host: string; readonly port: number };

export type TlsPolicy = 'may' | 'require' | 'never';
export type Credentials = { readonly user: string; readonly password: string };
export type Route = {
  readonly protocol: 'smtp' | 'lmtp';
  /** A name in A-labels, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: TlsPolicy;
  readonly credentials?: Credentials;
};
/** As written: a route that says nothing of TLS takes it from the option of its side. */
export type RouteText = Omit<Route, 'tls'> & { readonly tls?: TlsPolicy };

class Wrong {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

const reading = <T>(read: (text: string) => T | Wrong) =>
  z.string().transform((text, context): T => {
    const value = read(text.trim());
    if (!(value instanceof Wrong)) return value;
    context.addIssue({ code: 'custom', message: value.message });
    return z.NEVER;
  });

const reader = <T>(bounds: string, read: (text: string) => T | Wrong) => reading(read).meta({ bounds });

/** Every wrong entry is reported, by its position: its text may hold a password. */
function readList<T>(
  text: string,
  context: z.RefinementCtx,
  countMax: number,
  read: (entry: string) => T | Wrong,
): readonly T[] {
  const entries = text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim());
  if (entries.length > countMax) context.addIssue({ code: 'custom', message: `write at most ${countMax} entries` });
  const values: T[] = [];
  entries.forEach((entry, at) => {
    const value = entry === '' ? new Wrong('is empty; leave out the comma') : read(entry);
    if (!(value instanceof Wrong)) values.push(value);
    else context.addIssue({ code: 'custom', message: `entry ${at + 1} ${value.message}` });
  });
  return values;
}

/** Comma-separated entries. */
const list = <T>(bounds: string, countMax: number, read: (entry: string) => T | Wrong) =>
  z
    .string()
    .transform((text, context) => readList(text, context, countMax, read))
    .meta({ bounds });

export function whole(min: number, max: number) {
  const words = `a whole number from ${min} to ${max}`;
  return z
    .string()
    .trim()
    .regex(/^\d{1,15}$/, `write ${words}`)
    .transform(Number)
    .pipe(z.number().min(min, `write ${words}`).max(max, `write ${words}`))
    .meta({ bounds: `${min} to ${max}` });
}

export const flag = () =>
  z
    .string()
    .trim()
    .pipe(z.enum(['0', '1'], 'write 0 or 1'))
    .transform((text) => text === '1')
    .meta({ bounds: '0 or 1' });

export const choice = <const T extends readonly [string, ...string[]]>(...words: T) =>
  z
    .string()
    .trim()
    .pipe(z.enum(words, `write ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`))
    .meta({ bounds: words.join(', ') });

export const wholeNumbers = (min: number, max: number, countMax: number) =>
  list(`1 to ${countMax} numbers, each ${min} to ${max}`, countMax, (entry): number | Wrong => {
    const value = /^\d{1,15}$/.test(entry) ? Number(entry) : -1;
    return value >= min && value <= max ? value : new Wrong(`must be a whole number from ${min} to ${max}`);
  });

export const path = () =>
  reader('a path', (text): string | Wrong => (text.includes('\0') ? new Wrong('write a path without NUL') : text));

export const paths = () =>
  list('comma-separated paths', 8, (entry): string | Wrong =>
    entry.includes('\0') ? new Wrong('must be a path without NUL') : entry,
  );

/** The address in canonical text, or null. Only dotted quads and RFC 4291 §2.2 texts, no zones, no octal tricks. */
export function canonicalAddress(text: string): string | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString();
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return null;
  return ipaddr.IPv6.parse(text).toString();
}

/** RFC 5321 §4.5.3.1.2 (255 octets), RFC 1035 §2.3.1 (labels), RFC 5890 §2.3.2.1 (A-labels); or null. */
function canonicalDomain(text: string): string | null {
  const domain = domainToASCII(text);
  if (domain === '' || domain.length > 253) return null;
  const labels = domain.split('.');
  if (!labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label))) return null;
  return /^\d+$/.test(labels.at(-1)!) ? null : domain;
}

function hostAndPort(text: string, portDefault: number | null): HostPort | null {
  const found = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  if (found === null) return null;
  const [, v6, other, portText] = found;
  const host = canonicalAddress(v6 ?? other ?? '');
  const port = portText === undefined ? portDefault : Number(portText);
  if (host === null || port === null || port > 65_535 || host.includes(':') !== (v6 !== undefined)) return null;
  return { host, port };
}

const HOST_PORT_WORDS = 'must be address:port, as 192.0.2.1:25 or [2001:db8::1]:25';

export const listeners = () =>
  list('comma-separated address:port', 64, (entry) => hostAndPort(entry, null) ?? new Wrong(HOST_PORT_WORDS));

export const optionalListener = () =>
  reader('address:port, or empty', (text): HostPort | null | Wrong => {
    if (text === '') return null;
    return hostAndPort(text, null) ?? new Wrong(`write address:port, as 127.0.0.1:8025, or nothing for none`);
  });

export const dnsServers = () =>
  list('comma-separated address[:port]', 8, (entry): HostPort | Wrong => {
    const bare = canonicalAddress(entry);
    const server = bare === null ? hostAndPort(entry, 53) : { host: bare, port: 53 };
    return server === null || server.port === 0
      ? new Wrong('must be an address, as 192.0.2.53 or 127.0.0.1:5353')
      : server;
  });

/** CIDR texts in canonical form. */
export const networks = () =>
  list('comma-separated CIDRs', 1024, (entry): string | Wrong => {
    const [addressText = '', bitsText, more] = entry.split('/');
    const address = canonicalAddress(addressText);
    const bitsMax = address?.includes(':') ? 128 : 32;
    const bits = bitsText === undefined ? bitsMax : /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : -1;
    if (address === null || more !== undefined || bits < 0 || bits > bitsMax)
      return new Wrong('must be a network, as 10.0.0.0/8 or 2001:db8::/32');
    const network = networkAddress(address, bits);
    return network === address
      ? `${address}/${bits}`
      : new Wrong(`has bits set behind its prefix; write ${network}/${bits}`);
  });

function networkAddress(address: string, bits: number): string {
  const cidr = `${address}/${bits}`;
  const family = address.includes(':') ? ipaddr.IPv6 : ipaddr.IPv4;
  return family.networkAddressFromCIDR(cidr).toString();
}

export const domain = () =>
  reader('a domain name', (text): string | Wrong => {
    return canonicalDomain(text) ?? new Wrong('write a domain name, as mx.example.org');
  });

/** Lower-case A-labels. */
export const domains = () =>
  list('comma-separated domain names', 10_000, (entry): string | Wrong => {
    if (entry.startsWith('*.'))
      return new Wrong('must be a domain without *; POSTERN_SUBDOMAINS=1 adds the subdomains of all');
    return canonicalDomain(entry) ?? new Wrong('must be a domain name, as example.org');
  });

/** A mailbox whose local part is a dot-string (RFC 5321 §4.1.2); '' stays '' for the caller to fill in. */
export const mailbox = () =>
  reader('a mail address', (text): string | Wrong => {
    if (text === '') return '';
    const at = text.lastIndexOf('@');
    const host = canonicalDomain(text.slice(at + 1));
    const local = text.slice(0, Math.max(at, 0));
    const valid = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/.test(local) && local.length <= 64;
    return host !== null && valid ? `${local}@${host}` : new Wrong('write a mail address, as postmaster@example.org');
  });

const ROUTE_WORDS =
  'smtp://host:port or lmtp://host:port, as smtp://10.0.0.5:25 or smtp://[2001:db8::5]:25?tls=require';

/** `smtp://user:password@host:port?tls=require`; user and password percent-encoded (RFC 3986 §3.2.1). */
function route(entry: string): RouteText | Wrong {
  if (/[\s#]/.test(entry) || !URL.canParse(entry)) return new Wrong(`must be ${ROUTE_WORDS}`);
  const url = new URL(entry);
  const protocol = url.protocol === 'smtp:' ? 'smtp' : url.protocol === 'lmtp:' ? 'lmtp' : null;
  if (protocol === null) return new Wrong('must begin with smtp:// or lmtp://');
  if (url.pathname !== '' && url.pathname !== '/') return new Wrong(`has a path; write ${ROUTE_WORDS}`);
  const host = /^\[.*\]$/.test(url.hostname)
    ? canonicalAddress(url.hostname.slice(1, -1))
    : (canonicalAddress(url.hostname) ?? canonicalDomain(decoded(url.hostname) ?? ''));
  if (host === null) return new Wrong(`has no valid host; write ${ROUTE_WORDS}`);
  if (url.port === '0') return new Wrong('has port 0; write a port from 1 to 65535');
  const port = url.port === '' ? (protocol === 'smtp' ? 25 : 24) : Number(url.port);
  const tls = tlsOf(url.searchParams);
  if (tls instanceof Wrong) return tls;
  const credentials = credentialsOf(url);
  if (credentials instanceof Wrong) return credentials;
  return { protocol, host, port, ...(tls === null ? {} : { tls }), ...(credentials === null ? {} : { credentials }) };
}

function tlsOf(parameters: URLSearchParams): TlsPolicy | null | Wrong {
  const names = [...parameters.keys()];
  if (names.length === 0) return null;
  const value = parameters.get('tls');
  if (names.length > 1 || (value !== 'may' && value !== 'require' && value !== 'never'))
    return new Wrong('must have no parameter but ?tls=may, ?tls=require or ?tls=never');
  return value;
}

function credentialsOf(url: URL): Credentials | null | Wrong {
  if (url.username === '' && url.password === '') return null;
  const user = decoded(url.username);
  const password = decoded(url.password);
  if (user === null || password === null || user === '' || password === '' || /\0/.test(user + password))
    return new Wrong('must have user:password@, both percent-encoded (@ is %40, / is %2F, : is %3A, comma is %2C)');
  return { user, password };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // a % that begins no UTF-8
  }
}

/** The one form of a route without credentials. */
export function printRoute({ protocol, host, port, tls }: RouteText): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return `${protocol}://${shown}:${port}${tls === undefined ? '' : `?tls=${tls}`}`;
}

/** What `printRoute` has written; null: nothing of the kind. */
export function readRoute(text: string): RouteText | null {
  const read = route(text);
  return read instanceof Wrong ? null : read;
}

/** A route as a rule names it, in its one form. It is kept with each message, and a password is not to be. */
export const ruleRoute = () =>
  reading((text): string | Wrong => {
    if (text.includes('@')) return new Wrong('must have no user and no password: it is kept with each message');
    const read = route(text);
    return read instanceof Wrong ? read : printRoute(read);
  });

/** A password travels over TLS only, unless the URL itself says `tls=never`. */
export function withTls(route: RouteText, sideTls: TlsPolicy): Route {
  if (route.tls === 'never' || route.tls === 'require') return { ...route, tls: route.tls };
  return { ...route, tls: route.credentials === undefined ? (route.tls ?? sideTls) : 'require' };
}

const ROUTES_MAX = 64;

export const routes = () => list('comma-separated smtp:// or lmtp:// URLs', ROUTES_MAX, route);

export const mxOrRoutes = () =>
  z
    .string()
    .transform((text, context): 'mx' | readonly RouteText[] =>
      text.trim() === 'mx' ? 'mx' : readList(text, context, ROUTES_MAX, route),
    )
    .meta({ bounds: 'mx, or comma-separated smtp:// URLs' });
