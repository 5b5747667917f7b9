/**
 * A socket whose reads all land in one buffer, the same for all such sockets of a thread. Node otherwise allocates
 * 64 KiB for each read and leaves them to the collector, which comes when it likes: with a hundred clients sending at
 * once that was a megabyte for each of them.
 */
import { readSync } from 'node:fs';
import net from 'node:net';

/** Node's own size of a read. One thread reads from one socket at a time. */
const READ_BYTES = 65_536;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
/** More than a reply, and an answer of a filter. */
const LAST_WORDS_BYTES = 16_384;
const lastWordsBuffer = Buffer.allocUnsafeSlow(LAST_WORDS_BYTES);

export class InPlaceSocket extends net.Socket {
  /** Takes the place of the event `data`. The bytes are there during the call only. */
  hear: (bytes: Buffer) => void = ignore;

  constructor(options: net.SocketConstructorOpts = {}) {
    const reader: { socket: InPlaceSocket | null } = { socket: null };
    super({
      ...options,
      onread: {
        buffer: readBuffer,
        callback: (count) => {
          reader.socket!.hear(readBuffer.subarray(0, count));
          return true;
        },
      },
    });
    reader.socket = this; // `this` cannot be named before super(), and nothing is read before the event loop goes on
  }
}

/**
 * To a server, which may say why before it hangs up over what we are still sending (552, a size limit). Node lets go of
 * a socket with the first write that fails; what came before that is in the kernel yet.
 */
export class OutgoingSocket extends InPlaceSocket {
  override destroy(error?: Error): this {
    if (error !== undefined && !this.destroyed) this.#hearLastWords();
    return super.destroy(error);
  }

  #hearLastWords(): void {
    const { fd = -1 } = (this as { _handle?: { fd?: number } | null })._handle ?? {};
    if (fd < 0) return;
    try {
      const count = readSync(fd, lastWordsBuffer);
      if (count > 0) this.hear(lastWordsBuffer.subarray(0, count));
    } catch {
      // It has said nothing.
    }
  }
}

/** `hear` gets what is read from any socket. Where it is one of ours, the bytes are there during the call only. */
export function readWith(socket: net.Socket, hear: (bytes: Buffer) => void): void {
  if (socket instanceof InPlaceSocket) socket.hear = hear;
  else socket.on('data', hear);
}

function ignore(): void {}
