/**
 * Names for clients of others (HTTP, LDAP) that open their own sockets: looked up by our DNS client, never by the
 * system's resolver, which blocks libuv's threads.
 */
import type { LookupFunction, Socket } from 'node:net';
import net from 'node:net';
import { isAddress } from './addresses.ts';
import type { Dns } from './dns.ts';

type Found = { readonly address: string; readonly family: 4 | 6 };

/** What `lookup` of net.connect takes; IPv4 first. */
export function lookupBy(dns: Dns): LookupFunction {
  return (name, { all }, callback) => {
    addressesOf(dns, name).then((found) => {
      const [first] = found;
      if (first === undefined)
        callback(Object.assign(new Error(`no address for ${name}`), { code: 'ENOTFOUND' }), '', 0);
      else if (all === true) callback(null, [...found]);
      else callback(null, first.address, first.family);
    });
  };
}

async function addressesOf(dns: Dns, name: string): Promise<readonly Found[]> {
  if (isAddress(name)) return [{ address: name, family: name.includes(':') ? 6 : 4 }];
  const [v4, v6] = await Promise.all([dns.query(name, 'A'), dns.query(name, 'AAAA')]);
  return [
    ...(v4.tag === 'records' ? v4.records.map((address): Found => ({ address, family: 4 })) : []),
    ...(v6.tag === 'records' ? v6.records.map((address): Found => ({ address, family: 6 })) : []),
  ];
}

/** In the place of net.connect. */
export const connectBy =
  (dns: Dns) =>
  (port: number, host: string): Socket =>
    net.connect({ port, host, noDelay: true, lookup: lookupBy(dns) });
