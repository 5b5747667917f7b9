/**
 * Is the recipient one that the inside has? A directory is asked (a list, hashes, LDAP, the inside server itself, a web
 * server), and what the answer means for mail is said here: known, unknown, or unsure.
 *
 *   postmaster: always known ─► of no domain that is asked for: no fact ─► directory ─► (without its detail) directory
 */
import type { RecipientsSection } from '../config/policy/recipients.ts';
import type { Mailbox } from '../smtp/address.ts';
import { printMailbox } from '../smtp/address.ts';
import type { Answer, Source } from './source.ts';

/** `trouble`: it could not be found out, in one line. */
export type Knowledge = { readonly known: boolean } | { readonly trouble: string };

export interface Directory {
  /** Never rejects, and takes no longer than its own deadline. */
  knows(address: string): Knowledge | Promise<Knowledge>;
}

type Terms = Pick<RecipientsSection, 'source' | 'onFailure' | 'separator' | 'domains'>;

export function recipientSource(directory: Directory, terms: Terms): Source {
  const domains = terms.domains === undefined ? null : new Set(terms.domains);
  return {
    name: `recipients-${terms.source}`,
    stage: 'rcpt',
    gives: ['rcpt.known', 'rcpt.unsure'],
    ask({ side, recipient }) {
      if (side !== 'outside' || recipient === null) return { facts: {} };
      // RFC 5321 §4.5.1: every domain has one.
      if (recipient.local.toLowerCase() === 'postmaster') return { facts: { 'rcpt.known': true } };
      if (domains !== null && !domains.has(recipient.domain)) return { facts: {} };
      const knowledge = ask(directory, recipient, terms.separator);
      return knowledge instanceof Promise
        ? knowledge.then((each) => answerOf(each, terms.onFailure))
        : answerOf(knowledge, terms.onFailure);
    },
  };
}

function ask(directory: Directory, mailbox: Mailbox, separator: string | undefined): Knowledge | Promise<Knowledge> {
  const first = directory.knows(printMailbox(mailbox));
  // From 1: an address that begins with the separator has no user before it.
  const at = separator === undefined || mailbox.local.startsWith('"') ? -1 : mailbox.local.indexOf(separator, 1);
  if (at === -1) return first;
  const plain = printMailbox({ ...mailbox, local: mailbox.local.slice(0, at) });
  const second = (knowledge: Knowledge) =>
    'known' in knowledge && !knowledge.known ? directory.knows(plain) : knowledge;
  return first instanceof Promise ? first.then(second) : second(first);
}

function answerOf(knowledge: Knowledge, onFailure: Terms['onFailure']): Answer {
  if ('known' in knowledge) return { facts: { 'rcpt.known': knowledge.known } };
  const { trouble } = knowledge;
  return onFailure === 'defer' ? { facts: { 'rcpt.unsure': true }, trouble } : { facts: {}, trouble };
}
