/**
 * Filters that accept every message at once, each by its own reading of its protocol: a milter (version 6, which
 * answers every step, as libmilter does unless told otherwise), Postern's HTTP hook, clamd. What each of them was shown
 * goes to a `Reading`, byte by byte as it came to the relay.
 */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';

export type Reading = {
  bytes(chunk: Buffer): void;
  /** The message is all there. */
  end(): void;
};
export type NewReading = () => Reading;

export const SERVERS: Readonly<Record<'milter' | 'clamd' | 'http', (reading: NewReading) => Server>> = {
  milter: (reading) => createServer({ noDelay: true }, (socket) => milter(socket, reading)),
  clamd: (reading) => createServer({ noDelay: true }, (socket) => clamd(socket, reading)),
  http: (reading) => createHttpServer((request, response) => hook(request, response, reading)),
};

/** Calls `take` with all bytes so far that were not taken; it returns how many it takes, 0: too few yet. */
function inPieces(socket: Socket, take: (bytes: Buffer) => number): void {
  let left: Buffer = Buffer.alloc(0);
  socket.on('error', () => undefined); // the relay may leave when it likes
  socket.on('data', (chunk: Buffer) => {
    left = left.length === 0 ? chunk : Buffer.concat([left, chunk]);
    for (let taken = take(left); taken > 0 && left.length > 0; taken = left.length > 0 ? take(left) : 0)
      left = left.subarray(taken);
  });
}

/** Version, actions: none; steps: field values with the blank behind their colon (SMFIP_HDR_LEADSPC). */
const NEGOTIATED = Buffer.from('0000000d4f000000060000000000100000', 'hex');
const CONTINUE = Buffer.from('0000000163', 'hex');
/** Macros, abort, quit and a new connection on the same socket have no answer. */
const UNANSWERED = 'DAQK';
const END_OF_HEADERS = Buffer.from('\r\n');

function milter(socket: Socket, newReading: NewReading): void {
  let reading = newReading();
  inPieces(socket, (bytes) => {
    if (bytes.length < 5 || bytes.length < 4 + bytes.readUInt32BE(0)) return 0;
    const end = 4 + bytes.readUInt32BE(0);
    const command = String.fromCharCode(bytes[4]!);
    if (command === 'L') reading.bytes(fieldOf(bytes.toString('latin1', 5, end)));
    else if (command === 'N') reading.bytes(END_OF_HEADERS);
    else if (command === 'B') reading.bytes(bytes.subarray(5, end));
    else if (command === 'E') {
      reading.end();
      reading = newReading();
    }
    if (!UNANSWERED.includes(command)) socket.write(command === 'O' ? NEGOTIATED : CONTINUE);
    return end;
  });
}

/** Name and value, each with its NUL; folds are LF alone. */
function fieldOf(texts: string): Buffer {
  const [name = '', value = ''] = texts.split('\0');
  return Buffer.from(`${name}:${value.replaceAll('\n', '\r\n')}\r\n`, 'latin1');
}

const INSTREAM = Buffer.from('zINSTREAM\0');
const IDSESSION = Buffer.from('zIDSESSION\0');

/** In a session it goes on, and its answers are numbered. */
function clamd(socket: Socket, newReading: NewReading): void {
  let reading: Reading | null = null;
  let session = false;
  let commands = 0;
  const begins = (bytes: Buffer, command: Buffer): boolean => bytes.subarray(0, command.length).equals(command);
  inPieces(socket, (bytes) => {
    if (reading === null) {
      if (bytes.indexOf(0) === -1) return 0;
      if (!session && begins(bytes, IDSESSION)) {
        session = true;
        return IDSESSION.length;
      }
      if (!begins(bytes, INSTREAM)) socket.destroy();
      reading = newReading();
      commands++;
      return INSTREAM.length;
    }
    if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) return 0;
    const end = 4 + bytes.readUInt32BE(0);
    if (end > 4) reading.bytes(bytes.subarray(4, end));
    else {
      reading.end();
      reading = null;
      if (session) socket.write(`${commands}: stream: OK\0`);
      else socket.end('stream: OK\0');
    }
    return end;
  });
}

const PART = Buffer.from('name="message"');
const PART_BEGINS = Buffer.from('\r\n\r\n');

/** multipart/form-data, the message in its last part: between a head and the last boundary it is as it came. */
function hook(request: IncomingMessage, response: ServerResponse, newReading: NewReading): void {
  const reading = newReading();
  const boundary = /boundary=(\S+)/.exec(request.headers['content-type'] ?? '')?.[1] ?? '';
  const behind = Buffer.byteLength(`\r\n--${boundary}--\r\n`);
  let begun = false;
  let held: Buffer = Buffer.alloc(0);
  request.on('error', () => undefined); // the relay may leave when it likes
  request.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    if (!begun) {
      const part = held.indexOf(PART);
      const at = part === -1 ? -1 : held.indexOf(PART_BEGINS, part);
      if (at === -1) return;
      held = held.subarray(at + PART_BEGINS.length);
      begun = true;
    }
    if (held.length <= behind) return;
    reading.bytes(held.subarray(0, held.length - behind));
    held = held.subarray(held.length - behind);
  });
  request.on('end', () => {
    reading.end();
    response.writeHead(204).end();
  });
}
