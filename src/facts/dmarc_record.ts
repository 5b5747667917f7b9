/**
 * What reports will be made of (RFC 9990 §3.1, RFC 7489 §7.3): for each message whose author's domain has a policy, all
 * that a report says of it, whatever became of it. It goes to the log as the event `dmarc`.
 */
import type { Disposed } from '../policy/dmarc.ts';
import type { AuthenticationResult } from './authentication.ts';

export type DmarcRecord = {
  readonly policyDomain: string;
  readonly from: string;
  readonly policy: string;
  readonly result: string;
  /** What DMARC makes of it; a rule may say otherwise, and has a line of its own. */
  readonly disposition: Disposed['disposition'];
  readonly override: string;
  /** `pass example.org aligned` */
  readonly spf: string;
  /** `pass example.org s1` for each signature; at most as many as are verified. */
  readonly dkim: string;
};

/** Null: nobody's to report on. */
export function dmarcRecord(
  { spf, dkim, dmarc }: AuthenticationResult,
  { disposition, override }: Disposed,
): DmarcRecord | null {
  const { domain, policyDomain, policy, result } = dmarc;
  if (domain === null || policyDomain === null || policy === null) return null;
  const signatures = dkim.map((each) => `${each.result} ${each.domain ?? '-'} ${each.selector ?? '-'}`);
  return {
    policyDomain,
    from: domain,
    policy,
    result,
    disposition,
    override: override ?? '',
    spf: `${spf.result} ${spf.domain}${dmarc.spf ? ' aligned' : ''}`,
    dkim: `${signatures.join(', ')}${dmarc.dkim ? ' aligned' : ''}`,
  };
}
