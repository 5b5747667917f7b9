/**
 * A socket whose reads all land in one buffer, the same for all such sockets of a thread. Node otherwise allocates
 * 64 KiB for each read and leaves them to the collector, which comes when it likes: with a hundred clients sending at
 * once that was a megabyte for each of them.
 */
import net from 'node:net';

/** Node's own size of a read. One thread reads from one socket at a time. */
const READ_BYTES = 65_536;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

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

/** `hear` gets what is read from any socket. Where it is one of ours, the bytes are there during the call only. */
export function readWith(socket: net.Socket, hear: (bytes: Buffer) => void): void {
  if (socket instanceof InPlaceSocket) socket.hear = hear;
  else socket.on('data', hear);
}

function ignore(): void {}
