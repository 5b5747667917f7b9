/**
 * The last line to a client that is not admitted: said, and then the connection is closed, never silently (RFC 5321
 * §3.8, §4.2.4.2). What the client sends meanwhile is read and dropped, since closing over unread bytes would send a
 * reset that can overtake our line (RFC 1122 §4.2.2.13). How many may linger so, and how long, is bounded.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../config/limits.ts';

export class Refusals {
  readonly #lingering = new Set<Socket>();

  get lingering(): number {
    return this.#lingering.size;
  }

  /** `socket` is paused since accept; nobody else touches it from here on. */
  refuse(socket: Socket, line: string): void {
    socket.on('error', () => {}); // a refused client that resets has what it came for
    if (this.#lingering.size >= LIMITS.refusedSocketsMax) {
      socket.write(line, 'latin1');
      socket.destroySoon();
      return;
    }
    this.#lingering.add(socket);
    const cut = setTimeout(() => socket.destroy(), LIMITS.refusedLingerMs).unref();
    socket.once('close', () => {
      clearTimeout(cut);
      this.#lingering.delete(socket);
    });
    socket.resume();
    socket.end(line, 'latin1');
  }

  destroy(): void {
    for (const socket of this.#lingering) socket.destroy();
  }
}
