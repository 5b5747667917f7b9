/**
 * The CPU time of verifying one signed message in this process: by what a shard of Postern runs, and by mailauth, which
 * is its measure. Keys and conclusions are known, as for the second message of a sender.
 */
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { Authenticator } from '../../src/facts/authentication.ts';
import type { Dns, DnsAnswer } from '../../src/net/dns.ts';
import { chooseScanner } from '../../src/scanner/index.ts';
import type { Zone } from '../load/dns_server.ts';
import type { Letter } from '../load/outgoing.ts';
import { base64, random } from '../load/text.ts';

type Once = () => Promise<void>;

/** As a socket is read. */
const CHUNK_BYTES = 65_536;
const WARM_CALLS = 20;

/** What a megabyte of mail may hold, by what it costs to find its blanks: about `bytes` bytes each. */
export const BODIES: Readonly<Record<string, (bytes: number) => string>> = {
  base64: (bytes) => base64(random(1), bytes * (3 / 4) * (76 / 78)),
  'text, runs of blanks': (bytes) => {
    const line = 'A line of mail, as people write it, with  two blanks now and then. \r\n';
    return line.repeat(Math.ceil(bytes / line.length));
  },
};

/** CPU milliseconds of one call, over as many as take `leastMs` together. */
export async function cpuMsOf(once: Once, leastMs: number): Promise<number> {
  for (let call = 0; call < WARM_CALLS; call++) await once();
  const begun = process.cpuUsage();
  const spentMs = (): number => {
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / 1000;
  };
  let calls = 0;
  for (; spentMs() < leastMs; calls++) await once();
  return spentMs() / calls;
}

/** SPF, DKIM and DMARC. Rejects where any of them does not pass. */
export function byPostern({ from, text }: Letter, zone: Zone): Once {
  const authenticator = new Authenticator(dnsOf(zone), chooseScanner().relaxer, 'mx.example.com');
  const bodyAt = text.indexOf('\r\n\r\n') + 4;
  const client = { address: '127.0.0.1', helo: 'source.example', sender: from };
  const { signal } = new AbortController();
  const never = () => signal;
  return async () => {
    const authentication = authenticator.begin(authenticator.spf(client, never), never);
    authentication.headers(text.subarray(0, bodyAt), true);
    for (let at = bodyAt; at < text.length; at += CHUNK_BYTES)
      authentication.write(text, at, Math.min(text.length, at + CHUNK_BYTES));
    const { spf, dkim, dmarc } = await authentication.end();
    if (spf.result !== 'pass' || dkim[0]?.result !== 'pass' || dmarc.result !== 'pass') throw new Error('not verified');
  };
}

/** DKIM alone. Rejects where it does not pass. */
export function byMailauth({ text }: Letter, zone: Zone): Once {
  const resolver = async (name: string): Promise<string[][]> => [[...(zone[name]?.TXT ?? [])]];
  return async () => {
    const { results } = await dkimVerify(text, { resolver } as unknown as Parameters<typeof dkimVerify>[1]);
    if (results[0]?.status.result !== 'pass') throw new Error('mailauth: not verified');
  };
}

function dnsOf(zone: Zone): Dns {
  return {
    async query(name, type) {
      const records = type === 'TXT' ? zone[name]?.TXT : undefined;
      const common = { authentic: false, ttlSeconds: 3600 } as const;
      const answer =
        records === undefined ? { tag: 'none', why: 'nodata', ...common } : { tag: 'records', records, ...common };
      return answer as DnsAnswer<typeof type>;
    },
  };
}
