/**
 * A client that floods: connects at an even rate, from one address, and keeps as many connections as it is let have. As
 * a forked child it takes the calls of `FloodApi` (child.ts), and can be what is flooded as well: a server that answers
 * 421 and closes, which is what the machine alone has to bear of a flood.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { CHILD_FLAG, serve } from './child.ts';

export type FloodOptions = {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string;
  readonly perSecond: number;
};
export type FloodCounts = {
  readonly connects: number;
  /** First replies, by code. */
  readonly replies: Readonly<Record<string, number>>;
  /** Connections that ended without a reply, by the system's word. */
  readonly lost: Readonly<Record<string, number>>;
};
export type FloodApi = {
  /** Until `stop`. */
  readonly start: (options: FloodOptions) => void;
  readonly stop: (nothing: undefined) => FloodCounts;
  /** The port of a server on loopback that refuses everybody. */
  readonly refuse: (nothing: undefined) => Promise<number>;
};

const TICK_MS = 5;
/** On their way or held: beyond, a connection that is due waits. */
const OPEN_MAX = 5_000;

const sockets = new Set<Socket>();
let timer: NodeJS.Timeout | undefined;
let connects = 0;
let replies: Record<string, number> = {};
let lost: Record<string, number> = {};

const count = (of: Record<string, number>, what: string): void => {
  of[what] = (of[what] ?? 0) + 1;
};

function start({ host, port, localAddress, perSecond }: FloodOptions): void {
  connects = 0;
  replies = {};
  lost = {};
  const startMs = performance.now();
  timer = setInterval(() => {
    const due = ((performance.now() - startMs) / 1000) * perSecond;
    while (connects < due && sockets.size < OPEN_MAX) open(host, port, localAddress);
  }, TICK_MS);
}

function open(host: string, port: number, localAddress: string): void {
  connects++;
  const socket = connect({ host, port, localAddress });
  sockets.add(socket);
  let answered = false;
  socket.on('data', (chunk: Buffer) => {
    if (!answered) count(replies, chunk.toString('latin1', 0, 3));
    answered = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!answered) count(lost, error.code ?? error.message);
    answered = true;
  });
  socket.on('close', () => {
    sockets.delete(socket);
    if (!answered && timer !== undefined) count(lost, 'closed');
  });
}

function stop(): FloodCounts {
  clearInterval(timer);
  timer = undefined;
  for (const socket of sockets) socket.destroy();
  return { connects, replies, lost };
}

function refuse(): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('421 4.7.0 nobody is let in here\r\n');
  });
  return new Promise((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => resolve((server.address() as AddressInfo).port));
  });
}

if (import.meta.main && process.argv[2] === CHILD_FLAG) serve<FloodApi>({ start, stop, refuse });
