/**
 * One message's content before the policy, while it arrives: its header section is gathered (bounded), its body is
 * hashed for DKIM, its parts are looked at, and filters examine all of it at once.
 *
 *   write ─► header section ─► authentication, facts        end ─► facts of all, and what is to be changed
 *        ├─► body ─► authentication
 *        ├─► parts (MIME)
 *        └─► filters, the slowest of which sets the pace
 */
import type Libmime from 'libmime';
import { whenAllKnown, whenKnown } from '../base/answers.ts';
import { monotonicMs } from '../base/clock.ts';
import { lazily } from '../base/lazy.ts';
import { LIMITS } from '../config/limits.ts';
import type { AuthenticationResult, HeaderFindings } from '../facts/authentication.ts';
import { methodResults } from '../facts/authentication_report.ts';
import { addressesIn, authorOf } from '../facts/author.ts';
import type { DmarcRecord } from '../facts/dmarc_record.ts';
import { dmarcRecord } from '../facts/dmarc_record.ts';
import type { Asked, Gathered } from '../facts/gather.ts';
import { merged, NOTHING } from '../facts/gather.ts';
import { type Leaf, MimeExamination } from '../facts/mime.ts';
import type { SpfResult } from '../facts/spf.ts';
import type { Consensus, Opinion, PanelExamination, TimedOpinion } from '../filters/panel.ts';
import { consensusOf } from '../filters/panel.ts';
import { authenticationResults, forgedResults } from '../message/authentication_results.ts';
import type { Edit } from '../message/envelope.ts';
import { joined } from '../message/fields.ts';
import type { Field, HeaderSection } from '../message/headers.ts';
import { splitHeaders } from '../message/headers.ts';
import type { Disposed } from '../policy/dmarc.ts';
import { disposeOf } from '../policy/dmarc.ts';
import type { Facts, Stage } from '../policy/facts.ts';
import type { Policy } from './policy.ts';
import type { ContentTap } from './tee.ts';

const LIBMIME = lazily<typeof Libmime>('libmime');

/** What was found in a message. */
export type ContentFindings = {
  readonly gathered: Gathered;
  /** The header section as it came, one char per byte; '' where nobody asked for it. */
  readonly header: string;
  /** Its fields; it is split for the first who looks at them. */
  readonly section: () => HeaderSection;
  readonly leaves: readonly Leaf[];
  readonly consensus: Consensus | null;
  readonly dmarc: DmarcRecord | null;
  /** Of the authentication: our field, and forged ones taken out. */
  readonly results: { readonly field: string; readonly edits: readonly Edit[] } | null;
};

type Wants = {
  /** Null: this message is not authenticated. */
  readonly spf: SpfResult | Promise<SpfResult> | null;
  readonly headers: boolean;
  readonly panel: PanelExamination | null;
  /** Ours. */
  readonly hostname: string;
  /** The header section is here, whole: its facts, for rules that ask for them. */
  readonly onHeaders: (gathered: Gathered) => void;
};

type Authenticated = { readonly result: AuthenticationResult; readonly ms: number };

const NO_SECTION: HeaderSection = { fields: [], end: 0, complete: true };
const NOTHING_YET = Buffer.alloc(0);
const END = Buffer.from('\r\n\r\n');
const HEADER_BYTES_FIRST = 2048;

/** Behind the empty line that ends the section, or -1; all of it is here, and only what is behind `known` is new. */
function headerEnd(section: Buffer, known = 0): number {
  if (known === 0 && section[0] === END[0] && section[1] === END[1]) return 2;
  const at = section.indexOf(END, Math.max(0, known - END.length + 1));
  return at === -1 ? -1 : at + END.length;
}

const bytesOf = (chunk: Uint8Array, from: number, to: number): Buffer =>
  Buffer.from(chunk.buffer, chunk.byteOffset + from, to - from);

export class ContentInspection implements ContentTap {
  readonly #policy: Policy;
  readonly #hostname: string;
  readonly #panel: PanelExamination | null;
  readonly #mime: MimeExamination | null;
  readonly #authentication: ReturnType<Policy['authenticator']['begin']> | null;
  /** Of the authentication, once it waits for something. */
  #abort: AbortController | null = null;
  /** The header section is not over, and somebody wants it. */
  #gathering: boolean;
  /** The section up to now, where it did not come whole in the first piece. */
  #gathered: Buffer = NOTHING_YET;
  #gatheredBytes = 0;
  /** One char per byte. */
  #header = '';
  #whole = true;
  /** What the authentication has read of it. */
  #read: HeaderFindings | null = null;
  /** Spent on looking for parts. */
  #mimeMs = 0;
  #section: HeaderSection | null = null;
  readonly #onHeaders: Wants['onHeaders'];
  over = false;

  constructor(policy: Policy, wants: Wants) {
    this.#policy = policy;
    this.#hostname = wants.hostname;
    this.#panel = wants.panel;
    this.#onHeaders = wants.onHeaders;
    this.#mime = policy.wants.mime ? new MimeExamination() : null;
    this.#authentication = wants.spf === null ? null : policy.authenticator.begin(wants.spf, () => this.#signal());
    this.#gathering = wants.headers || wants.spf !== null || wants.panel !== null;
  }

  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined {
    if (this.over) return undefined;
    if (this.#mime !== null) {
      const startMs = monotonicMs();
      this.#mime.write(chunk, from, to);
      this.#mimeMs += monotonicMs() - startMs;
    }
    if (!this.#gathering) this.#authentication?.write(chunk, from, to);
    else this.#gather(chunk, from, to);
    return this.over ? undefined : this.#panel?.write(chunk, from, to);
  }

  abort(): void {
    this.over = true;
    this.#abort?.abort();
    this.#panel?.abort();
  }

  #signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  #gather(chunk: Uint8Array, from: number, to: number): void {
    const known = this.#gatheredBytes;
    const taken = Math.min(LIMITS.authenticatedHeaderBytesMax - known, to - from);
    const first = known === 0 ? headerEnd(bytesOf(chunk, from, from + taken)) : -1;
    if (first !== -1) {
      this.#headerRead(bytesOf(chunk, from, from + first), true);
      return this.#authentication?.write(chunk, from + first, to);
    }
    this.#makeRoom(known + taken);
    this.#gathered.set(chunk.subarray(from, from + taken), known);
    this.#gatheredBytes += taken;
    const gathered = this.#gathered.subarray(0, this.#gatheredBytes);
    const end = headerEnd(gathered, known);
    if (end === -1 && taken < to - from) this.#headerRead(gathered, false);
    if (end === -1) return;
    this.#headerRead(gathered.subarray(0, end), true);
    this.#authentication?.write(chunk, from + end - known, to);
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#gathered.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#gathered.length, HEADER_BYTES_FIRST));
    this.#gathered.copy(larger, 0, 0, this.#gatheredBytes);
    this.#gathered = larger;
  }

  #headerRead(section: Buffer, whole: boolean): void {
    this.#gathering = false;
    this.#gathered = NOTHING_YET;
    this.#whole = whole;
    this.#read = this.#authentication?.headers(section, whole) ?? null;
    this.#header = this.#read?.text ?? section.toString('latin1');
    if (!whole || !this.#policy.wants.headers) return;
    const facts = headerFacts(this.#fields());
    const asked: Asked = { source: 'header', stage: 'headers', ms: 0, trouble: '', facts };
    this.#onHeaders({ facts, asked: [asked] });
  }

  /** Split for the first who looks. */
  readonly #split = (): HeaderSection => {
    this.#section ??= this.#sectionOf(this.#header);
    return this.#section;
  };

  #fields(): readonly Field[] {
    return this.#read?.whole ? this.#read.fields : joined(this.#header, this.#split());
  }

  /** Behind the last byte; at once where only we have looked at it. Never rejects. */
  end(): ContentFindings | Promise<ContentFindings> {
    if (this.#gathering) this.#headerRead(this.#gathered.subarray(0, this.#gatheredBytes), true);
    return whenAllKnown([this.#panel?.end() ?? null, this.#authenticated()], ([opinions, authenticated]) =>
      this.#findings(opinions, authenticated),
    );
  }

  #findings(opinions: readonly TimedOpinion[] | null, authenticated: Authenticated | null): ContentFindings {
    const authentication = authenticated?.result ?? null;
    const mime = this.#mime?.end() ?? null;
    const disposed =
      authentication && disposeOf(authentication.dmarc, authentication.arc, this.#policy.document.authentication);
    const asked: Asked[] = [];
    const add = (source: string, stage: Stage, ms: number, facts: Facts): void => {
      asked.push({ source, stage, ms, trouble: '', facts });
    };
    if (mime !== null) add('mime', 'data', this.#mimeMs, mime.facts);
    for (const each of opinions ?? []) add(each.filter, 'data', each.ms, filterFacts([each]));
    if (authentication && disposed)
      add('authentication', 'data', authenticated!.ms, authenticationFacts(authentication, disposed));
    return {
      gathered: asked.length === 0 && opinions === null ? NOTHING : together(asked, opinions),
      header: this.#header,
      section: this.#split,
      leaves: mime?.leaves ?? [],
      consensus: opinions === null ? null : consensusOf(opinions),
      dmarc: authentication && disposed && dmarcRecord(authentication, disposed),
      results: authentication === null ? null : this.#results(authentication, this.#fields()),
    };
  }

  #sectionOf(header: string): HeaderSection {
    if (header === '') return { ...NO_SECTION, complete: this.#whole };
    const section = splitHeaders(header, Number.POSITIVE_INFINITY);
    return { ...section, complete: section.complete && this.#whole };
  }

  /** What is not known when the content ends is waited for, but not for ever. */
  #authenticated(): Authenticated | Promise<Authenticated> | null {
    if (this.#authentication === null) return null;
    const startMs = monotonicMs();
    const answer = this.#authentication.end();
    const late = answer instanceof Promise;
    const timer = late ? setTimeout(() => this.#abort?.abort(), LIMITS.sourceMsMax).unref() : undefined;
    return whenKnown(answer, (result) => {
      clearTimeout(timer);
      return { result, ms: monotonicMs() - startMs };
    });
  }

  #results(authentication: AuthenticationResult, fields: readonly Field[]) {
    return {
      field: authenticationResults(this.#hostname, methodResults(authentication)),
      edits: forgedResults(fields, this.#hostname),
    };
  }
}

/** Of several filters the highest score counts, not their sum. */
function together(asked: readonly Asked[], opinions: readonly Opinion[] | null): Gathered {
  const facts = merged(asked.map((each) => each.facts));
  return { facts: opinions === null ? facts : { ...facts, ...filterFacts(opinions) }, asked };
}

function headerFacts(fields: readonly Field[]): Facts {
  if (fields.length === 0) return {};
  const author = authorOf(fields);
  const subject = fields.find(({ name }) => name === 'subject')?.value;
  return {
    'header.names': [...new Set(fields.map(({ name }) => name.toLowerCase()))],
    'header.from': fields.filter(({ name }) => name === 'from').flatMap(({ value }) => addressesIn(value) ?? []),
    ...(author.tag === 'one' ? { 'header.from.domain': author.domain } : {}),
    ...(subject === undefined ? {} : { 'header.subject': decoded(subject) }),
  };
}

/** Encoded words (RFC 2047) as people see them; what cannot be decoded as it stands. */
function decoded(value: string): string {
  const text = value.replace(/\r?\n/g, '').trim().slice(0, LIMITS.mimeValueCharsMax);
  try {
    return LIBMIME().decodeWords(Buffer.from(text, 'latin1').toString('utf8'));
  } catch {
    return text;
  }
}

function filterFacts(opinions: readonly Opinion[]): Facts {
  const all = opinions.map(({ findings }) => findings);
  const scores = all.flatMap(({ score }) => score ?? []);
  const action = all.findLast((findings) => findings.action !== undefined)?.action;
  return {
    virus: all.flatMap(({ names, score }) => (score === undefined ? (names ?? []) : [])),
    'filters.failed': opinions.flatMap(({ filter, findings }) => (findings.failure === undefined ? [] : [filter])),
    ...(scores.length === 0 ? {} : { 'spam.score': Math.max(...scores) }),
    ...(action === undefined ? {} : { 'spam.action': action }),
  };
}

function authenticationFacts({ spf, dkim, arc, dmarc }: AuthenticationResult, { disposition }: Disposed): Facts {
  return {
    spf: spf.result,
    dkim: dkim.flatMap(({ result, domain }) => (result === 'pass' && domain !== null ? [domain] : [])),
    'dkim.results': dkim.map(({ result }) => result),
    dmarc: dmarc.result,
    ...(dmarc.policy === null ? {} : { 'dmarc.policy': dmarc.policy }),
    'dmarc.disposition': disposition,
    arc: arc.result,
  };
}
