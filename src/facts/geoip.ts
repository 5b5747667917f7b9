/**
 * Country and autonomous system of a client, from files in MaxMind DB format in shared memory: a look-up walks at most
 * 128 bits of a tree and decodes one record. A file that lies about its own layout is trouble, never a fault of ours.
 */
import { Reader } from 'mmdb-lib';
import { readShared } from '../config/file_memory.ts';
import { LIMITS } from '../config/limits.ts';
import type { GeoipSection } from '../config/policy/geoip.ts';
import { isPrivate } from '../net/addresses.ts';
import type { Source } from './source.ts';

export type GeoipMemory = { readonly country?: SharedArrayBuffer; readonly asn?: SharedArrayBuffer };

export type LoadedGeoip = { readonly memory: GeoipMemory } | { readonly faults: readonly string[] };

/** On the main thread. Every fault in one line. */
export async function loadGeoip(section: GeoipSection): Promise<LoadedGeoip> {
  const faults: string[] = [];
  const memory: { country?: SharedArrayBuffer; asn?: SharedArrayBuffer } = {};
  for (const kind of ['country', 'asn'] as const) {
    const path = section[kind];
    if (path === undefined) continue;
    try {
      memory[kind] = await readShared(path, LIMITS.geoipBytesMax);
      open(memory[kind]).get('192.0.2.1');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      faults.push(`${path}: ${code === undefined ? 'not a MaxMind DB' : `cannot be read (${code})`}`);
    }
  }
  return faults.length > 0 ? { faults } : { memory };
}

/** Records as they are found: of any shape. */
const open = (memory: SharedArrayBuffer): Reader<never> => new Reader<never>(Buffer.from(memory));

export function geoipSource({ country, asn }: GeoipMemory): Source {
  const countries = country === undefined ? null : open(country);
  const systems = asn === undefined ? null : open(asn);
  return {
    name: 'geoip',
    stage: 'connect',
    gives: ['client.country', 'client.asn'],
    ask({ address }) {
      if (isPrivate(address)) return { facts: {} };
      try {
        const place = countries?.get(address) ?? null;
        const code = text(place, 'country') ?? text(place, 'registered_country');
        const number = (systems?.get(address) as Record<string, unknown> | null | undefined)?.autonomous_system_number;
        return {
          facts: {
            ...(code === null ? {} : { 'client.country': code }),
            ...(typeof number === 'number' ? { 'client.asn': number } : {}),
          },
        };
      } catch {
        return { facts: {}, trouble: 'the file is damaged' };
      }
    },
  };
}

function text(record: unknown, key: 'country' | 'registered_country'): string | null {
  const code = (record as Record<string, { iso_code?: unknown } | undefined> | null)?.[key]?.iso_code;
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) ? code : null;
}
