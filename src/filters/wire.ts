/**
 * One connection to a filter that is not spoken to by HTTP, as its protocol wants to see it: open, send, read, each a
 * promise that ends with the connection, and never more unread than a little. A broken connection is a FilterFailure.
 */
import type { FilterAddress } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import type { CloseReason, Deadlines, OpeningHandler } from '../net/connection.ts';
import { Connection } from '../net/connection.ts';
import { FilterFailure } from './filter.ts';

/** Few bytes in many pieces are sooner copied together than written as they are. */
const COPIED_BYTES_MAX = 6144;

/** What filters need of the shard that they run in. */
export type FilterNet = {
  readonly deadlines: Deadlines;
  /** The addresses of a host name, best first; none: it cannot be found. Never rejects. */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
};

/** Tries the addresses of a filter in turn. `onOpening` hears of each wire before it is open, so that it can be cut. */
export async function openWire(address: FilterAddress, net: FilterNet, onOpening: (wire: Wire) => void): Promise<Wire> {
  if (address.tag === 'unix') {
    return Wire.opened((handler) => Connection.openPath(address.path, net.deadlines, handler), onOpening);
  }
  const hosts = await net.lookUp(address.host);
  let failure: FilterFailure | null = null;
  for (const host of hosts) {
    try {
      return await Wire.opened((handler) => Connection.open(host, address.port, net.deadlines, handler), onOpening);
    } catch (error) {
      if (!(error instanceof FilterFailure)) throw error;
      failure = error;
    }
  }
  throw failure ?? new FilterFailure('unreachable', `${address.host} has no address`);
}

export class Wire implements OpeningHandler {
  readonly #connection: Connection;
  readonly #opening = Promise.withResolvers<void>();
  #isOpen = false;
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #end: { readonly reason: CloseReason; readonly detail: string } | null = null;
  #reader: (() => void) | null = null;
  #writer: (() => void) | null = null;
  /** Called when it dies or speaks while nobody reads: an idle connection then is of no use. */
  onUnasked: (() => void) | null = null;

  private constructor(open: (handler: OpeningHandler) => Connection) {
    this.#connection = open(this);
  }

  static async opened(open: (handler: OpeningHandler) => Connection, onOpening: (wire: Wire) => void): Promise<Wire> {
    const wire = new Wire(open);
    onOpening(wire);
    await wire.#opening.promise;
    return wire;
  }

  /** It has spoken, or hung up. */
  get heard(): boolean {
    return this.#unread.length > 0 || this.#end !== null;
  }

  /** All that was sent has left: its memory is not read any more. */
  get drained(): boolean {
    return this.#connection.unsentBytes === 0;
  }

  /**
   * A promise: wait before sending on, since not all of it has left. It resolves also when the peer speaks or hangs up,
   * since one that has its answer may read no further.
   */
  send(...pieces: readonly Uint8Array[]): Promise<void> | undefined {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const few = pieces.length > 1 && bytes <= COPIED_BYTES_MAX;
    const left = this.#connection.sendLent(few ? [Buffer.concat(pieces, bytes)] : pieces);
    if (left === undefined || this.heard) return undefined;
    return new Promise((resolve) => {
      this.#writer = resolve;
      left.then(resolve);
    });
  }

  endOutput(): void {
    this.#connection.endOutput();
  }

  /** What has come since, or null where the peer has hung up in peace. One reader at a time. */
  read(): Promise<Buffer | null> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        const end = this.#end;
        if (this.#unread.length > 0) resolve(this.#taken());
        else if (end?.reason === 'peer-closed') resolve(null);
        else reject(new FilterFailure('died', `the connection broke: ${end?.detail || end?.reason}`));
      };
      if (this.heard) settle();
      else this.#reader = settle;
    });
  }

  #taken(): Buffer {
    const bytes = this.#unread.length === 1 ? this.#unread[0]! : Buffer.concat(this.#unread);
    this.#unread = [];
    this.#unreadBytes = 0;
    this.#connection.resume();
    return bytes;
  }

  /** Says the last words and closes. */
  leave(words: Uint8Array | null = null): void {
    if (words !== null) this.#connection.sendBytes(words);
    this.#connection.finish('');
  }

  cut(): void {
    this.#connection.destroy();
  }

  /** Closes itself after a while, unless it is in use again. */
  idle(seconds: number): void {
    this.#connection.setDeadline(seconds);
  }

  onConnect(): void {
    this.#isOpen = true;
    this.#opening.resolve();
  }

  onBytes(chunk: Buffer): void {
    this.#unread.push(Buffer.from(chunk));
    this.#unreadBytes += chunk.length;
    if (this.#unreadBytes > LIMITS.filterBehindBytes) this.#connection.pause();
    this.#wake();
  }

  onDeadline(): void {
    this.cut();
  }

  onSlow(): void {}

  onTls(): void {}

  onClose(reason: CloseReason, detail: string): void {
    this.#end = { reason, detail };
    if (!this.#isOpen) this.#opening.reject(new FilterFailure('unreachable', detail === '' ? reason : detail));
    this.#wake();
  }

  #wake(): void {
    const reader = this.#reader;
    this.#reader = null;
    reader?.();
    this.#writer?.();
    this.#writer = null;
    if (reader === null) this.onUnasked?.();
  }
}
