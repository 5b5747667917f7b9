/**
 * The DNS server of bench/load with a script: what the next queries get instead of the honest answer, and an event for
 * each query, so that tests wait for what happened and not for time.
 */
import dgram from 'node:dgram';
import { encode, TRUNCATED_RESPONSE } from 'dns-packet';
import type { DnsServer, DnsServerOptions, Exchange } from '../../bench/load/dns_server.ts';
import { RCODE, replyTo, startDnsServer } from '../../bench/load/dns_server.ts';

export type { DnsServer, Exchange, Records, Zone } from '../../bench/load/dns_server.ts';
export { RCODE, replyTo, startDnsServer } from '../../bench/load/dns_server.ts';

export type Behaviour = (exchange: Exchange) => void;

export type ScriptedDns = DnsServer & {
  /** All queries so far, as `udp MX example.test`. */
  readonly queries: readonly string[];
  /** Each of the next queries gets the next of these; afterwards all are answered honestly again. */
  next(...behaviours: readonly Behaviour[]): void;
  /** What all queries get for which nothing is scripted. */
  always(behaviour: Behaviour): void;
  /** Resolves when there have been `count` queries in all. */
  asked(count: number): Promise<void>;
};

export async function startScriptedDns(options: Omit<DnsServerOptions, 'handle'>): Promise<ScriptedDns> {
  const queries: string[] = [];
  const script: Behaviour[] = [];
  let usual: Behaviour = honest;
  let waiters: { readonly count: number; readonly resolve: () => void }[] = [];
  const server = await startDnsServer({
    ...options,
    handle: (exchange) => {
      queries.push(`${exchange.transport} ${exchange.type} ${exchange.name}`);
      (script.shift() ?? usual)(exchange);
      for (const { count, resolve } of waiters) if (queries.length >= count) resolve();
      waiters = waiters.filter(({ count }) => queries.length < count);
    },
  });
  return {
    ...server,
    queries,
    next: (...behaviours) => script.push(...behaviours),
    always: (behaviour) => {
      usual = behaviour;
    },
    asked: (count) =>
      new Promise((resolve) => {
        if (queries.length >= count) resolve();
        else waiters.push({ count, resolve });
      }),
  };
}

export const honest: Behaviour = (exchange) => exchange.reply(exchange.honest);
export const drop: Behaviour = () => undefined;
export const servfail: Behaviour = ({ query, reply }) => reply(replyTo(query, RCODE.servfail));
export const refused: Behaviour = ({ query, reply }) => reply(replyTo(query, RCODE.refused));
export const hangUp: Behaviour = ({ hangUp }) => hangUp();

/** Waits for an event of the test. */
export const after =
  (event: Promise<unknown>, behaviour: Behaviour = honest): Behaviour =>
  (exchange) => {
    event.then(() => behaviour(exchange));
  };

export const truncate: Behaviour = ({ honest: packet, reply }) =>
  reply({ ...packet, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE, answers: [] });

/** Of the right header and question, and rubbish after it. */
export const garbage: Behaviour = ({ honest: packet, send }) => {
  const bytes = encode({ ...packet, answers: [], authorities: [], additionals: [] });
  bytes.writeUInt16BE(3, 6); // three answers are announced
  send(Buffer.concat([bytes, Buffer.from('c0ffffff41c00c00', 'hex')]));
};

const poison = ({ query, name, type }: Exchange) =>
  replyTo(query, RCODE.noerror, [{ name, type: type as 'A', class: 'IN', ttl: 60, data: '203.0.113.66' }]);

/** Forgeries of every kind that a client can tell, each with a poisoned answer; then the honest answer. */
export const forgeriesFirst: Behaviour = (exchange) => {
  const { query, send } = exchange;
  const forged = encode(poison(exchange));
  const wrongId = Buffer.from(forged);
  wrongId.writeUInt16BE(((query.id ?? 0) + 1) & 0xffff, 0);
  const notAReply = Buffer.from(forged);
  notAReply[2] = notAReply[2]! & 0x7f;
  const wrongName = encode(replyTo({ ...query, questions: [{ name: 'other.test', type: 'A' }] }, RCODE.noerror));
  const wrongType = encode(replyTo({ ...query, questions: [{ name: exchange.name, type: 'NS' }] }, RCODE.noerror));
  const noQuestion = encode(replyTo({ ...query, questions: [] }, RCODE.servfail));
  for (const bytes of [wrongId, notAReply, wrongName, wrongType, noQuestion, forged.subarray(0, 11), Buffer.alloc(0)])
    send(bytes);
  honest(exchange);
};

/** The right id and question with a poisoned answer, from another socket; when it has arrived, the honest one. */
export const fromElsewhereFirst: Behaviour = (exchange) => {
  const socket = dgram.createSocket('udp4');
  socket.send(encode(poison(exchange)), exchange.remote.port, exchange.remote.address, () => {
    socket.close();
    honest(exchange);
  });
};

/** Beside the answer, records for names nobody asked about. */
export const strangers: Behaviour = (exchange) => {
  const stranger = { name: 'victim.test', type: 'A', class: 'IN', ttl: 3600, data: '203.0.113.66' } as const;
  exchange.reply({
    ...exchange.honest,
    answers: [stranger, ...(exchange.honest.answers ?? [])],
    additionals: [stranger],
  });
};

/** Addresses without end. */
export const many =
  (count: number): Behaviour =>
  ({ query, name, reply }) => {
    const answers = Array.from({ length: count }, (_, at) => {
      return { name, type: 'A', class: 'IN', ttl: 60, data: `192.0.2.${at % 256}` } as const;
    });
    reply(replyTo(query, RCODE.noerror, answers));
  };

export const cnameLoop: Behaviour = ({ query, name, reply }) => {
  const alias = { type: 'CNAME', class: 'IN', ttl: 60 } as const;
  const answers = [
    { ...alias, name, data: 'loop.test' },
    { ...alias, name: 'loop.test', data: name },
  ];
  reply(replyTo(query, RCODE.noerror, answers));
};
