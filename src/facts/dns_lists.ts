/**
 * Block and welcome lists in DNS (RFC 5782): each is asked whether it has the client's address, or the domain of the
 * sender or of HELO, all at once, and the weights of those that have it are added up.
 *
 *   192.0.2.99 ─► 99.2.0.192.ZONE    2001:db8::1 ─► 1.0.0.0. … .8.b.d.0.1.0.0.2.ZONE    example.org ─► example.org.ZONE
 *   no such name: not listed · 127.0.0.0/8 with a code that counts: listed · 127.255.255.0/24: the list refuses us
 *   anything else: not from the list at all (a resolver that sends people to its advertisements); told, not believed
 */
import type { DnsListText, Span } from '../config/policy/dns_lists.ts';
import { addressWords, isAddress, isPrivate } from '../net/addresses.ts';
import type { Dns, DnsAnswer } from '../net/dns.ts';
import type { Stage } from '../policy/facts.ts';
import type { Answer, Source, Subject } from './source.ts';

type Finding = { readonly listed: boolean; readonly trouble: string };

const NOT_LISTED: Finding = { listed: false, trouble: '' };
const NOTHING: Answer = { facts: {} };
/** Conventional return code of a list for queries that it does not serve: too many, or through a public resolver. */
const REFUSES = /^127\.255\.255\./;

const STAGE_OF: Readonly<Record<DnsListText['of'], Stage>> = { address: 'connect', helo: 'helo', sender: 'mail' };

/** One source for each thing that is looked up. */
export function dnsListSources(dns: Dns, lists: readonly DnsListText[]): readonly Source[] {
  return (['address', 'helo', 'sender'] as const).flatMap((of) => {
    const own = lists.filter((list) => list.of === of);
    return own.length === 0 ? [] : [dnsListSource(dns, of, own)];
  });
}

function dnsListSource(dns: Dns, of: DnsListText['of'], lists: readonly DnsListText[]): Source {
  return {
    name: of === 'address' ? 'dns-lists' : `dns-lists-${of}`,
    stage: STAGE_OF[of],
    gives: ['dnsbl.score', 'dnswl.score', 'listed'],
    ask(subject) {
      const name = subject.side === 'outside' ? nameToAsk(of, subject) : null;
      return name === null ? NOTHING : askAll(dns, lists, name);
    },
  };
}

/** Null: there is nothing that a list could know. */
function nameToAsk(of: DnsListText['of'], { address, helo, sender }: Subject): string | null {
  if (of === 'address') return isPrivate(address) ? null : reversed(address);
  const domain = (of === 'helo' ? helo.toLowerCase() : (sender?.domain ?? '')).replace(/\.$/, '');
  // Lists of domains answer a question about an address with a code of 127.0.0.0/8, too: that one must not ask so.
  return domain.includes('.') && !domain.startsWith('[') && !isAddress(domain) ? domain : null;
}

/** RFC 5782 §2.1, §2.4; null: no address. */
export function reversed(address: string): string | null {
  const words = addressWords(address);
  if (words === null) return null;
  if (words.length === 1) return [0, 8, 16, 24].map((shift) => (words[0]! >>> shift) & 0xff).join('.');
  const nibbles = words.map((word) => word.toString(16).padStart(8, '0')).join('');
  return [...nibbles].reverse().join('.');
}

async function askAll(dns: Dns, lists: readonly DnsListText[], name: string): Promise<Answer> {
  const findings = await Promise.all(lists.map((list) => askOne(dns, list, name)));
  const hits = lists.filter((_, at) => findings[at]!.listed);
  const score = (sign: number): number => hits.reduce((sum, { weight }) => sum + Math.max(sign * weight, 0), 0);
  const trouble = lists.flatMap(({ zone }, at) =>
    findings[at]!.trouble === '' ? [] : [`${zone}: ${findings[at]!.trouble}`],
  );
  return {
    facts: { 'dnsbl.score': score(1), 'dnswl.score': score(-1), listed: hits.map(({ zone }) => zone) },
    ...(trouble.length === 0 ? {} : { trouble: trouble.join('; ').slice(0, 500) }),
  };
}

async function askOne(dns: Dns, list: DnsListText, name: string): Promise<Finding> {
  return judgeAnswer(list, await dns.query(`${name}.${list.zone}`, 'A'));
}

/** Pure. */
export function judgeAnswer(list: DnsListText, answer: DnsAnswer<'A'>): Finding {
  switch (answer.tag) {
    case 'none':
      return NOT_LISTED;
    case 'failed':
      return { listed: false, trouble: answer.reason };
    case 'records': {
      const codes = answer.records.filter((record) => record.startsWith('127.') && !REFUSES.test(record));
      const stranger = answer.records.find((record) => !codes.includes(record));
      const trouble =
        stranger === undefined
          ? ''
          : REFUSES.test(stranger)
            ? `it refuses us (${stranger})`
            : `not a code: ${stranger}`;
      // Among records that are not the list's, those that look like it are no better.
      const believed = stranger === undefined || REFUSES.test(stranger);
      return { listed: believed && codes.some((each) => counts(list, each)), trouble };
    }
  }
}

function counts({ codes, bits }: DnsListText, record: string): boolean {
  const octets = record.split('.').map(Number);
  const value = (octets[1]! << 16) | (octets[2]! << 8) | octets[3]!;
  if (bits !== undefined && (value & bits) === 0) return false;
  return codes === undefined || codes.some((code) => code.every((spans, at) => spans.some(within(octets[at]!))));
}

const within =
  (octet: number) =>
  ({ from, to }: Span): boolean =>
    octet >= from && octet <= to;
