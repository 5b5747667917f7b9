/** Parsers for the texts of options: zod schemas from a string to a value, each with a message that says what to write. */
import { domainToASCII } from 'node:url';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

export type ListenAddress = { readonly host: string; readonly port: number };
export type Route = {
  readonly protocol: 'smtp' | 'lmtp';
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** null: as the side's option says. */
  readonly tls: 'may' | 'require' | 'never' | null;
  readonly credentials: { readonly user: string; readonly password: string } | null;
};

/** Turns a parser that returns null for nonsense into a schema. */
function schema<T>(parse: (text: string) => T | null, expected: string) {
  return z.string().transform((text, context): T => {
    const value = parse(text.trim());
    if (value !== null) return value;
    context.issues.push({ code: 'custom', message: `expected ${expected}`, input: text });
    return z.NEVER;
  });
}

export const whole = (min: number, max: number, unit: string) =>
  schema((text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : null;
  }, `a whole number of ${unit} from ${min} to ${max}`);

export const yesNo = schema((text) => (text === '1' ? true : text === '0' ? false : null), '1 or 0');

export const oneOf = <T extends string>(...words: readonly T[]) =>
  schema((text) => words.find((word) => word === text) ?? null, words.join(' or '));

export const word = (pattern: RegExp, expected: string) =>
  schema((text) => (pattern.test(text) ? text : null), expected);

const commaList = <T>(parse: (item: string) => T | null, expected: string) =>
  schema((text) => {
    const items = text === '' ? [] : text.split(',').map((item) => parse(item.trim()));
    return items.every((item) => item !== null) ? (items as T[]) : null;
  }, expected);

/** A domain in lower-case A-labels, or null. */
export function parseDomainName(text: string): string | null {
  const ascii = domainToASCII(text.replace(/\.$/, '')).toLowerCase();
  return ascii.length <= 253 &&
    /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(ascii)
    ? ascii
    : null;
}

export const hostName = schema(parseDomainName, 'a host name such as mx.example.org');
export const domains = commaList(parseDomainName, 'domains such as example.org, separated by commas');
export const paths = commaList((text) => (text === '' ? null : text), 'paths separated by commas');

/** `host:port`, IPv6 in brackets; the host must be an address: a server listens on addresses, names move. */
function parseHostPort(text: string, portDefault: number | null): ListenAddress | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) return null;
  const valid = match[1] === undefined ? ipaddr.IPv4.isValidFourPartDecimal(host) : ipaddr.IPv6.isValid(host);
  const port = match[3] === undefined ? portDefault : Number(match[3]);
  return valid && port !== null && port <= 65_535 ? { host, port } : null;
}

export const listenAddresses = commaList(
  (text) => parseHostPort(text, null),
  'addresses with ports such as 192.0.2.1:25,[2001:db8::1]:25',
);
export const dnsServers = commaList((text) => parseHostPort(text, 53), 'addresses such as 127.0.0.1 or 127.0.0.1:5353');

export const networks = commaList((text) => {
  const [address = '', prefix] = text.split('/');
  if (!ipaddr.isValid(address) || (address.includes(':') ? false : !ipaddr.IPv4.isValidFourPartDecimal(address)))
    return null;
  const bits = address.includes(':') ? 128 : 32;
  if (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)) return null;
  return `${address}/${prefix ?? bits}`;
}, 'networks such as 10.0.0.0/8,fd00::/8');

export const seconds = commaList((text) => {
  const value = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  return value >= 1 ? value : null;
}, 'seconds such as 60,300,900, each at least 1');

export const mailbox = schema(
  (text) => (/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}$/.test(text) ? text : null),
  'an address such as postmaster@example.org',
);

const PORTS = { smtp: 25, lmtp: 24 } as const;

function parseRoute(text: string): Route | null {
  const url = URL.parse(text);
  const protocol = url?.protocol.slice(0, -1);
  if (url === null || (protocol !== 'smtp' && protocol !== 'lmtp')) return null;
  if (url.hash !== '' || (url.pathname !== '' && url.pathname !== '/')) return null;
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : parseDomainName(url.hostname);
  const tls = url.searchParams.get('tls');
  if ([...url.searchParams.keys()].some((key) => key !== 'tls')) return null;
  if (host === null || host === '' || (tls !== null && tls !== 'may' && tls !== 'require' && tls !== 'never'))
    return null;
  const user = decode(url.username);
  const password = decode(url.password);
  if (user === null || password === null || (user === '') !== (password === '')) return null;
  const credentials = user === '' ? null : { user, password };
  return { protocol, host, port: url.port === '' ? PORTS[protocol] : Number(url.port), tls, credentials };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

const ROUTES =
  'routes such as smtp://10.0.0.5:25 or lmtp://10.0.0.5:24 (?tls=may, require or never), separated by commas';
export const routes = commaList(parseRoute, ROUTES);
export const outsideRoute = schema((text): 'mx' | Route[] | null => {
  if (text === 'mx') return 'mx';
  const parsed = routes.safeParse(text);
  return parsed.success && parsed.data.length > 0 ? parsed.data : null;
}, `mx, or a smart host as ${ROUTES}`);
