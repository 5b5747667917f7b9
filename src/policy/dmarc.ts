/**
 * What becomes of a message that DMARC has judged (RFC 9989 §5.4, RFC 7489 §6.6.2): the owner's wish, unless we know
 * better and say so. Pure. The reasons are those of aggregate reports (RFC 9990 §3.1.1.5), which are told of each.
 */

export type Disposition = 'none' | 'quarantine' | 'reject';

export type OverrideReason = 'trusted_forwarder' | 'local_policy';

export type DmarcVerdict = {
  readonly result: 'pass' | 'fail' | 'none' | 'temperror' | 'permerror';
  /** The author's. */
  readonly domain: string | null;
  readonly policy: Disposition | null;
};

export type DmarcChain = {
  readonly result: 'none' | 'pass' | 'fail';
  readonly sealer: string | null;
  /** What DMARC had said to the one who sealed last. */
  readonly dmarcBefore: string | null;
};

export type DmarcRules = {
  /** The most that is done: `none` watches only. */
  readonly atMost: Disposition;
  /** Authors' domains that are let through, those below them too: they are known to send what fails. */
  readonly exempt: readonly string[];
  /** Who is believed to have checked before it forwarded; by the domain that seals (RFC 8617 §7.2). */
  readonly trustedSealers: readonly string[];
};

export type Disposed = { readonly disposition: Disposition; readonly override: OverrideReason | null };

const STRENGTH: Readonly<Record<Disposition, number>> = { none: 0, quarantine: 1, reject: 2 };

/** Only a failure has consequences: an error is nobody's fault that we could name, and rules may ask for it. */
export function disposeOf(verdict: DmarcVerdict, chain: DmarcChain, rules: DmarcRules): Disposed {
  if (verdict.result !== 'fail' || verdict.policy === null || verdict.policy === 'none') {
    return { disposition: 'none', override: null };
  }
  const vouchedFor =
    chain.result === 'pass' && chain.dmarcBefore === 'pass' && isListed(chain.sealer, rules.trustedSealers);
  if (vouchedFor) return { disposition: 'none', override: 'trusted_forwarder' };
  if (isListed(verdict.domain, rules.exempt)) return { disposition: 'none', override: 'local_policy' };
  const weakened = STRENGTH[rules.atMost] < STRENGTH[verdict.policy];
  return weakened
    ? { disposition: rules.atMost, override: 'local_policy' }
    : { disposition: verdict.policy, override: null };
}

const isListed = (domain: string | null, list: readonly string[]): boolean =>
  domain !== null && list.some((listed) => domain === listed || domain.endsWith(`.${listed}`));
