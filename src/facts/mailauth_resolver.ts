/** Our DNS as mailauth wants its resolver: values of node:dns, and errors with a code for what is none. */
import type { Dns, DnsType } from '../net/dns.ts';

export type Resolver = (name: string, type: string) => Promise<unknown[]>;

const TYPES: readonly string[] = ['A', 'AAAA', 'CNAME', 'MX', 'PTR', 'TXT'] satisfies DnsType[];

class NoAnswer extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** `seen` is told every text record. */
export function resolverOver(dns: Dns, seen: (text: string) => void = () => undefined): Resolver {
  return async (name, type) => {
    if (!TYPES.includes(type)) throw new NoAnswer('ENODATA');
    const answer = await dns.query(name, type as DnsType);
    if (answer.tag === 'none') throw new NoAnswer(answer.why === 'nxdomain' ? 'ENOTFOUND' : 'ENODATA');
    if (answer.tag === 'failed') throw new NoAnswer(answer.reason === 'timeout' ? 'ETIMEOUT' : 'ESERVFAIL');
    return answer.records.map((record) => {
      if (typeof record !== 'string') {
        return 'exchange' in record ? { priority: record.preference, exchange: record.exchange } : record;
      }
      if (type !== 'TXT') return record;
      seen(record);
      return [record];
    });
  };
}
