/**
 * The vocabulary of policy: what can be known of a client, a sender, a recipient and a message, and from which stage of
 * the dialogue on. Rules (rules.ts) test facts by these names; sources give them; `postern check` prints them.
 *
 *   connect ─► helo ─► mail ─► rcpt (for each recipient) ─► headers ─► data
 *
 * A fact that could not be found out is absent, and that is not the same as `false` or an empty list.
 */

export const STAGES = ['connect', 'helo', 'mail', 'rcpt', 'headers', 'data'] as const;
export type Stage = (typeof STAGES)[number];

export const stageNumber = (stage: Stage): number => STAGES.indexOf(stage);

type Row = readonly [type: 'text' | 'texts' | 'number' | 'flag' | 'address', stage: Stage, about: string];

export const FACTS = {
  side: ['text', 'connect', 'outside or inside: where the client connected'],
  'client.address': ['address', 'connect', 'the client, or whom a listed proxy speaks for'],
  'client.name': ['text', 'connect', 'the name of its address (PTR), lower case'],
  'client.confirmed': ['flag', 'connect', 'that name leads back to the address'],
  'client.country': ['text', 'connect', 'ISO 3166 code, from the GeoIP file'],
  'client.asn': ['number', 'connect', 'number of its autonomous system, from the GeoIP file'],
  'client.login': ['text', 'connect', 'the account that it has logged in with, as a listed peer says (XCLIENT LOGIN)'],
  'dnsbl.score': ['number', 'connect', 'weights of the block lists that have its address, added up'],
  'dnswl.score': ['number', 'connect', 'weights of the welcome lists that have it, added up'],
  listed: ['texts', 'connect', 'zones of the DNS lists that have its address; later also those of its HELO and sender'],
  helo: ['text', 'helo', 'what the client calls itself, lower case'],
  'helo.faults': ['texts', 'helo', 'not-a-name, bare-address, our-name, address-of-another, unknown: what is wrong'],
  tls: ['flag', 'helo', 'the session is encrypted'],
  from: ['text', 'mail', 'the sender, domain in lower case; empty for the null sender'],
  'from.domain': ['text', 'mail', 'its domain; empty for the null sender'],
  spf: ['text', 'mail', 'pass, fail, softfail, neutral, none, temperror or permerror (RFC 7208)'],
  rcpt: ['text', 'rcpt', 'the recipient, domain in lower case'],
  'rcpt.domain': ['text', 'rcpt', 'its domain'],
  'rcpt.known': ['flag', 'rcpt', 'the inside has this address, as its source says'],
  'rcpt.unsure': ['flag', 'rcpt', 'its source could not tell, and the policy file says that mail then waits'],
  'grey.waiting': ['flag', 'rcpt', 'this network, sender and recipient have not waited long enough yet'],
  'rate.exceeded': ['texts', 'rcpt', 'names of the limits that are used up'],
  recipients: ['number', 'headers', 'recipients of the message'],
  'header.from': ['texts', 'headers', 'addresses in From'],
  'header.from.domain': ['text', 'headers', 'the domain of the only From address; absent where there are several'],
  'header.subject': ['text', 'headers', 'the subject, decoded'],
  'header.names': ['texts', 'headers', 'names of all header fields, lower case'],
  dkim: ['texts', 'data', 'domains whose signature verifies (RFC 6376)'],
  'dkim.results': ['texts', 'data', 'results of all signatures'],
  dmarc: ['text', 'data', 'pass, fail, none, temperror or permerror (RFC 7489)'],
  'dmarc.policy': ['text', 'data', 'what the domain asks for: none, quarantine or reject'],
  'dmarc.disposition': [
    'text',
    'data',
    'what is to be done of that: none where it did not fail, or where the `authentication` part of the file says so',
  ],
  arc: ['text', 'data', 'none, pass or fail (RFC 8617)'],
  bytes: ['number', 'data', 'size of the content'],
  'mime.names': ['texts', 'data', 'names of attachments, decoded'],
  'mime.extensions': ['texts', 'data', 'their last extensions, lower case'],
  'mime.types': ['texts', 'data', 'media types of all parts, lower case'],
  'mime.depth': ['number', 'data', 'deepest nesting of parts'],
  'mime.parts': ['number', 'data', 'parts'],
  'mime.faults': ['texts', 'data', 'what is malformed'],
  virus: ['texts', 'data', 'names that virus filters gave'],
  'spam.score': ['number', 'data', 'the highest score that a spam filter gave'],
  'spam.action': ['text', 'data', 'what rspamd advises'],
  'filters.failed': ['texts', 'data', 'filters that could not examine the message'],
} as const satisfies Record<string, Row>;

export type FactId = keyof typeof FACTS;

type ValueOf<Type> = Type extends 'texts'
  ? readonly string[]
  : Type extends 'number'
    ? number
    : Type extends 'flag'
      ? boolean
      : string;

/** What is known so far. */
export type Facts = { readonly [Id in FactId]?: ValueOf<(typeof FACTS)[Id][0]> };

export const isFactId = (text: string): text is FactId => Object.hasOwn(FACTS, text);

export const stageOf = (id: FactId): Stage => FACTS[id][1];
