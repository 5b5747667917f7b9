/**
 * ARC (RFC 8617 §5.2): whether the chain of those who handled the message before holds. Its structure and its seals
 * are mailauth's, in its strict mode; the newest message signature, which covers the body, is ours, as DKIM's are.
 */
import { LIMITS } from '../config/limits.ts';
import type { Field } from '../message/headers.ts';
import type { BodyHash, WantedHash } from '../scanner/body_hasher.ts';
import { verifySignature, wantedBy } from './dkim.ts';
import type { DkimKey, KeyOf } from './dkim_key.ts';
import type { Signature } from './dkim_signature.ts';
import { readSignature } from './dkim_signature.ts';
import { ARC, type MailauthArc } from './mailauth.ts';
import type { SignedHeaders } from './signed_headers.ts';
import { relaxedField } from './signed_headers.ts';

export type ArcResult = {
  readonly result: 'none' | 'pass' | 'fail';
  readonly why: string | null;
  /** Of a chain that holds: how long it is, who sealed it last, and what that one says DMARC had said. */
  readonly sets: number;
  readonly sealer: string | null;
  readonly dmarcBefore: string | null;
};

type Chain = Exclude<ReturnType<typeof MailauthArc.getARChain>, false>;

export type ArcPlan =
  | { readonly tag: 'settled'; readonly settled: ArcResult }
  | { readonly tag: 'chain'; readonly chain: Chain; readonly signature: Signature };

const NAMES: readonly string[] = ['arc-seal', 'arc-message-signature', 'arc-authentication-results'];

const settled = (result: 'none' | 'fail', why: string | null): ArcResult => ({
  result,
  why,
  sets: 0,
  sealer: null,
  dmarcBefore: null,
});

export function planArc(fields: readonly Field[]): ArcPlan {
  const own = fields.filter(({ name }) => NAMES.includes(name));
  if (own.length === 0) return { tag: 'settled', settled: settled('none', null) };
  const fail = (why: string): ArcPlan => ({ tag: 'settled', settled: settled('fail', why) });
  if (own.length > NAMES.length * LIMITS.arcSetsMax) return fail('too many sets');
  // In the canonical form over which seals are made: mailauth trims by regular expressions that take the square of the
  // time for a long run of blanks.
  const lines = own.map(({ name, value }) => ({
    key: name,
    casedKey: name,
    line: Buffer.from(relaxedField(name, value), 'latin1'),
  }));
  let chain: Chain | false;
  try {
    chain = ARC().getARChain({ parsed: lines }, { strict: true });
  } catch {
    return fail('structure');
  }
  const newest = chain === false ? undefined : chain.length;
  if (chain === false || newest === undefined) return fail('structure');
  const field = own.find((each) => each.name === 'arc-message-signature' && instanceOf(each.value) === newest);
  const signature = field === undefined ? null : readSignature(field, 'arc');
  if (signature === null || 'result' in signature) return fail('message signature');
  return { tag: 'chain', chain, signature };
}

const instanceOf = (value: string): number => Number(/(?:^|;)\s*i\s*=\s*(\d{1,2})\s*(?:;|$)/.exec(value)?.[1] ?? 0);

export const arcHashes = (plan: ArcPlan): WantedHash[] => (plan.tag === 'chain' ? [wantedBy(plan.signature)] : []);

export async function verifyArc(
  plan: ArcPlan,
  headers: SignedHeaders,
  hashOf: (wanted: WantedHash) => BodyHash,
  keyOf: KeyOf,
  nowSeconds: number,
): Promise<ArcResult> {
  if (plan.tag === 'settled') return plan.settled;
  const { chain, signature } = plan;
  const message = await verifySignature(signature, headers, hashOf, keyOf, nowSeconds);
  if (message.result !== 'pass') return settled('fail', `message signature: ${message.why}`);
  const lastEntry = Object.assign(chain.at(-1)!, { messageSignature: { status: { result: 'pass' } } });
  // mailauth asks for keys here, and takes them as we have them.
  const resolver = (): Promise<never> => Promise.reject(new Error('keys come from the cache'));
  const keyCache = { resolver, get: (_: string, name: string) => keyOfSeal(name, keyOf) };
  try {
    const result = await ARC().arc(
      { chain, lastEntry, keyCache } as unknown as Parameters<typeof MailauthArc.arc>[0],
      { resolver, strict: true } as unknown as Parameters<typeof MailauthArc.arc>[1],
    );
    if (result.status.result !== 'pass') return settled('fail', 'seal');
    const seal = chain.at(-1)!['arc-seal'] as { parsed?: { d?: { value?: string } } };
    const before = (result.authenticationResults as { dmarc?: { result?: unknown } } | undefined)?.dmarc;
    return {
      result: 'pass',
      why: null,
      sets: chain.length,
      sealer: seal.parsed?.d?.value?.toLowerCase() ?? null,
      dmarcBefore: typeof before?.result === 'string' ? before.result.toLowerCase() : null,
    };
  } catch {
    return settled('fail', 'seal'); // what a seal holds is a stranger's choice
  }
}

function keyOfSeal(name: string, keyOf: KeyOf): Promise<{ publicKey: unknown; keyType: string }> {
  const [selector = '', domain = ''] = name.split('._domainkey.', 2);
  const found = (async () => {
    const key: DkimKey = await keyOf(selector, domain);
    if (key.tag === 'unusable') throw Object.assign(new Error(key.why), { code: 'EINVALIDVAL' });
    return { publicKey: key.key, keyType: key.type };
  })();
  found.catch(() => undefined); // mailauth fetches all of them first, and looks at them later
  return found;
}
