/**
 * Rules that serve where the policy file says nothing else: they stand behind its own, and `builtin: { ID: off }` takes
 * one away. Where nobody gives the facts that they ask for, they never hold.
 */
import type { RuleText } from './rule_text.ts';

export const BUILTIN: readonly RuleText[] = [
  {
    id: 'unknown-recipient',
    when: { side: 'outside', 'rcpt.known': false },
    do: { reject: { text: 'No such recipient here', status: '5.1.1' } },
  },
  {
    id: 'unsure-recipient',
    when: { side: 'outside', 'rcpt.unsure': true },
    do: { defer: 'It cannot be told now whether there is such a recipient, try again later' },
  },
  {
    id: 'block-list',
    stage: 'rcpt',
    when: { side: 'outside', 'dnsbl.score': { atLeast: 5 }, not: { 'dnswl.score': { atLeast: 5 } } },
    do: { reject: 'Your address is on block lists' },
  },
  {
    id: 'grey',
    when: { side: 'outside', 'grey.waiting': true },
    do: { defer: 'Not seen before, try again in some minutes' },
  },
  {
    id: 'rate-outside',
    when: { side: 'outside', 'rate.exceeded': { like: '*' } },
    do: { defer: 'Too much mail in a short time, try again later' },
  },
  {
    id: 'rate-inside',
    stage: 'data',
    when: { side: 'inside', 'rate.exceeded': { like: '*' } },
    do: { hold: true },
  },
  {
    id: 'dmarc-reject',
    when: { side: 'outside', 'dmarc.disposition': 'reject' },
    do: { reject: 'The domain in From asks that mail like this be refused (DMARC)' },
  },
  {
    // Who may write From so that we and a reader see different authors, or none, is past DMARC.
    id: 'no-author',
    when: { side: 'outside', dmarc: 'permerror' },
    do: { reject: 'Write one From field with addresses of one domain, in a header section of usual size' },
  },
  {
    id: 'dmarc-quarantine',
    when: { side: 'outside', 'dmarc.disposition': 'quarantine' },
    // The inside has a folder for it, and the reader there; an operator here would have to read everybody's mail.
    do: { tag: { header: 'X-Spam-Flag', value: 'YES' } },
  },
  { id: 'virus', when: { virus: { like: '*' } }, do: { reject: 'The message carries malware' } },
  { id: 'spam', when: { side: 'outside', 'spam.action': 'reject' }, do: { reject: 'The message looks like spam' } },
];
