/**
 * A DNS server in the process, for the demo, the load scenarios and the tests: zones as data, over UDP and TCP on one
 * port of loopback. To the relay it is the recursive resolver: it follows CNAMEs in its own zone, says "there is none"
 * with a SOA (RFC 2308), truncates what does not fit, and sets AD for what it is told is authentic.
 *
 *   query ─► honest answer ─► `handle`, which may send it, something else, or nothing ─► client
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import type { Answer, DecodedPacket, OptAnswer, Packet, RecordType } from 'dns-packet';
import { AUTHENTIC_DATA, decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED, TRUNCATED_RESPONSE } from 'dns-packet';

export type TlsaRecord = { usage: number; selector: number; matchingType: number; certificate: Buffer };
export type Records = {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly CNAME?: string;
  readonly MX?: readonly { readonly preference: number; readonly exchange: string }[];
  readonly PTR?: readonly string[];
  readonly TLSA?: readonly TlsaRecord[];
  /** Of any length: split into character-strings of 255. */
  readonly TXT?: readonly string[];
};
/** By name, in lower case. `*.example.test` stands for any name below that is not there itself. */
export type Zone = Readonly<Record<string, Records>>;

/** One query, and the ways to answer it. */
export type Exchange = {
  readonly name: string;
  readonly type: RecordType;
  readonly transport: 'udp' | 'tcp';
  readonly query: DecodedPacket;
  /** What the zone says. */
  readonly honest: Packet;
  /** The client's, for UDP. */
  readonly remote: { readonly address: string; readonly port: number };
  /** As it is, but truncated where it does not fit. */
  reply(packet: Packet): void;
  /** Any bytes. */
  send(bytes: Buffer): void;
  /** Closes the connection; nothing over UDP. */
  hangUp(): void;
};

export type DnsServerOptions = {
  readonly zone: Zone;
  readonly ttlSeconds?: number;
  readonly host?: string;
  /** Names whose answers get the AD bit when the query asks for it. Default: none. */
  readonly authentic?: (name: string) => boolean;
  /** Default: the honest answer. */
  readonly handle?: (exchange: Exchange) => void;
};

export type DnsServer = {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
};

const UDP_BYTES_WITHOUT_EDNS = 512;
const EDNS: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};
export const RCODE = { noerror: 0, formerr: 1, servfail: 2, nxdomain: 3, refused: 5 } as const;
const PORT_TRIES = 20;

export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const host = options.host ?? '127.0.0.1';
  const { udp, tcp } = await listen(host);
  const connections = new Set<net.Socket>();
  udp.on('message', (bytes, remote) => {
    const send = (reply: Buffer) => udp.send(reply, remote.port, remote.address, () => undefined); // who left, left
    answer(options, bytes, { transport: 'udp', remote, send, hangUp: () => undefined });
  });
  tcp.on('connection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => undefined); // a client may leave when it likes
    const remote = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const send = (reply: Buffer) => socket.write(framed(reply));
    readFrames(socket, (bytes) =>
      answer(options, bytes, { transport: 'tcp', remote, send, hangUp: () => socket.destroy() }),
    );
  });
  return {
    host,
    port: udp.address().port,
    close: async () => {
      for (const socket of connections) socket.destroy();
      const closed = [once(udp, 'close'), once(tcp, 'close')];
      udp.close();
      tcp.close();
      await Promise.all(closed);
    },
  };
}

/** Both on one port: what the system gave to UDP may be taken for TCP. */
async function listen(host: string): Promise<{ udp: dgram.Socket; tcp: net.Server }> {
  for (let tries = 0; tries < PORT_TRIES; tries++) {
    const udp = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
    udp.bind(0, host);
    await once(udp, 'listening');
    const tcp = net.createServer();
    tcp.listen(udp.address().port, host);
    try {
      await once(tcp, 'listening');
      return { udp, tcp };
    } catch {
      udp.close();
    }
  }
  throw new Error(`no port of ${host} is free for both UDP and TCP`);
}

type Client = Pick<Exchange, 'transport' | 'remote' | 'send' | 'hangUp'>;

function answer(options: DnsServerOptions, bytes: Buffer, client: Client): void {
  let query: DecodedPacket;
  try {
    query = decode(bytes);
  } catch {
    return; // no query, no answer
  }
  const question = query.questions?.[0];
  if (question === undefined || query.type !== 'query') return;
  const name = question.name.toLowerCase();
  const handle = options.handle ?? ((exchange: Exchange) => exchange.reply(exchange.honest));
  handle({
    ...client,
    name,
    type: question.type,
    query,
    honest: honestAnswer(options, query, name, question.type),
    reply: (packet) => client.send(fitted(packet, query, client.transport)),
  });
}

export function replyTo(query: Packet, rcode: number, answers: Answer[] = [], authorities: Answer[] = []): Packet {
  const flags = (query.flags ?? 0) & RECURSION_DESIRED;
  return {
    type: 'response',
    id: query.id ?? 0,
    flags: flags | RECURSION_AVAILABLE | rcode,
    questions: query.questions ?? [],
    answers,
    authorities,
    additionals: query.additionals?.some((extra) => extra.type === 'OPT') ? [EDNS] : [],
  };
}

function fitted(packet: Packet, query: Packet, transport: 'udp' | 'tcp'): Buffer {
  const bytes = encode(packet);
  const opt = query.additionals?.find((extra) => extra.type === 'OPT');
  const bytesMax = opt?.type === 'OPT' ? opt.udpPayloadSize : UDP_BYTES_WITHOUT_EDNS;
  if (transport === 'tcp' || bytes.length <= bytesMax) return bytes;
  return encode({ ...packet, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE, answers: [], authorities: [] });
}

function honestAnswer(options: DnsServerOptions, query: DecodedPacket, name: string, type: RecordType): Packet {
  const { zone, ttlSeconds = 60 } = options;
  const answers: Answer[] = [];
  let owner = name;
  let found = lookUp(zone, owner);
  for (let hops = 0; found?.CNAME !== undefined && type !== 'CNAME' && hops < 16; hops++) {
    answers.push({ type: 'CNAME', name: owner, ttl: ttlSeconds, class: 'IN', data: found.CNAME });
    owner = found.CNAME;
    found = lookUp(zone, owner);
  }
  const records = found === null ? [] : recordsOf(found, owner, type, ttlSeconds);
  answers.push(...records);
  const rcode = found === null ? RCODE.nxdomain : RCODE.noerror;
  const packet = replyTo(query, rcode, answers, records.length === 0 ? [soa(owner, ttlSeconds)] : []);
  const authentic = query.flag_ad && options.authentic?.(name) === true;
  return authentic ? { ...packet, flags: (packet.flags ?? 0) | AUTHENTIC_DATA } : packet;
}

/** Null: the name does not exist. One above an existing name exists, if empty (RFC 8020 §2). */
function lookUp(zone: Zone, name: string): Records | null {
  const exact = zone[name];
  if (exact !== undefined) return exact;
  if (Object.keys(zone).some((other) => other.endsWith(`.${name}`))) return {};
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const wild = zone[`*${name.slice(dot)}`];
    if (wild !== undefined) return wild;
  }
  return null;
}

function recordsOf(records: Records, name: string, type: RecordType, ttl: number): Answer[] {
  const common = { name, ttl, class: 'IN' } as const;
  switch (type) {
    case 'A':
    case 'AAAA':
    case 'PTR':
      return (records[type] ?? []).map((data) => ({ ...common, type, data }));
    case 'CNAME':
      return records.CNAME === undefined ? [] : [{ ...common, type, data: records.CNAME }];
    case 'MX':
      return (records.MX ?? []).map((mx) => ({ ...common, type, data: { ...mx } }));
    case 'TLSA':
      return (records.TLSA ?? []).map((data) => ({ ...common, type, data }));
    case 'TXT':
      return (records.TXT ?? []).map((text) => ({ ...common, type, data: characterStrings(text) }));
    default:
      return [];
  }
}

/** RFC 1035 §3.3: at most 255 bytes each, one at least. */
function characterStrings(text: string): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < text.length; at += 255) parts.push(Buffer.from(text.slice(at, at + 255), 'latin1'));
  return parts;
}

const soa = (name: string, ttl: number): Answer => ({
  type: 'SOA',
  name: name.slice(name.indexOf('.') + 1),
  ttl,
  class: 'IN',
  data: { mname: 'ns.test', rname: 'hostmaster.test', serial: 1, refresh: 60, retry: 60, expire: 60, minimum: ttl },
});

function framed(bytes: Buffer): Buffer {
  const frame = Buffer.alloc(bytes.length + 2);
  frame.writeUInt16BE(bytes.length);
  bytes.copy(frame, 2);
  return frame;
}

/** RFC 1035 §4.2.2. */
function readFrames(socket: net.Socket, onFrame: (bytes: Buffer) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0);
      onFrame(pending.subarray(2, end));
      pending = pending.subarray(end);
    }
  });
}
