/** What tests of filters share: a message's envelope, a filter in its surroundings, and peers that follow a script. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import net from 'node:net';
import { join } from 'node:path';
import type { FilterConfig } from '../../src/config/filters.ts';
import { filterSchema } from '../../src/config/filters.ts';
import { ContentPieces, PiecePools } from '../../src/filters/content_pieces.ts';
import { createFilter } from '../../src/filters/create.ts';
import type { Examination, Filter, FilterEnd, FilteredEnvelope, Findings, Word } from '../../src/filters/filter.ts';
import { Deadlines } from '../../src/net/connection.ts';
import type { Timers } from '../../src/net/dns_exchange.ts';
import { temporaryFolder } from './folders.ts';

export const ENVELOPE: FilteredEnvelope = {
  side: 'outside',
  id: 'mib3k2x9-a1b2c3-00-0001',
  hostname: 'mx.postern.test',
  client: { address: '192.0.2.7', port: 40_001, name: 'client.example', pointer: 'client.example' },
  helo: 'client.example',
  extended: true,
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', bits: 256 },
  user: null,
  sender: 'alice@client.example',
  recipients: ['bob@postern.test', 'carol@postern.test'],
  smtpUtf8: false,
};

export const MESSAGE = [
  'Subject: a test',
  'From: Alice <alice@client.example>',
  'To: bob@postern.test',
  'X-Folded: one',
  '\ttwo',
  '',
  'A line.',
  '.a dot',
  '',
].join('\r\n');

const CLOCK: Timers = {
  nowMs: () => performance.now(),
  after: (ms, action) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

export const deadlines = new Deadlines();

export type Harness = {
  readonly filter: Filter;
  readonly ends: FilterEnd[];
  /** Each change of the breaker: true for open. */
  readonly breaker: boolean[];
};

/** `row` as it would stand in the policy file, but for its name. */
export function startFilter(row: Record<string, unknown>, timers: Timers = CLOCK): Harness {
  const config: FilterConfig = filterSchema.parse({ name: 'under-test', ...row });
  const ends: FilterEnd[] = [];
  const breaker: boolean[] = [];
  const filter = createFilter(config, {
    deadlines,
    timers,
    lookUp: async (host) => (net.isIP(host) === 0 ? [] : [host]),
    hooks: { ended: (end) => ends.push(end), breaker: (_filter, open) => breaker.push(open) },
  });
  return { filter, ends, breaker };
}

/** As the session does it; `told` hears the word on each recipient. */
async function begun(
  filter: Filter,
  envelope: FilteredEnvelope,
  told: (address: string, word: Word) => void,
): Promise<Examination> {
  if (!filter.early) return filter.begin(envelope);
  const examination = filter.begin({ ...envelope, recipients: [] });
  if ((await examination.sender()) !== null) return examination;
  for (const address of envelope.recipients) told(address, await examination.recipient(address));
  return examination;
}

/** Waits where the filter asks for it. */
export async function examine(
  filter: Filter,
  content: string | Buffer = MESSAGE,
  envelope: FilteredEnvelope = ENVELOPE,
  pieceBytes = 65_536,
  told: (address: string, word: Word) => void = () => undefined,
): Promise<Findings> {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  const examination = await begun(filter, envelope, told);
  const pieces = new ContentPieces(POOLS);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    let wait: Promise<void> | undefined;
    pieces.write(bytes, at, Math.min(at + pieceBytes, bytes.length), (piece, from, to) => {
      wait = examination.write(piece, from, to);
    });
    await wait;
    spoil();
  }
  pieces.end();
  const findings = await examination.end();
  spoil();
  return findings;
}

const POOLS = new PiecePools();

/** Whoever still reads from memory that has come back sees it. */
function spoil(): void {
  for (const pool of [POOLS.first, POOLS.further]) {
    const memory = pool.take();
    memory.fill('!');
    pool.give(memory);
  }
}

export type Peer = {
  readonly port: number;
  /** As `at` of a filter. */
  readonly at: string;
  /** Connections so far. */
  readonly connections: readonly Socket[];
  close(): Promise<void>;
};

/** Everything that connects gets the script, over TCP or a Unix socket. */
export async function startPeer(script: (socket: Socket, number: number) => void, kind = 'tcp'): Promise<Peer> {
  const connections: Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    connections.push(socket);
    script(socket, connections.length);
  });
  const path = kind === 'unix' ? join(temporaryFolder('peer'), 'socket') : null;
  if (path === null) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    at: path === null ? `tcp://127.0.0.1:${port}` : `unix:${path}`,
    connections,
    close: async () => {
      for (const socket of connections) socket.destroy();
      server.close();
      await once(server, 'close');
      if (path !== null) rmSync(path, { force: true });
    },
  };
}

/** Writes byte by byte, each in a turn of its own. */
export async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
