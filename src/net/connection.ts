/**
 * One TCP connection, either direction, as its owner wants to see it: bytes in, text and bytes out, one deadline,
 * TLS on demand, and exactly one end. Knows nothing of SMTP.
 *
 *   open ──startTls──► handshaking ──► open ──finish (last words)──► lingering ──► closed
 *     └───────────── peer closes, error, destroy ──────────────────────────────────►┘
 *
 * Back-pressure: `pause` stops reading, so that the peer's TCP window fills; `send` returns a promise while the peer
 * does not take what we write, and whoever gets one must not send on before it resolves.
 *
 * Deadlines are swept twice a second for all connections of a shard by one timer: a timer per connection and command
 * costs more than the command.
 */
import net from 'node:net';
import tls from 'node:tls';
import { assert } from '../base/assert.ts';
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { InPlaceSocket, OutgoingSocket, readWith } from './in_place.ts';

export type CloseReason = 'peer-closed' | 'error' | 'tls-failed' | 'finished' | 'destroyed';

export interface ConnectionHandler {
  /** The chunk is lent: its memory is read into again after the call, so who wants to keep something copies it. */
  onBytes(chunk: Buffer): void;
  /** The deadline has passed; it is off now. */
  onDeadline(): void;
  /** Fewer bytes came than `requireRate` asks for. */
  onSlow(): void;
  /** The handshake is done (RFC 3207 §4). */
  onTls(): void;
  /** Exactly once, and nothing else after it. `detail` is the system's word for it, or ''. */
  onClose(reason: CloseReason, detail: string): void;
}

export interface OpeningHandler extends ConnectionHandler {
  onConnect(): void;
}

const NOBODY: ConnectionHandler = { onBytes() {}, onDeadline() {}, onSlow() {}, onTls() {}, onClose() {} };

export type TlsUpgrade =
  | { readonly role: 'server'; readonly context: tls.SecureContext }
  | { readonly role: 'client'; readonly options: tls.ConnectionOptions };

type Rate = { readonly bytesPerSecondMin: number; bytes: number; sinceMs: number };

export class Connection {
  #socket: net.Socket;
  readonly #deadlines: Deadlines;
  #handler: ConnectionHandler;
  #phase: 'open' | 'handshaking' | 'lingering' | 'closed' = 'open';
  #paused = false;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #rate: Rate | null = null;
  #detail = '';

  /** `socket` is connected or connecting, and nobody has read from it. */
  constructor(socket: net.Socket, deadlines: Deadlines, handler: ConnectionHandler) {
    this.#socket = socket;
    this.#deadlines = deadlines;
    this.#handler = handler;
    this.#attach(socket);
    deadlines.add(this);
  }

  /** Opens a connection to an address, never to a name: names are looked up by our own client (dns.ts). */
  static open(address: string, port: number, deadlines: Deadlines, handler: OpeningHandler): Connection {
    assert(net.isIP(address) !== 0, 'connections are opened to addresses');
    const socket = new OutgoingSocket({ noDelay: true }).connect({ host: address, port });
    socket.once('connect', () => handler.onConnect());
    return new Connection(socket, deadlines, handler);
  }

  /** From now on another owner hears of it. */
  passTo(handler: ConnectionHandler): this {
    assert(this.#phase === 'open', 'an open connection is passed on');
    this.#handler = handler;
    return this;
  }

  /** Opens a connection to a Unix socket. */
  static openPath(path: string, deadlines: Deadlines, handler: OpeningHandler): Connection {
    const socket = new OutgoingSocket().connect({ path });
    socket.once('connect', () => handler.onConnect());
    return new Connection(socket, deadlines, handler);
  }

  get secure(): tls.TLSSocket | null {
    return this.#socket instanceof tls.TLSSocket && this.#phase !== 'handshaking' ? this.#socket : null;
  }

  get open(): boolean {
    return this.#phase === 'open';
  }

  /** Of what was sent, what has not left yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** One char per byte. */
  send(text: string): Promise<void> | undefined {
    if (this.#phase !== 'open') return undefined;
    return this.#socket.write(text, 'latin1') ? undefined : this.#drained();
  }

  sendBytes(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#phase !== 'open') return undefined;
    return this.#socket.write(bytes) ? undefined : this.#drained();
  }

  /**
   * As `sendBytes`, of memory that is lent: a promise while it is still read, which resolves when all of it has left,
   * or never will, and its owner may use it again.
   */
  sendLent(pieces: readonly Uint8Array[]): Promise<void> | undefined {
    const last = pieces.at(-1);
    if (this.#phase !== 'open' || last === undefined) return undefined;
    const socket = this.#socket;
    let onLeft = (): void => {};
    if (pieces.length > 1) socket.cork();
    for (let at = 0; at < pieces.length - 1; at++) socket.write(pieces[at]!);
    // Also where the connection breaks: Node then calls back with the error that `close` tells of.
    socket.write(last, () => onLeft());
    if (pieces.length > 1) socket.uncork();
    if (socket.writableLength === 0) return undefined;
    return new Promise((resolve) => {
      onLeft = resolve;
    });
  }

  /** Nothing more will be sent, and the peer is told so (FIN); what it sends is still read. */
  endOutput(): void {
    if (this.#phase === 'open') this.#socket.end();
  }

  /** What is sent until `uncork` leaves in one system call. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  pause(): void {
    if (this.#paused || this.#phase !== 'open') return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused || this.#phase !== 'open') return;
    this.#paused = false;
    if (this.#rate !== null) this.#rate.sinceMs = monotonicMs();
    this.#socket.resume();
  }

  /** Calls `onDeadline` unless a new one is set within so many seconds, with half a second's grain. 0: never. */
  setDeadline(seconds: number): void {
    this.#deadlineMs = seconds === 0 ? Number.POSITIVE_INFINITY : this.#deadlines.nowMs + seconds * 1000;
  }

  /**
   * From now on fewer bytes per second, averaged over a window, mean `onSlow`. 0: off. Time while paused is not
   * counted.
   */
  requireRate(bytesPerSecondMin: number): void {
    this.#rate = bytesPerSecondMin === 0 ? null : { bytesPerSecondMin, bytes: 0, sinceMs: monotonicMs() };
  }

  /** Nothing read in clear after this reaches the handler. */
  startTls(upgrade: TlsUpgrade): void {
    assert(this.#phase === 'open', 'TLS starts on an open connection');
    this.#phase = 'handshaking';
    this.#paused = false;
    const plain = this.#socket;
    if (plain instanceof InPlaceSocket) plain.hear = () => {};
    else plain.removeAllListeners('data');
    plain.removeAllListeners('close');
    plain.removeAllListeners('drain');
    let secured: tls.TLSSocket;
    if (upgrade.role === 'server') {
      secured = new tls.TLSSocket(plain, { isServer: true, secureContext: upgrade.context });
      secured.once('secure', () => this.#secured());
    } else {
      secured = tls.connect({ ...upgrade.options, socket: plain });
      secured.once('secureConnect', () => this.#secured());
    }
    this.#socket = secured;
    this.#attach(secured);
  }

  /** Says the last words, reads no more, and closes when they have left; at once after a few seconds. */
  finish(text: string): void {
    if (this.#phase === 'closed' || this.#phase === 'lingering') return;
    const talking = this.#phase === 'open';
    this.#phase = 'lingering';
    this.#detail = 'finished';
    this.setDeadline(LIMITS.lingerSeconds);
    // What the peer still sends is read and dropped: closing over unread bytes would send a reset, which can
    // overtake our last line (RFC 1122 §4.2.2.13).
    if (this.#paused) this.#socket.resume();
    if (talking && text !== '') this.#socket.end(text, 'latin1');
    else this.#socket.end();
  }

  destroy(): void {
    if (this.#phase === 'closed') return;
    this.#socket.destroy();
    this.#closed('destroyed', '');
  }

  /** Like `finish`, and the handler hears no more: its owner goes on with another connection. */
  leave(text: string): void {
    this.#handler = NOBODY;
    this.finish(text);
  }

  /** For the sweep only. */
  check(nowMs: number): void {
    if (nowMs >= this.#deadlineMs) {
      this.#deadlineMs = Number.POSITIVE_INFINITY;
      if (this.#phase === 'lingering') {
        this.#socket.destroy();
        this.#closed('finished', '');
      } else this.#handler.onDeadline();
      return;
    }
    const rate = this.#rate;
    if (rate === null || this.#paused || nowMs - rate.sinceMs < LIMITS.rateWindowMs) return;
    const bytesMin = (rate.bytesPerSecondMin * (nowMs - rate.sinceMs)) / 1000;
    const slow = rate.bytes < bytesMin;
    rate.bytes = 0;
    rate.sinceMs = nowMs;
    if (slow) this.#handler.onSlow();
  }

  #attach(socket: net.Socket): void {
    const hear = (chunk: Buffer): void => {
      if (this.#phase !== 'open') return;
      if (this.#rate !== null) this.#rate.bytes += chunk.length;
      this.#handler.onBytes(chunk);
    };
    readWith(socket, hear);
    socket.resume(); // an accepted socket has been paused since (architecture §3.2)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#detail = error.code ?? error.message;
    });
    socket.on('close', () => {
      const handshaking = this.#phase === 'handshaking';
      if (this.#phase === 'lingering') this.#closed('finished', '');
      else if (this.#detail !== '') this.#closed(handshaking ? 'tls-failed' : 'error', this.#detail);
      else this.#closed(handshaking ? 'tls-failed' : 'peer-closed', '');
    });
  }

  #secured(): void {
    if (this.#phase !== 'handshaking') return;
    this.#phase = 'open';
    this.#handler.onTls();
  }

  #drained(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const done = () => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.once('drain', done);
      socket.once('close', done);
    });
  }

  #closed(reason: CloseReason, detail: string): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#deadlines.remove(this);
    this.#handler.onClose(reason, detail);
  }
}

/** The sweep over all connections of a shard. */
export class Deadlines {
  readonly #connections = new Set<Connection>();
  readonly #timer: NodeJS.Timeout;
  /** Monotonic, as of the last sweep or the last connection: good enough for deadlines of seconds. */
  nowMs = monotonicMs();

  constructor() {
    this.#timer = setInterval(() => this.#sweep(), LIMITS.sweepMs);
    this.#timer.unref();
  }

  add(connection: Connection): void {
    this.nowMs = monotonicMs();
    this.#connections.add(connection);
  }

  remove(connection: Connection): void {
    this.#connections.delete(connection);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    this.nowMs = monotonicMs();
    for (const connection of this.#connections) connection.check(this.nowMs);
  }
}
