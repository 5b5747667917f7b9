/**
 * The client's name by its address, and whether that name leads back to the address (forward-confirmed reverse DNS): a
 * name alone is the word of whoever has the address block. Of several names the first confirmed one is taken.
 */
import { LIMITS } from '../config/limits.ts';
import { addressWords, normaliseAddress } from '../net/addresses.ts';
import type { Dns } from '../net/dns.ts';
import { parseDomain } from '../smtp/domain.ts';
import { reversed } from './dns_lists.ts';
import type { Answer, Source } from './source.ts';

export function reverseNameSource(dns: Dns): Source {
  return {
    name: 'reverse-name',
    stage: 'connect',
    gives: ['client.name', 'client.confirmed'],
    ask: ({ address }) => (addressWords(address) === null ? { facts: {} } : ask(dns, normaliseAddress(address))),
  };
}

/** No name: neither a name, nor confirmed. */
async function ask(dns: Dns, address: string): Promise<Answer> {
  const v6 = address.includes(':');
  const pointers = await dns.query(`${reversed(address)}.${v6 ? 'ip6' : 'in-addr'}.arpa`, 'PTR');
  if (pointers.tag === 'failed') return { facts: {}, trouble: `PTR: ${pointers.reason}` };
  if (pointers.tag === 'none') return { facts: { 'client.confirmed': false } };
  const names = [...new Set(pointers.records)].map(parseDomain).filter((name) => name !== null);
  const tried = names.slice(0, LIMITS.reverseNamesMax);
  const forward = await Promise.all(tried.map((name) => dns.query(name, v6 ? 'AAAA' : 'A')));
  const at = forward.findIndex((each) => each.tag === 'records' && each.records.some((one) => isSame(one, address)));
  if (at !== -1) return { facts: { 'client.name': tried[at]!, 'client.confirmed': true } };
  const name = tried[0] === undefined ? {} : { 'client.name': tried[0] };
  const failed = forward.find((each) => each.tag === 'failed');
  // A name that could not be asked about might have been the one.
  if (failed?.tag === 'failed') return { facts: name, trouble: `forward: ${failed.reason}` };
  return { facts: { ...name, 'client.confirmed': false } };
}

const isSame = (record: string, address: string): boolean => normaliseAddress(record) === address;
