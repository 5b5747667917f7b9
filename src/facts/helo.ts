/**
 * What is wrong with the name by which a client calls itself (RFC 5321 §4.1.4 lets us look, and asks us not to refuse
 * for it alone: the rules decide).
 *
 *   not-a-name             neither a domain with a dot nor an address literal
 *   bare-address           an address without brackets
 *   our-name               ours, from somebody who is not us
 *   address-of-another     a literal of another address than the client's
 *   unknown                no address and no MX, where we are asked to look
 */
import type { HeloSection } from '../config/policy/helo.ts';
import { isAddress, normaliseAddress } from '../net/addresses.ts';
import type { Dns } from '../net/dns.ts';
import type { LocalDomains } from '../policy/recipient.ts';
import { isLocal } from '../policy/recipient.ts';
import { parseDomain } from '../smtp/domain.ts';
import type { Answer, Source, Subject } from './source.ts';

export type HeloSettings = HeloSection & {
  /** Of this machine, with the local domains. */
  readonly names: readonly string[];
  readonly local: LocalDomains;
};

export function heloSource(dns: Dns, settings: HeloSettings): Source {
  const own = new Set([...settings.names, ...settings.ours].map((name) => name.toLowerCase()));
  return {
    name: 'helo',
    stage: 'helo',
    gives: ['helo.faults'],
    ask(subject) {
      const faults = heloFaults(subject, own, settings.local);
      return faults.length === 0 && settings.resolve ? resolved(dns, subject) : { facts: { 'helo.faults': faults } };
    },
  };
}

/** Pure. `own` in lower case; `.name` stands for it and all below. */
export function heloFaults(
  { side, helo, address }: Pick<Subject, 'side' | 'helo' | 'address'>,
  own: ReadonlySet<string>,
  local: LocalDomains,
): readonly string[] {
  const text = helo.replace(/\.$/, '').toLowerCase();
  if (isAddress(text)) return ['bare-address'];
  const domain = parseDomain(text);
  if (domain === null) return ['not-a-name'];
  if (domain.startsWith('[')) {
    const literal = normaliseAddress(domain.slice(1, -1).replace(/^IPv6:/, ''));
    return literal === normaliseAddress(address) ? [] : ['address-of-another'];
  }
  if (side === 'outside' && (isOwn(domain, own) || isLocal(domain, local))) return ['our-name'];
  return domain.includes('.') ? [] : ['not-a-name'];
}

function isOwn(name: string, own: ReadonlySet<string>): boolean {
  if (own.has(name) || own.has(`.${name}`)) return true;
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    if (own.has(name.slice(dot))) return true;
  }
  return false;
}

async function resolved(dns: Dns, { helo }: Subject): Promise<Answer> {
  if (helo.startsWith('[')) return { facts: { 'helo.faults': [] } };
  const answers = await Promise.all((['A', 'AAAA', 'MX'] as const).map((type) => dns.query(helo, type)));
  if (answers.some(({ tag }) => tag === 'records')) return { facts: { 'helo.faults': [] } };
  const failed = answers.find((answer) => answer.tag === 'failed');
  if (failed?.tag === 'failed') return { facts: { 'helo.faults': [] }, trouble: failed.reason };
  return { facts: { 'helo.faults': ['unknown'] } };
}
