/** A Dns without sockets: records by "TYPE name", failures by the same, and every question that was asked. */
import type { Dns, DnsAnswer, DnsFailure, DnsType, RecordOf } from '../../src/net/dns.ts';

export type FakeRecords = Record<string, readonly (string | { preference: number; exchange: string })[] | DnsFailure>;

export class FakeDns implements Dns {
  readonly asked: string[] = [];
  readonly records: FakeRecords;
  readonly ttlSeconds: number;
  /** Set to make every answer wait for it. */
  gate: Promise<unknown> | null = null;

  constructor(records: FakeRecords, ttlSeconds = 300) {
    this.records = records;
    this.ttlSeconds = ttlSeconds;
  }

  async query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<T>> {
    this.asked.push(`${type} ${name}`);
    if (this.gate !== null) await this.gate;
    const found = this.records[`${type} ${name.toLowerCase()}`];
    if (typeof found === 'string') return { tag: 'failed', reason: found as DnsFailure };
    const ttlSeconds = this.ttlSeconds;
    if (found === undefined) return { tag: 'none', why: 'nxdomain', authentic: false, ttlSeconds };
    return { tag: 'records', records: found as unknown as RecordOf[T][], authentic: false, ttlSeconds };
  }
}
