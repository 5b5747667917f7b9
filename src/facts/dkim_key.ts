/**
 * The public key that a signer publishes (RFC 6376 §3.6.1, §6.1.2; RFC 8463 §4): a TXT record as a key ready for use,
 * or why it is none. Parsing one costs more than verifying with it, so keys are kept by name for as long as DNS says.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { LIMITS } from '../config/limits.ts';
import type { Dns } from '../net/dns.ts';
import type { KeyType } from './dkim_signature.ts';
import type { Conclusions } from './questions.ts';
import { listOf, readTags, withoutBlanks } from './tags.ts';

export type DkimKey =
  | {
      readonly tag: 'key';
      readonly key: KeyObject;
      readonly type: KeyType;
      /** t=s: i= must be of the very domain of d=. */
      readonly sameDomain: boolean;
    }
  | { readonly tag: 'unusable'; readonly result: 'permerror' | 'policy' | 'temperror'; readonly why: string };

export type KeyOf = (selector: string, domain: string) => DkimKey | Promise<DkimKey>;

const unusable = (result: 'permerror' | 'policy' | 'temperror', why: string): DkimKey => ({
  tag: 'unusable',
  result,
  why,
});

/** Answers at once where the key is known still. */
export async function findKey(keys: Conclusions<DkimKey>, name: string, dns: Dns): Promise<DkimKey> {
  const answer = await dns.query(name, 'TXT');
  if (answer.tag === 'failed') return unusable('temperror', 'key not found out');
  if (answer.tag === 'none') return keys.keep(name, unusable('permerror', 'no key'), answer.ttlSeconds);
  // RFC 6376 §3.6.2.2: one record; with others beside it, the first that says it is one.
  const record = answer.records.find((text) => /^\s*v\s*=\s*DKIM1\b/.test(text)) ?? answer.records[0]!;
  return keys.keep(name, readKey(record), answer.ttlSeconds);
}

export function readKey(record: string): DkimKey {
  const tags = readTags(record);
  if (tags === null) return unusable('permerror', 'key syntax');
  if (tags.has('v') && (tags.get('v') !== 'DKIM1' || tags.keys().next().value !== 'v')) {
    return unusable('permerror', 'key version');
  }
  const services = listOf(tags.get('s') ?? '*');
  if (!services.includes('*') && !services.includes('email')) return unusable('permerror', 'key not for mail');
  if (!listOf(tags.get('h') ?? 'sha256').includes('sha256')) return unusable('permerror', 'key not for sha256');
  const type = (tags.get('k') ?? 'rsa').toLowerCase();
  const base64 = withoutBlanks(tags.get('p') ?? '');
  if (base64 === '') return unusable('permerror', tags.has('p') ? 'key revoked' : 'key syntax');
  if (type !== 'rsa' && type !== 'ed25519') return unusable('permerror', 'key type');
  const key = parse(Buffer.from(base64, 'base64'), type);
  if (key === null) return unusable('permerror', 'key syntax');
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (type === 'rsa' && modulusLength < LIMITS.dkimRsaBitsMin) return unusable('policy', 'weak key'); // RFC 8301 §3.2
  if (type === 'rsa' && (modulusLength > LIMITS.dkimRsaBitsMax || publicExponent >= 1n << 33n)) {
    return unusable('policy', 'costly key');
  }
  return { tag: 'key', key, type, sameDomain: listOf(tags.get('t') ?? '').includes('s') };
}

/** The SubjectPublicKeyInfo of Ed25519 up to the key (RFC 8410). */
const ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

function parse(der: Buffer, type: KeyType): KeyObject | null {
  try {
    if (type === 'ed25519') {
      if (der.length !== 32) return null;
      return createPublicKey({ key: Buffer.concat([ED25519_PREFIX, der]), format: 'der', type: 'spki' });
    }
    // Either a SubjectPublicKeyInfo or the bare RSAPublicKey within (RFC 6376 §3.6.1, erratum 3017): a SEQUENCE
    // whose first element is a SEQUENCE, or an INTEGER.
    const first = der[1]! < 0x80 ? 2 : 2 + (der[1]! & 0x7f);
    const key = createPublicKey({ key: der, format: 'der', type: der[first] === 0x02 ? 'pkcs1' : 'spki' });
    return key.asymmetricKeyType === 'rsa' ? key : null;
  } catch {
    return null; // a stranger's rubbish
  }
}
