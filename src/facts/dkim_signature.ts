/**
 * One DKIM-Signature, or the ARC-Message-Signature that is written like one (RFC 6376 §3.5, §6.1.1; RFC 8617 §4.1.2),
 * as a value: or why it cannot be verified, before anything is looked up or hashed. Pure.
 */
import type { Field } from '../message/headers.ts';
import type { Canonicalisation } from '../scanner/body_hasher.ts';
import { parseDomainOctets } from '../smtp/domain.ts';
import { listOf, readTags, type Tags, withoutBlanks } from './tags.ts';

export type KeyType = 'rsa' | 'ed25519';

export type Signature = {
  readonly field: Field;
  readonly keyType: KeyType;
  readonly header: Canonicalisation;
  readonly body: Canonicalisation;
  /** d=, in lower case and A-labels. */
  readonly domain: string;
  readonly selector: string;
  /** h=, in lower case, in order. */
  readonly names: readonly string[];
  /** bh= and b=, in base64 without blanks. */
  readonly bodyHash: string;
  readonly signature: string;
  /** l=; Infinity without. */
  readonly bodyBytesMax: number;
  /** The domain of i=; that of d= without. */
  readonly identityDomain: string;
  /** x=, seconds since 1970. */
  readonly expires: number | null;
};

/** RFC 8601 §2.7.1: how a signature that is not verified is reported. */
export type Unverifiable = {
  readonly result: 'neutral' | 'policy' | 'permerror';
  readonly why: string;
  /** As far as they could be read, for the report. */
  readonly domain: string | null;
  readonly selector: string | null;
};

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const SELECTOR = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*$/;
const SECONDS = /^[0-9]{1,12}$/;
const LENGTH = /^[0-9]{1,76}$/;
const REQUIRED = ['a', 'b', 'bh', 'd', 'h', 's'] as const;

/** `kind`: an ARC-Message-Signature has no v=, and its i= is the number of its set. */
export function readSignature(field: Field, kind: 'dkim' | 'arc'): Signature | Unverifiable {
  const tags = readTags(field.value);
  const domain = domainOf(tags?.get('d'));
  const selector = selectorOf(tags?.get('s'));
  const no = (result: Unverifiable['result'], why: string): Unverifiable => ({ result, why, domain, selector });
  if (tags === null) return no('neutral', 'syntax');
  for (const name of REQUIRED) if (!tags.has(name)) return no('permerror', `no ${name}=`);
  if (kind === 'dkim' && tags.get('v') !== '1') return no('neutral', 'version');
  const algorithm = tags.get('a')!.toLowerCase();
  if (algorithm === 'rsa-sha1') return no('policy', 'rsa-sha1'); // RFC 8301 §3.1
  if (algorithm !== 'rsa-sha256' && algorithm !== 'ed25519-sha256') return no('neutral', 'algorithm');
  const [header = '', body = 'simple', ...more] = (tags.get('c') ?? 'simple').toLowerCase().split('/');
  if (!isCanonicalisation(header) || !isCanonicalisation(body) || more.length > 0) {
    return no('neutral', 'canonicalisation');
  }
  if (domain === null || selector === null) return no('neutral', 'syntax');
  const names = listOf(tags.get('h')!);
  // RFC 6376 §5.4: what does not cover From says nothing about the author; RFC 8617 §4.1.2.
  if (!names.includes('from')) return no('permerror', 'From is not signed');
  if (kind === 'arc' && names.includes('arc-seal')) return no('permerror', 'a seal is signed');
  const bodyHash = withoutBlanks(tags.get('bh')!);
  const signature = withoutBlanks(tags.get('b')!);
  const methods = tags.get('q');
  if (methods !== undefined && !listOf(methods).includes('dns/txt')) return no('neutral', 'query method');
  if (!BASE64.test(bodyHash) || !BASE64.test(signature) || !numbersAreSound(tags)) return no('neutral', 'syntax');
  const expires = tags.has('x') ? Number(tags.get('x')) : null;
  if (expires !== null && tags.has('t') && expires <= Number(tags.get('t'))) return no('neutral', 'expires before');
  const identity = kind === 'dkim' ? tags.get('i') : undefined;
  const identityDomain = identity === undefined ? domain : domainOf(identity.slice(identity.lastIndexOf('@') + 1));
  if (identityDomain === null || (identity !== undefined && !identity.includes('@'))) return no('neutral', 'syntax');
  if (identityDomain !== domain && !identityDomain.endsWith(`.${domain}`)) return no('permerror', 'i= is not below d=');
  return {
    field,
    keyType: algorithm === 'rsa-sha256' ? 'rsa' : 'ed25519',
    header,
    body,
    domain,
    selector,
    names,
    bodyHash,
    signature,
    bodyBytesMax: tags.has('l') ? Number(tags.get('l')) : Number.POSITIVE_INFINITY,
    identityDomain,
    expires,
  };
}

const isCanonicalisation = (text: string): text is Canonicalisation => text === 'simple' || text === 'relaxed';

function numbersAreSound(tags: Tags): boolean {
  const sound = (name: string, form: RegExp): boolean => form.test(tags.get(name) ?? '0');
  return sound('t', SECONDS) && sound('x', SECONDS) && sound('l', LENGTH);
}

/** At least two labels: nobody signs for a whole top-level domain (RFC 6376 §3.5). U-labels come as bytes of UTF-8. */
function domainOf(text: string | undefined): string | null {
  if (text === undefined) return null;
  const domain = parseDomainOctets(text);
  return domain?.includes('.') === true && !domain.startsWith('[') ? domain : null;
}

const selectorOf = (text: string | undefined): string | null =>
  text !== undefined && text.length <= 190 && SELECTOR.test(text) ? text.toLowerCase() : null;
