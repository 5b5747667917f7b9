/**
 * What aggregate reports will be made of (RFC 9990 §3.1): messages counted by all that a report says of them, until
 * somebody takes the counts. In memory only, and bounded: a loss of counts is not a loss of mail.
 *
 *   {"policyDomain":"example.org","from":"example.org","source":"192.0.2.1","disposition":"none","override":null,
 *    "spf":"pass example.org aligned","dkim":"pass example.org s1 aligned","policy":"reject","count":3}
 */
import { LIMITS } from '../config/limits.ts';
import type { Disposed } from '../policy/dmarc.ts';
import type { AuthenticationResult } from './authentication.ts';

type Row = {
  readonly policyDomain: string;
  readonly from: string;
  readonly source: string;
  readonly disposition: Disposed['disposition'];
  readonly override: Disposed['override'];
  readonly spf: string;
  /** One line for each signature; at most as many as are verified. */
  readonly dkim: string;
  readonly policy: string;
};

export class DmarcTally {
  #counts = new Map<string, number>();
  #dropped = 0;

  /** Messages without a policy are nobody's to report on. */
  add({ spf, dkim, dmarc }: AuthenticationResult, source: string, { disposition, override }: Disposed): void {
    const { domain, policyDomain, policy } = dmarc;
    if (domain === null || policyDomain === null || policy === null) return;
    const signatures = dkim.map(
      ({ result, domain: signer, selector }) => `${result} ${signer ?? '-'} ${selector ?? '-'}`,
    );
    const row: Row = {
      policyDomain,
      from: domain,
      source,
      disposition,
      override,
      spf: `${spf.result} ${spf.domain}${dmarc.spf ? ' aligned' : ''}`,
      dkim: `${signatures.join(', ')}${dmarc.dkim ? ' aligned' : ''}`,
      policy,
    };
    const key = JSON.stringify(row);
    const count = this.#counts.get(key);
    if (count === undefined && this.#counts.size >= LIMITS.dmarcTallyRowsMax) this.#dropped++;
    else this.#counts.set(key, (count ?? 0) + 1);
  }

  /** JSON, a line for each kind of message since the last time, and how many messages were in no line. */
  take(): { readonly lines: readonly string[]; readonly dropped: number } {
    const lines = [...this.#counts].map(([key, count]) => `${key.slice(0, -1)},"count":${count}}`);
    const dropped = this.#dropped;
    this.#counts = new Map();
    this.#dropped = 0;
    return { lines, dropped };
  }
}
