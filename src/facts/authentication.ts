/**
 * Who answers for a message: SPF, DKIM, ARC and DMARC of one message while it streams.
 *
 *   MAIL      spf(subject) ────────────────────────────┐ early: it needs no content
 *   DATA      begin()                                  │
 *   headers   .headers(section) ─► signatures, author; keys are looked up from now on
 *   body      .write(…) ─► body hashes                 │
 *   end       .end() ─► DKIM, ARC ─► DMARC ◄───────────┘ ─► AuthenticationResult
 *
 * It never rejects and never outlasts its signals by more than a turn: what was not found out by then is a `temperror`.
 * A message that does not come to its end is let go of; nothing is under way for it but answers of DNS.
 * Memory a message: the header section as text, twice at most, and the states of four hashes.
 */

import { whenAllKnown } from '../base/answers.ts';
import { assert } from '../base/assert.ts';
import { wallMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { readFields } from '../message/fields.ts';
import type { Field } from '../message/headers.ts';
import type { Dns } from '../net/dns.ts';
import { BodyHasher } from '../scanner/body_hasher.ts';
import type { Relaxer } from '../scanner/relaxer.ts';
import type { ArcPlan, ArcResult } from './arc.ts';
import { arcHashes, planArc, verifyArc } from './arc.ts';
import type { Author } from './author.ts';
import { authorOf } from './author.ts';
import type { DkimPlan, DkimResult } from './dkim.ts';
import { planSignatures, verifySignatures } from './dkim.ts';
import type { DkimKey } from './dkim_key.ts';
import { findKey } from './dkim_key.ts';
import type { DmarcResult } from './dmarc.ts';
import { Dmarc } from './dmarc.ts';
import { Conclusions, Questions } from './questions.ts';
import { SignedHeaders } from './signed_headers.ts';
import type { SpfResult, SpfSubject } from './spf.ts';
import { Spf } from './spf.ts';

export type AuthenticationResult = {
  readonly spf: SpfResult;
  /** One for each signature that was looked at, none where there is none. */
  readonly dkim: readonly DkimResult[];
  /** Signatures that were not looked at. */
  readonly dkimIgnored: number;
  readonly arc: ArcResult;
  readonly dmarc: DmarcResult;
};

/** The header section as it was read, for whoever else looks into it. */
export type HeaderFindings = {
  /** One char per byte. */
  readonly text: string;
  readonly fields: readonly Field[];
  /** There are no more fields than these. */
  readonly whole: boolean;
  readonly author: Author;
};

/** What the session holds of it while the message streams. */
export type Authentication = Pick<MessageAuthentication, 'headers' | 'write' | 'end'>;

type Planned = {
  readonly author: Author;
  readonly headers: SignedHeaders;
  readonly dkim: DkimPlan;
  readonly arc: ArcPlan;
  readonly hasher: BodyHasher;
};

/** One a shard: what it has learned serves all messages. */
export class Authenticator {
  readonly #dns: Dns;
  readonly #relaxer: Relaxer;
  readonly #nowMs: () => number;
  readonly #spf: Spf;
  readonly #dmarc: Dmarc;
  readonly #keys = new Conclusions<DkimKey>(LIMITS.dkimKeysMax);

  /** `hostname` is ours. Tests replace the clock. */
  constructor(dns: Dns, relaxer: Relaxer, hostname: string, nowMs: () => number = wallMs) {
    this.#dns = dns;
    this.#relaxer = relaxer;
    this.#nowMs = nowMs;
    this.#spf = new Spf(dns, hostname);
    this.#dmarc = new Dmarc(dns);
  }

  /** At once where it is known; `signal` is asked for only where it is not. */
  spf(subject: SpfSubject, signal: () => AbortSignal): SpfResult | Promise<SpfResult> {
    return this.#spf.check(subject, signal);
  }

  /** As above of `signal`. */
  begin(spf: SpfResult | Promise<SpfResult>, signal: () => AbortSignal): Authentication {
    return new MessageAuthentication(spf, signal, {
      relaxer: this.#relaxer,
      dmarc: this.#dmarc,
      keys: this.#keys,
      dns: this.#dns,
      nowMs: this.#nowMs,
    });
  }
}

type Means = {
  readonly relaxer: Relaxer;
  readonly dmarc: Dmarc;
  readonly keys: Conclusions<DkimKey>;
  readonly dns: Dns;
  readonly nowMs: () => number;
};

/** One message. */
class MessageAuthentication {
  readonly #spf: SpfResult | Promise<SpfResult>;
  readonly #signal: () => AbortSignal;
  readonly #means: Means;
  readonly #lookedUp = new Map<string, DkimKey | Promise<DkimKey>>();
  #questions: Questions | null = null;
  #planned: Planned | null = null;

  constructor(spf: SpfResult | Promise<SpfResult>, signal: () => AbortSignal, means: Means) {
    this.#spf = spf;
    this.#signal = signal;
    this.#means = means;
  }

  /**
   * The header section, with or without the empty line that ends it, once, before any byte of the body. `whole`: there
   * is no more of it; else it is longer than whoever gathered it would hold (LIMITS.authenticatedHeaderBytesMax).
   */
  headers(section: Uint8Array, whole: boolean): HeaderFindings {
    assert(this.#planned === null, 'a message has one header section');
    const text = Buffer.from(section.buffer, section.byteOffset, section.byteLength).toString('latin1');
    const read = readFields(text);
    const sound = whole && read.whole && text.length <= LIMITS.authenticatedHeaderBytesMax;
    // Of a section that we have not seen all of nothing can be said: another From may stand in the rest.
    const author: Author = sound ? authorOf(read.fields) : { tag: 'unsound' };
    const arc: ArcPlan = sound ? planArc(read.fields) : planArc([]);
    const fromFields = read.fields.filter(({ name }) => name === 'from').length;
    const domain = author.tag === 'one' ? author.domain : null;
    const plan = planSignatures(read.fields, domain, fromFields, arcHashes(arc));
    const dkim = sound ? plan : withoutHope(plan);
    const headers = new SignedHeaders(text, read.fields);
    const hasher = new BodyHasher(this.#means.relaxer, dkim.hashes);
    this.#planned = { author, headers, dkim, arc, hasher };
    for (const each of dkim.planned) {
      if ('signature' in each) void this.#keyOf(each.signature.selector, each.signature.domain);
    }
    this.#means.dmarc.expect(author);
    return { text, fields: read.fields, whole: read.whole, author };
  }

  /** The body as it is in the journal, in order. Keeps no reference to `chunk`. */
  write(chunk: Uint8Array, from: number, to: number): void {
    assert(this.#planned !== null, 'headers come before the body');
    this.#planned.hasher.write(chunk, from, to);
  }

  /** Once, after the last byte; at once where all that DNS has to say is known. Never rejects. */
  end(): AuthenticationResult | Promise<AuthenticationResult> {
    if (this.#planned === null) this.headers(new Uint8Array(0), true);
    const { author, headers, dkim, arc, hasher } = this.#planned!;
    const hashOf = hasher.end();
    const nowSeconds = Math.floor(this.#means.nowMs() / 1000);
    const keyOf = this.#keyOf;
    const signatures = verifySignatures(dkim, headers, hashOf, keyOf, nowSeconds);
    const chain = arc.tag === 'settled' ? arc.settled : verifyArc(arc, headers, hashOf, keyOf, nowSeconds);
    return whenAllKnown([this.#spf, signatures], ([spf, verified]) => {
      const judged = this.#means.dmarc.check(author, spf, verified, this.#signal);
      const result = { spf, dkim: verified, dkimIgnored: dkim.ignored };
      return whenAllKnown([judged, chain], ([dmarc, arcResult]) => ({ ...result, arc: arcResult, dmarc }));
    });
  }

  /** A name is looked up once a message; the budget is for all of them. */
  readonly #keyOf = (selector: string, domain: string): DkimKey | Promise<DkimKey> => {
    const name = `${selector}._domainkey.${domain}`;
    const before = this.#means.keys.recall(name) ?? this.#lookedUp.get(name);
    if (before !== undefined) return before;
    this.#questions ??= new Questions(this.#means.dns, LIMITS.dkimQueriesMax, this.#signal());
    const found = findKey(this.#means.keys, name, this.#questions);
    this.#lookedUp.set(name, found);
    return found;
  };
}

/** No signature can hold over a section that is not whole: nothing is hashed for it, no key looked up. */
function withoutHope({ planned, ignored }: DkimPlan): DkimPlan {
  const results = planned.map((each): { settled: DkimResult } => {
    if ('settled' in each) return each;
    const { domain, selector } = each.signature;
    const why = 'headers beyond bounds';
    return { settled: { result: 'permerror', why, domain, selector, algorithm: null, mark: null } };
  });
  return { planned: results, ignored, hashes: [] };
}
