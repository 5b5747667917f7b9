/**
 * May mail to this recipient pass? A pure verdict over facts; the replies that refuse are in smtp/replies.ts.
 * Here later rules stand as well (known recipients, reputation, authentication): each adds facts, the shape stays.
 *
 * From outside, only what is ours: the domain after the last unquoted @ is compared, and nothing in the local part
 * is looked at, so that `user%other@ours`, `other!user@ours` and `"user@other"@ours` are local users with odd names.
 */
import type { Side } from '../message/envelope.ts';
import type { Mailbox } from '../smtp/address.ts';
import type { ReplyKey } from '../smtp/replies.ts';

export type LocalDomains = {
  /** Lower case, A-labels. */
  readonly domains: ReadonlySet<string>;
  /** Their subdomains, at any depth, are ours as well. */
  readonly subdomains: boolean;
};

export type RecipientFacts = { readonly side: Side; readonly mailbox: Mailbox };

export function isLocal(domain: string, local: LocalDomains): boolean {
  if (local.domains.has(domain)) return true;
  if (!local.subdomains) return false;
  for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1)) {
    if (local.domains.has(domain.slice(dot + 1))) return true;
  }
  return false;
}

/** The refusing reply, or null. `<Postmaster>` without a domain is always ours (RFC 5321 §4.5.1). */
export function judgeRecipient(facts: RecipientFacts, local: LocalDomains): ReplyKey | null {
  if (facts.side === 'inside' || facts.mailbox.domain === '' || isLocal(facts.mailbox.domain, local)) return null;
  return 'relayDenied';
}
