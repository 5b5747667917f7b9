/**
 * DKIM (RFC 6376, RFC 8301, RFC 8463): which signatures of a message hold. In two steps, because the body streams:
 *
 *   headers ─► planSignatures ─► the hashes that the body needs ─► … body … ─► verifySignatures ─► results
 *
 *   what a stranger may do           and what becomes of it
 *   100 signatures                   ten are looked at: those of the author's domain first; the rest is counted
 *   many l= and canonicalisations    four hashes of the body; a signature that needs a fifth is `policy`
 *   l= less than the body            `policy`: what follows is anybody's; l= more than it: `fail`
 *   From twice                       `policy`, all of them: the one that is signed need not be the one that is shown
 *   rsa-sha1, short or costly keys   `policy`, unverified
 *   x= in the past                   `policy`
 *   headers beyond our bounds        `permerror`
 */
import { createHash, verify } from 'node:crypto';
import { whenAllKnown, whenKnown } from '../base/answers.ts';
import { LIMITS } from '../config/limits.ts';
import type { Field } from '../message/headers.ts';
import type { BodyHash, WantedHash } from '../scanner/body_hasher.ts';
import type { DkimKey, KeyOf } from './dkim_key.ts';
import type { Signature, Unverifiable } from './dkim_signature.ts';
import { readSignature } from './dkim_signature.ts';
import type { SignedHeaders } from './signed_headers.ts';

/** RFC 8601 §2.7.1, of one signature. */
export type DkimResult = {
  readonly result: 'pass' | 'fail' | 'policy' | 'neutral' | 'temperror' | 'permerror';
  readonly why: string | null;
  readonly domain: string | null;
  readonly selector: string | null;
  readonly algorithm: string | null;
  /** The first characters of b=, which tell signatures of one signer apart (RFC 6008). */
  readonly mark: string | null;
};

type Planned = { readonly signature: Signature } | { readonly settled: DkimResult };

export type DkimPlan = {
  readonly planned: readonly Planned[];
  /** Signatures beyond the bound. */
  readonly ignored: number;
  readonly hashes: readonly WantedHash[];
};

/** `authorDomain` null: none, or more than one. `fromFields` of the message. */
export function planSignatures(
  fields: readonly Field[],
  authorDomain: string | null,
  fromFields: number,
  hashesBefore: readonly WantedHash[] = [],
): DkimPlan {
  const all = fields.filter(({ name }) => name === 'dkim-signature');
  const read = inOrder(all, authorDomain).slice(0, LIMITS.dkimSignaturesMax);
  const hashes = [...hashesBefore];
  const planned = read.map((signature): Planned => {
    if ('result' in signature) return { settled: settledAs(signature, signature.result, signature.why) };
    if (fromFields > 1) return { settled: settledAs(signature, 'policy', 'more than one From') };
    const wanted = wantedBy(signature);
    const known = hashes.some(({ body, bytesMax }) => body === wanted.body && bytesMax === wanted.bytesMax);
    if (!known && hashes.length >= LIMITS.dkimBodyHashesMax) {
      return { settled: settledAs(signature, 'policy', 'too many body hashes') };
    }
    if (!known) hashes.push(wanted);
    return { signature };
  });
  return { planned, ignored: all.length - read.length, hashes };
}

/** Reads no more of them than may be verified, but for their domains, which say whose turn it is. */
function inOrder(all: readonly Field[], authorDomain: string | null): (Signature | Unverifiable)[] {
  const read = all.slice(0, LIMITS.dkimSignaturesReadMax).map((field) => readSignature(field, 'dkim'));
  if (authorDomain === null || read.length <= LIMITS.dkimSignaturesMax) return read;
  const isKin = ({ domain }: Signature | Unverifiable): boolean =>
    domain !== null && (isBelow(domain, authorDomain) || isBelow(authorDomain, domain));
  return [...read.filter(isKin), ...read.filter((each) => !isKin(each))];
}

const isBelow = (domain: string, other: string): boolean => domain === other || domain.endsWith(`.${other}`);

export const wantedBy = ({ body, bodyBytesMax }: Signature): WantedHash => ({ body, bytesMax: bodyBytesMax });

/** At once where all keys are known. */
export function verifySignatures(
  plan: DkimPlan,
  headers: SignedHeaders,
  hashOf: (wanted: WantedHash) => BodyHash,
  keyOf: KeyOf,
  nowSeconds: number,
): readonly DkimResult[] | Promise<readonly DkimResult[]> {
  const each = (planned: Planned): DkimResult | Promise<DkimResult> =>
    'settled' in planned ? planned.settled : verifySignature(planned.signature, headers, hashOf, keyOf, nowSeconds);
  return whenAllKnown(plan.planned.map(each), (results): readonly DkimResult[] => results);
}

/** The key is looked up only where the rest is in order; at once where it is known. */
export function verifySignature(
  signature: Signature,
  headers: SignedHeaders,
  hashOf: (wanted: WantedHash) => BodyHash,
  keyOf: KeyOf,
  nowSeconds: number,
): DkimResult | Promise<DkimResult> {
  const body = hashOf(wantedBy(signature));
  if (body.digest !== signature.bodyHash || body.covers === 'short') return settledAs(signature, 'fail', 'body');
  if (body.covers === 'part') return settledAs(signature, 'policy', 'only part of the body is signed');
  if (signature.expires !== null && signature.expires < nowSeconds) return settledAs(signature, 'policy', 'expired');
  const key = keyOf(signature.selector, signature.domain);
  return whenKnown(key, (found) => verifiedBy(found, signature, headers));
}

function verifiedBy(key: DkimKey, signature: Signature, headers: SignedHeaders): DkimResult {
  if (key.tag === 'unusable') return settledAs(signature, key.result, key.why);
  if (key.type !== signature.keyType) return settledAs(signature, 'permerror', 'key of another type');
  if (key.sameDomain && signature.identityDomain !== signature.domain) {
    return settledAs(signature, 'permerror', 'i= is not d=');
  }
  const text = headers.signed(signature.names, signature.field, signature.header);
  return holds(key, text, signature.signature)
    ? settledAs(signature, 'pass', null)
    : settledAs(signature, 'fail', 'signature');
}

/** RFC 6376 §3.3.3; Ed25519 signs the hash (RFC 8463 §3). */
export function holds(key: DkimKey & { tag: 'key' }, text: string, signature: string): boolean {
  const bytes = Buffer.from(text, 'latin1');
  const value = Buffer.from(signature, 'base64');
  if (key.type === 'rsa') return verify('sha256', bytes, key.key, value);
  return verify(null, createHash('sha256').update(bytes).digest(), key.key, value);
}

function settledAs(signature: Signature | Unverifiable, result: DkimResult['result'], why: string | null): DkimResult {
  const { domain, selector } = signature;
  const known = 'signature' in signature ? signature : null;
  return {
    result,
    why,
    domain,
    selector,
    algorithm: known === null ? null : `${known.keyType}-sha256`,
    mark: known === null ? null : known.signature.slice(0, 8),
  };
}
