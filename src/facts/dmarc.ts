/**
 * DMARC (RFC 7489, and RFC 9989 which replaced it): does the author's domain stand for this message, and what does it
 * ask for if not? Discovery of the policy, by the tree walk, and alignment are mailauth's, in its strict mode, over
 * our DNS.
 */
import { LIMITS } from '../config/limits.ts';
import type { Dns } from '../net/dns.ts';
import type { Author } from './author.ts';
import type { DkimResult } from './dkim.ts';
import { DMARC, type MailauthDmarc } from './mailauth.ts';
import { resolverOver } from './mailauth_resolver.ts';
import { Conclusions, Questions } from './questions.ts';
import type { SpfResult } from './spf.ts';

const RESULTS = ['pass', 'fail', 'none', 'temperror', 'permerror'] as const;
const POLICIES = ['none', 'quarantine', 'reject'] as const;

export type DmarcPolicy = (typeof POLICIES)[number];

export type DmarcResult = {
  readonly result: (typeof RESULTS)[number];
  /** Why there is no author's domain to ask about. */
  readonly why: 'no From' | 'more than one author domain' | 'malformed From' | null;
  /** The author's; null where there is not one. */
  readonly domain: string | null;
  /** What its owner asks for, should the message fail; null where no policy was found. */
  readonly policy: DmarcPolicy | null;
  readonly policyDomain: string | null;
  /** What aligned. */
  readonly spf: boolean;
  readonly dkim: boolean;
};

const UNKNOWN = { policy: null, policyDomain: null, spf: false, dkim: false } as const;

const NO_AUTHOR: Readonly<Record<Exclude<Author['tag'], 'one'>, DmarcResult>> = {
  none: { result: 'none', why: 'no From', domain: null, ...UNKNOWN },
  // RFC 7489 §6.6.1: whom the reader takes for the author is not known, so nobody can stand for it.
  several: { result: 'permerror', why: 'more than one author domain', domain: null, ...UNKNOWN },
  unsound: { result: 'permerror', why: 'malformed From', domain: null, ...UNKNOWN },
};

export class Dmarc {
  readonly #dns: Dns;
  /** By author and what has passed. */
  readonly #known = new Conclusions<DmarcResult>(LIMITS.dmarcConclusionsMax);

  /** Authors whose record the cache of DNS has. */
  readonly #asked = new Conclusions<true>(LIMITS.dmarcConclusionsMax);

  constructor(dns: Dns) {
    this.#dns = dns;
  }

  /** A message of this author is on its way: what DNS says of him comes while the body does, and the cache keeps it. */
  expect(author: Author): void {
    if (author.tag === 'one' && this.#asked.recall(author.domain) === undefined) void this.#ask(author.domain);
  }

  async #ask(domain: string): Promise<void> {
    const answer = await this.#dns.query(`_dmarc.${domain}`, 'TXT');
    if (answer.tag !== 'failed') this.#asked.keep(domain, true, answer.ttlSeconds);
  }

  /** At once where it is known; `signal` is asked for only where it is not. Never rejects. */
  check(
    author: Author,
    spf: SpfResult,
    dkim: readonly DkimResult[],
    signal: () => AbortSignal,
  ): DmarcResult | Promise<DmarcResult> {
    if (author.tag !== 'one') return NO_AUTHOR[author.tag];
    const passed = dkim.flatMap(({ result, domain }) => (result === 'pass' && domain !== null ? [domain] : []));
    const signers = [...new Set(passed)];
    const sender = spf.result === 'pass' ? spf.domain : '';
    const key = `${author.domain} ${sender} ${signers.join(' ')}`;
    return this.#known.recall(key) ?? this.#evaluate(author.domain, sender, signers, key, signal());
  }

  async #evaluate(
    domain: string,
    sender: string,
    signers: readonly string[],
    key: string,
    signal: AbortSignal,
  ): Promise<DmarcResult> {
    const questions = new Questions(this.#dns, LIMITS.dmarcQueriesMax, signal);
    const options = {
      headerFrom: [`x@${domain}`],
      fromFields: 1,
      spfDomains: sender === '' ? [] : [sender],
      dkimDomains: signers.map((signer) => ({ domain: signer })),
      resolver: resolverOver(questions),
      strict: true,
    };
    try {
      const { response } = await DMARC().evaluateDmarc(
        options as unknown as Parameters<typeof MailauthDmarc.evaluateDmarc>[0],
      );
      if (response === false) return NO_AUTHOR.unsound;
      const aligned = response.alignment;
      const found: DmarcResult = {
        result: RESULTS.find((each) => each === response.status.result) ?? 'temperror',
        why: null,
        domain,
        policy: POLICIES.find((each) => each === response.policy) ?? null,
        policyDomain: (response as { policyDomain?: string }).policyDomain ?? null,
        spf: Boolean(aligned?.spf?.result),
        dkim: Boolean(aligned?.dkim?.result),
      };
      return this.#known.keep(key, found, questions.ttlSeconds);
    } catch {
      return { result: 'temperror', why: null, domain, ...UNKNOWN }; // what a record holds is a stranger's choice
    }
  }
}
