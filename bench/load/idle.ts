/**
 * Holds SMTP connections open and does nothing with them: as a forked child it takes the calls of `IdleApi` (child.ts).
 * Each has said EHLO. A loopback address serves 10,000, well below the ports that it has.
 */
import { connect, type Socket } from 'node:net';
import { CHILD_FLAG, serve } from './child.ts';

export type IdleOptions = { readonly host: string; readonly port: number; readonly connections: number };
export type IdleCounts = {
  readonly open: number;
  /** Refused, or ended by the peer, since the beginning. */
  readonly gone: number;
  readonly firstReason: string;
};
export type IdleApi = {
  /** Resolves when all are open and greeted, or have failed. */
  readonly hold: (options: IdleOptions) => Promise<IdleCounts>;
  readonly counts: (nothing: undefined) => IdleCounts;
  /** Says NOOP on every one; how many were answered 250 within five seconds. */
  readonly probe: (nothing: undefined) => Promise<number>;
};

const PER_ADDRESS = 10_000;
/** Connections on their way at once; less than a usual listen backlog. */
const OPENING_MAX = 200;
const PROBE_MS_MAX = 5_000;

const held = new Set<Socket>();
let gone = 0;
let firstReason = '';

const counts = (): IdleCounts => ({ open: held.size, gone, firstReason });

async function hold({ host, port, connections }: IdleOptions): Promise<IdleCounts> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < connections) {
      const localAddress = `127.0.0.${1 + Math.floor(next++ / PER_ADDRESS)}`;
      await open(host, port, localAddress);
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, lane));
  return counts();
}

function open(host: string, port: number, localAddress: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, localAddress });
    const lost = (reason: string): void => {
      if (!held.delete(socket) && reason === '') return;
      gone++;
      firstReason ||= reason || 'closed';
      socket.destroy();
      resolve();
    };
    let lines = '';
    const greeted = (chunk: Buffer): void => {
      lines += chunk.toString('latin1');
      if (/^[45]\d\d /m.test(lines)) lost(lines.trim());
      else if (/^220 /m.test(lines) && !lines.includes('250')) socket.write('EHLO idle.example\r\n');
      else if (/^250 .*\r\n/m.test(lines)) {
        held.add(socket);
        socket.off('data', greeted);
        socket.resume();
        resolve();
      }
    };
    socket.on('data', greeted);
    socket.on('error', (error: NodeJS.ErrnoException) => lost(error.code ?? error.message));
    socket.on('close', () => lost(held.has(socket) ? 'closed' : ''));
  });
}

async function probe(): Promise<number> {
  let answered = 0;
  const one = (socket: Socket): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, PROBE_MS_MAX);
      socket.once('close', done);
      socket.once('data', (chunk: Buffer) => {
        if (chunk.toString('latin1', 0, 3) === '250') answered++;
        socket.off('close', done);
        done();
      });
      socket.write('NOOP\r\n');
    });
  await Promise.all([...held].map(one));
  return answered;
}

if (import.meta.main && process.argv[2] === CHILD_FLAG) serve<IdleApi>({ hold, counts, probe });
