/**
 * SPF (RFC 7208): may this client send for this domain? The evaluation is mailauth's, in its strict mode, over our
 * DNS.
 *
 *   bound                    when it is reached
 *   10 terms, 2 void ones    permerror (RFC 7208 §4.6.4)
 *   LIMITS.spfQueriesMax     temperror: names of MX and PTR records cost queries that are not terms
 *   the caller's signal      temperror
 */
import { LIMITS } from '../config/limits.ts';
import type { Dns } from '../net/dns.ts';
import { type MailauthSpf, SPF } from './mailauth.ts';
import { resolverOver } from './mailauth_resolver.ts';
import { Conclusions, Questions } from './questions.ts';

const RESULTS = ['pass', 'fail', 'softfail', 'neutral', 'none', 'temperror', 'permerror'] as const;

export type SpfResult = {
  readonly result: (typeof RESULTS)[number];
  /** RFC 7208 §2.3, §2.4: the null sender has no domain, so the name in EHLO stands for it. */
  readonly identity: 'mailfrom' | 'helo';
  readonly domain: string;
};

export type SpfSubject = {
  /** Normalised. */
  readonly address: string;
  readonly helo: string;
  /** The mailbox of the reverse path; '' is the null sender. */
  readonly sender: string;
};

export class Spf {
  readonly #dns: Dns;
  readonly #hostname: string;
  /** By client and domain: of records that say the same of every sender. */
  readonly #known = new Conclusions<SpfResult>(LIMITS.spfConclusionsMax);

  constructor(dns: Dns, hostname: string) {
    this.#dns = dns;
    this.#hostname = hostname;
  }

  /** At once where it is known; `signal` is asked for only where it is not. Never rejects. */
  check(subject: SpfSubject, signal: () => AbortSignal): SpfResult | Promise<SpfResult> {
    const { address, helo, sender } = subject;
    const identity = sender === '' ? 'helo' : 'mailfrom';
    const domain = (sender === '' ? helo : sender.slice(sender.lastIndexOf('@') + 1)).toLowerCase();
    const key = `${identity} ${address} ${domain}`;
    return this.#known.recall(key) ?? this.#evaluate(subject, { identity, domain }, key, signal());
  }

  async #evaluate(
    { address, helo, sender }: SpfSubject,
    about: Pick<SpfResult, 'identity' | 'domain'>,
    key: string,
    signal: AbortSignal,
  ): Promise<SpfResult> {
    const questions = new Questions(this.#dns, LIMITS.spfQueriesMax, signal);
    let varies = false; // a macro (RFC 7208 §7): the next sender may get another answer
    const resolver = resolverOver(questions, (text) => {
      varies ||= text.includes('%');
    });
    const options = { sender, ip: address, helo, mta: this.#hostname, resolver, strict: true };
    const bounds = { maxResolveCount: LIMITS.spfTermsMax, maxVoidCount: LIMITS.spfVoidTermsMax };
    try {
      const { status } = await SPF().spf({ ...options, ...bounds } as Parameters<typeof MailauthSpf.spf>[0]);
      const result = RESULTS.find((each) => each === status.result) ?? 'temperror';
      return this.#known.keep(key, { result, ...about }, varies ? 0 : questions.ttlSeconds);
    } catch {
      return { result: 'temperror', ...about }; // what a record holds is a stranger's choice
    }
  }
}
