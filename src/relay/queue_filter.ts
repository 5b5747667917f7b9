/**
 * Which recipients of which messages an operator means. A filter is plain texts, as it crosses the socket and the
 * threads; `matcherOf` makes of it questions in the order of their price:
 *
 *   message at rest    accepted when? hash of id, of sender             nothing is read
 *   recipient at rest  domain, site, state, hash of address             nothing is read
 *   message awake      id, sender and address as texts                  read from disk, only where `needsTexts`
 *
 * Terms of one kind are alternatives, kinds are conditions: (sender a or b) and (site c). In a term `*` stands for any
 * text, and nothing else is special; time is linear in the text, whatever the term. Local parts are compared as they
 * were received (RFC 5321 §2.4), domains in the form by which we route.
 */
import { LIMITS } from '../config/limits.ts';
import type { Envelope } from '../message/envelope.ts';
import { parseDomain } from '../smtp/domain.ts';

/** due: waits for a connection. waiting: for its time. held: for the operator. active: it is being delivered now. */
export const QUEUE_STATES = ['due', 'waiting', 'held', 'active'] as const;
export type QueueState = (typeof QUEUE_STATES)[number];

export type QueueFilter = {
  readonly ids: readonly string[];
  readonly senders: readonly string[];
  readonly recipients: readonly string[];
  readonly domains: readonly string[];
  readonly sites: readonly string[];
  readonly states: readonly QueueState[];
  /** In the queue at least, at most so long; null: no condition. */
  readonly ageSecondsMin: number | null;
  readonly ageSecondsMax: number | null;
};

export const EVERYTHING: QueueFilter = {
  ids: [],
  senders: [],
  recipients: [],
  domains: [],
  sites: [],
  states: [],
  ageSecondsMin: null,
  ageSecondsMax: null,
};

/** No condition at all. */
export const isEverything = (filter: QueueFilter): boolean =>
  Object.values(filter).every(
    (condition) => condition === null || (Array.isArray(condition) && condition.length === 0),
  );

/** What a waiting recipient is in right now. */
export function queueStateOf(nextMs: number, claimed: boolean, nowMs: number): QueueState {
  if (claimed) return 'active';
  if (nextMs === Number.POSITIVE_INFINITY) return 'held';
  return nextMs <= nowMs ? 'due' : 'waiting';
}

/** What is known of a recipient without its envelope. */
export type RecipientAtRest = {
  readonly addressHash: number;
  readonly domain: string;
  /** '' until a first attempt has named it. */
  readonly site: string;
  readonly state: QueueState;
};

export interface Matcher {
  /** False: no recipient of this message matches. True: one may. */
  message(acceptedMs: number, idHash: number, senderHash: number): boolean;
  /** As above, for one recipient; certain where the texts are not needed. */
  recipient(at: RecipientAtRest): boolean;
  /** The filter holds terms that hashes cannot decide. */
  readonly needsTexts: boolean;
  /** With the message awake: id and sender. */
  texts(envelope: Pick<Envelope, 'id' | 'sender'>): boolean;
  address(address: string): boolean;
}

/** `hash` is the spool's. */
export function matcherOf(filter: QueueFilter, hash: (text: string) => number, nowMs: number): Matcher {
  const senders = filter.senders.map(addressTerm);
  const recipients = filter.recipients.map(addressTerm);
  const domains = filter.domains.map((text) => new Term(normalDomain(text)));
  const sites = filter.sites.map((text) => new Term(text));
  const ids = new Set(filter.ids);
  const idHashes = new Set(filter.ids.map(hash));
  const mayBeSender = hashTest(senders, hash);
  const mayBeAddress = hashTest(recipients, hash);
  const states = new Set<QueueState>(filter.states);
  const acceptedMsMax = filter.ageSecondsMin === null ? Number.POSITIVE_INFINITY : nowMs - filter.ageSecondsMin * 1000;
  const acceptedMsMin = filter.ageSecondsMax === null ? Number.NEGATIVE_INFINITY : nowMs - filter.ageSecondsMax * 1000;
  return {
    message: (acceptedMs, idHash, senderHash) =>
      acceptedMs >= acceptedMsMin &&
      acceptedMs <= acceptedMsMax &&
      (idHashes.size === 0 || idHashes.has(idHash)) &&
      mayBeSender(senderHash),
    recipient: ({ addressHash, domain, site, state }) =>
      (states.size === 0 || states.has(state)) &&
      (domains.length === 0 || domains.some((term) => term.matches(domain))) &&
      (sites.length === 0 || sites.some((term) => term.matches(site))) &&
      (recipients.length === 0 || recipients.some((term) => term.domain.matches(domain))) &&
      mayBeAddress(addressHash),
    needsTexts: ids.size > 0 || senders.some((term) => !term.any) || recipients.some((term) => !term.domainOnly),
    texts: ({ id, sender }) =>
      (ids.size === 0 || ids.has(id)) && (senders.length === 0 || senders.some((term) => term.matches(sender))),
    address: (address) => recipients.length === 0 || recipients.some((term) => term.matches(address)),
  };
}

/** Where every term is a whole text, its hash must be among theirs; else nothing is known. */
function hashTest(terms: readonly AddressTerm[], hash: (text: string) => number): (hashed: number) => boolean {
  if (terms.length === 0 || terms.some(({ exact }) => exact === null)) return () => true;
  const hashes = new Set(terms.map(({ exact }) => hash(exact!)));
  return (hashed) => hashes.has(hashed);
}

/** A text in which `*` stands for any text. */
class Term {
  /** What stands between the asterisks; one piece: the whole text. */
  readonly #pieces: readonly string[];

  constructor(text: string) {
    this.#pieces = text.split(/\*+/);
  }

  get exact(): string | null {
    return this.#pieces.length === 1 ? this.#pieces[0]! : null;
  }

  /** Each piece at the first place where it can be: no later one could leave more room for the rest. */
  matches(text: string): boolean {
    const first = this.#pieces[0]!;
    if (this.#pieces.length === 1) return text === first;
    const last = this.#pieces.at(-1)!;
    const end = text.length - last.length;
    if (end < first.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    for (const piece of this.#pieces.slice(1, -1)) {
      const found = text.indexOf(piece, at);
      if (found < 0 || found + piece.length > end) return false;
      at = found + piece.length;
    }
    return true;
  }
}

const ANY = new Term('*');

type AddressTerm = {
  readonly exact: string | null;
  readonly domain: Term;
  /** The domain decides alone: `*@example.org`. */
  readonly domainOnly: boolean;
  readonly any: boolean;
  matches(address: string): boolean;
};

function addressTerm(text: string): AddressTerm {
  const inner = text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text;
  const at = inner.lastIndexOf('@');
  if (at < 0) {
    const any = /^\*+$/.test(inner);
    const whole = new Term(inner);
    return { exact: whole.exact, domain: ANY, domainOnly: any, any, matches: (address) => whole.matches(address) };
  }
  const local = inner.slice(0, at);
  const domain = normalDomain(inner.slice(at + 1));
  const whole = new Term(`${local}@${domain}`);
  return {
    exact: whole.exact,
    domain: new Term(domain),
    domainOnly: /^\*+$/.test(local),
    any: false,
    matches: (address) => whole.matches(address),
  };
}

/** As the envelope has it; what is no whole domain is only put in lower case. */
const normalDomain = (text: string): string => (text.includes('*') ? null : parseDomain(text)) ?? text.toLowerCase();

/** What is wrong with the texts of a filter, each a line that says what to write. */
export function filterFaults(filter: QueueFilter): string[] {
  const faults = filter.ids
    .filter((id) => !ID.test(id))
    .map((id) => `${shown(id)} is no message id: they look like ${AN_ID}`);
  const { operatorTermsMax: termsMax, operatorTermCharsMax: termCharsMax } = LIMITS;
  const terms = [...filter.senders, ...filter.recipients, ...filter.domains, ...filter.sites];
  if (terms.length > termsMax) faults.push(`${terms.length} terms: name at most ${termsMax} at once, besides ids`);
  for (const text of terms) {
    if (text.length > termCharsMax) faults.push(`${shown(text)}: a term has at most ${termCharsMax} characters`);
  }
  for (const text of [...filter.recipients, ...filter.domains, ...filter.sites]) {
    if (text === '') faults.push("an empty text matches nothing; '*' stands for any text");
  }
  for (const text of filter.domains) {
    if (text.includes('@')) faults.push(`${shown(text)} is an address; write what stands behind the @`);
  }
  return faults;
}

const ID = /^[0-9a-z][0-9a-z-]{0,63}$/;
const AN_ID = 'mib3k2x9-a1b2c3-00-0001, and list prints them';
const SHOWN_CHARS = 60;

const shown = (text: string): string =>
  JSON.stringify(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text);
