/**
 * One question to one server, over UDP or TCP: bytes out, bytes or the reason for none in. Nothing here rejects.
 *
 * Each UDP question has a socket of its own. The kernel then gives every question a port that nobody can guess, which
 * with the id makes some 2^31 forgeries for a chance of one half (RFC 5452 §10); and a connected socket lets nothing
 * through but what bears the server's address. It costs some 50 µs, and the cache keeps it off the usual path. What
 * arrives and is not an answer to our question is dropped and the wait goes on: a forger must not be able to end it.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import type { HostPort } from '../config/options.ts';
import { isReplyTo } from './dns_message.ts';

/** Monotonic milliseconds, and a timer that the returned function stops. */
export type Timers = {
  readonly nowMs: () => number;
  readonly after: (ms: number, action: () => void) => () => void;
};

export type NoReply = 'timeout' | 'unreachable' | 'malformed';

/** Servers are addresses: nothing is looked up on the way to them. */
type Lookup = (
  host: string,
  options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
) => void;
const literal: Lookup = (host, _options, done) => done(null, host, net.isIP(host));

/** Resolves with the first datagram of the server that answers `query`. */
export function askUdp(server: HostPort, query: Buffer, waitMs: number, timers: Timers): Promise<Buffer | NoReply> {
  return new Promise((resolve) => {
    const type = net.isIPv6(server.host) ? 'udp6' : 'udp4';
    const socket = dgram.createSocket({ type, lookup: literal as never });
    let open = true;
    const finish = (reply: Buffer | NoReply) => {
      if (!open) return;
      open = false;
      stop();
      socket.close();
      resolve(reply);
    };
    const stop = timers.after(waitMs, () => finish('timeout'));
    socket.on('error', () => finish('unreachable')); // ICMP: nobody listens there, or there is no way
    socket.on('message', (datagram) => {
      if (isReplyTo(query, datagram)) finish(datagram);
    });
    socket.on('connect', () => {
      if (open) socket.send(query, (error) => error !== null && finish('unreachable'));
    });
    socket.connect(server.port, server.host);
  });
}

/** A connection per question, each message behind its length in two bytes (RFC 1035 §4.2.2): at most 64 KiB. */
export function askTcp(server: HostPort, query: Buffer, waitMs: number, timers: Timers): Promise<Buffer | NoReply> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: server.host, port: server.port, lookup: literal as never });
    const chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (reply: Buffer | NoReply) => {
      stop();
      socket.destroy();
      resolve(reply); // the first counts
    };
    const stop = timers.after(waitMs, () => finish('timeout'));
    socket.on('error', () => finish('unreachable'));
    socket.on('end', () => finish('malformed')); // in mid-message
    socket.on('connect', () => socket.write(Buffer.concat([lengthOf(query), query]))); // one segment (RFC 7766 §8)
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes < 2) return;
      const stream = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      chunks.splice(0, chunks.length, stream);
      const length = stream.readUInt16BE(0);
      if (bytes >= length + 2) finish(stream.subarray(2, length + 2));
    });
  });
}

function lengthOf(query: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  return length;
}
