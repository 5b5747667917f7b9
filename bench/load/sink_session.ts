/**
 * One connection to the sink: bytes in, replies out, whatever order the client chooses; the sink trusts its
 * clients and checks only what it needs to keep step. Replies of one chunk leave in one write.
 */
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Arrivals } from './arrivals.ts';
import { type Arrived, ContentReader } from './content_reader.ts';
import { nowUs } from './stamp.ts';

export type Extension =
  | 'PIPELINING'
  | 'SIZE'
  | '8BITMIME'
  | 'SMTPUTF8'
  | 'CHUNKING'
  | 'DSN'
  | 'ENHANCEDSTATUSCODES'
  | 'STARTTLS';

/** Refuses the given share (0 to 1) of what it is asked, evenly spread. */
export type Refusal = { readonly code: number; readonly share: number };

export type Delivered = Arrived & { readonly from: string; readonly to: readonly string[]; readonly content: Buffer };

export type Behaviour = {
  readonly hostname: string;
  readonly lmtp: boolean;
  readonly extensions: ReadonlySet<Extension>;
  readonly messageBytesMax: number;
  /** Waits so long before the reply to the end of data. */
  readonly endDelayMs: number;
  readonly refuseMail: Turns;
  readonly refuseRcpt: Turns;
  readonly refuseEnd: Turns;
  readonly tls: SecureContext | undefined;
  /** Where set, each message's envelope and content are kept until they are handed over here. */
  readonly onMessage: ((message: Delivered) => void) | undefined;
};

/** Which of a row of requests are refused; shared by all sessions of a sink. */
export class Turns {
  readonly #refusal: Refusal | undefined;
  #due = 0;

  constructor(refusal: Refusal | undefined) {
    this.#refusal = refusal;
  }

  /** The code to refuse with, or 0. */
  next(): number {
    if (this.#refusal === undefined) return 0;
    this.#due += this.#refusal.share;
    if (this.#due < 0.999_999) return 0;
    this.#due -= 1;
    return this.#refusal.code;
  }
}

const LINE_BYTES_MAX = 65_536;
const OK = '250 2.0.0 ok\r\n';
const VERB_LETTERS = 0xdfdfdfdf; // clears the bit that makes ASCII letters small
const verb = (text: string): number => Buffer.from(text).readInt32BE() & VERB_LETTERS;
const EHLO = verb('EHLO');
const LHLO = verb('LHLO');
const HELO = verb('HELO');
const MAIL = verb('MAIL');
const RCPT = verb('RCPT');
const DATA = verb('DATA');
const BDAT = verb('BDAT');
const RSET = verb('RSET');
const NOOP = verb('NOOP');
const QUIT = verb('QUIT');
const STAR = verb('STAR');

export class SinkSession {
  readonly #behaviour: Behaviour;
  readonly #arrivals: Arrivals;
  readonly #reader: ContentReader;
  #socket: Socket;
  #mode: 'command' | 'data' | 'bdat' | 'waiting' | 'closing' = 'command';
  #pending: Buffer | undefined;
  #out = '';
  #from = '';
  #to: string[] = [];
  #recipients = 0;
  #open = false;
  #bdatBytesLeft = 0;
  #bdatLast = false;

  constructor(socket: Socket, behaviour: Behaviour, arrivals: Arrivals) {
    this.#socket = socket;
    this.#behaviour = behaviour;
    this.#arrivals = arrivals;
    this.#reader = new ContentReader(behaviour.onMessage !== undefined);
    arrivals.connections++;
    arrivals.connectionsOpen++;
    socket.setNoDelay(true);
    socket.on('close', () => {
      arrivals.connectionsOpen--;
    });
    this.#listen(socket);
    socket.write(`220 ${behaviour.hostname} ${behaviour.lmtp ? 'LMTP' : 'ESMTP'} sink\r\n`, 'latin1');
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => this.#feed(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
  }

  #feed(fresh: Buffer): void {
    const chunk = this.#pending === undefined ? fresh : Buffer.concat([this.#pending, fresh]);
    this.#pending = undefined;
    let at = 0;
    while (at < chunk.length) {
      if (this.#mode === 'command') {
        const lf = chunk.indexOf(10, at);
        if (lf === -1) break;
        this.#command(chunk, at, lf);
        at = lf + 1;
      } else if (this.#mode === 'data') {
        const end = this.#reader.data(chunk, at);
        at = end === -1 ? chunk.length : end;
        if (end !== -1) this.#endOfData();
      } else if (this.#mode === 'bdat') {
        const to = Math.min(chunk.length, at + this.#bdatBytesLeft);
        this.#reader.bdat(chunk, at, to);
        this.#bdatBytesLeft -= to - at;
        at = to;
        if (this.#bdatBytesLeft === 0) this.#endOfChunk();
      } else break;
    }
    if (at < chunk.length && this.#mode !== 'closing') {
      if (this.#mode === 'command' && chunk.length - at > LINE_BYTES_MAX) this.#close('500 5.5.2 line too long\r\n');
      else this.#pending = chunk.subarray(at);
    }
    this.#flush();
  }

  #flush(): void {
    if (this.#out === '') return;
    this.#socket.write(this.#out, 'latin1');
    this.#out = '';
  }

  #command(chunk: Buffer, at: number, lf: number): void {
    const code = lf - at < 4 ? 0 : chunk.readInt32BE(at) & VERB_LETTERS;
    switch (code) {
      case MAIL:
        return this.#mail(chunk, at, lf);
      case RCPT:
        return this.#rcpt(chunk, at, lf);
      case DATA:
        if (this.#recipients === 0) return this.#reply('503 5.5.1 no valid recipients\r\n');
        this.#mode = 'data';
        return this.#reply('354 go ahead\r\n');
      case BDAT:
        return this.#bdat(chunk.toString('latin1', at, lf));
      case RSET:
        this.#reset();
        return this.#reply(OK);
      case NOOP:
        return this.#reply(OK);
      case QUIT:
        return this.#close('221 2.0.0 bye\r\n');
      case EHLO:
      case LHLO:
      case HELO:
        this.#reset();
        return this.#hello(code === HELO);
      case STAR:
        return this.#startTls();
      default:
        return this.#reply('500 5.5.2 unknown command\r\n');
    }
  }

  #hello(plain: boolean): void {
    const { hostname, extensions, messageBytesMax } = this.#behaviour;
    if (plain) return this.#reply(`250 ${hostname}\r\n`);
    const lines: string[] = [hostname];
    for (const extension of extensions) {
      if (extension === 'STARTTLS' && this.#socket instanceof TLSSocket) continue;
      lines.push(extension === 'SIZE' ? `SIZE ${messageBytesMax}` : extension);
    }
    this.#reply(lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join(''));
  }

  #mail(chunk: Buffer, at: number, lf: number): void {
    const code = this.#behaviour.refuseMail.next();
    if (code !== 0) return this.#refuse(code);
    this.#reset();
    this.#open = true;
    if (this.#behaviour.onMessage !== undefined) this.#from = pathIn(chunk.toString('utf8', at, lf));
    this.#reply(OK);
  }

  #rcpt(chunk: Buffer, at: number, lf: number): void {
    if (!this.#open) return this.#reply('503 5.5.1 MAIL first\r\n');
    const code = this.#behaviour.refuseRcpt.next();
    if (code !== 0) return this.#refuse(code);
    this.#recipients++;
    if (this.#behaviour.onMessage !== undefined) this.#to.push(pathIn(chunk.toString('utf8', at, lf)));
    this.#reply(OK);
  }

  #bdat(line: string): void {
    const words = line.trim().split(/ +/);
    const bytes = Number(words[1]);
    if (!Number.isSafeInteger(bytes)) return this.#close('501 5.5.4 no chunk size\r\n');
    this.#bdatBytesLeft = bytes;
    this.#bdatLast = words[2]?.toUpperCase() === 'LAST';
    this.#mode = 'bdat';
    if (bytes === 0) this.#endOfChunk();
  }

  #endOfChunk(): void {
    this.#mode = 'command';
    if (this.#recipients === 0) {
      this.#reader.finish();
      return this.#reply('503 5.5.1 no valid recipients\r\n');
    }
    if (this.#bdatLast) return this.#endOfData();
    this.#reply(OK);
  }

  #endOfData(): void {
    const arrived = this.#reader.finish();
    const receivedUs = nowUs();
    if (this.#behaviour.endDelayMs === 0) return this.#answer(arrived, receivedUs);
    this.#mode = 'waiting';
    setTimeout(() => {
      this.#answer(arrived, receivedUs);
      this.#flush();
      this.#feed(Buffer.alloc(0));
    }, this.#behaviour.endDelayMs);
  }

  #answer(arrived: Arrived, receivedUs: number): void {
    this.#mode = 'command';
    const { lmtp, refuseEnd, onMessage } = this.#behaviour;
    const from = this.#from;
    const accepted: string[] = [];
    let recipients = 0;
    // LMTP answers for each recipient (RFC 2033 §4.2), SMTP once for all.
    const answers = lmtp ? this.#recipients : 1;
    for (let i = 0; i < answers; i++) {
      const code = refuseEnd.next();
      if (code !== 0) {
        this.#refuse(code);
        continue;
      }
      recipients += lmtp ? 1 : this.#recipients;
      accepted.push(...(lmtp ? this.#to.slice(i, i + 1) : this.#to));
      this.#reply(OK);
    }
    this.#reset();
    if (recipients === 0) return;
    this.#arrivals.accepted(arrived, recipients, receivedUs);
    if (onMessage !== undefined && arrived.content !== undefined) {
      onMessage({ ...arrived, content: arrived.content, from, to: accepted });
    }
  }

  #startTls(): void {
    const context = this.#behaviour.tls;
    if (context === undefined || !this.#behaviour.extensions.has('STARTTLS'))
      return this.#reply('502 5.5.1 no TLS\r\n');
    const plain = this.#socket;
    this.#reply('220 2.0.0 go ahead\r\n');
    this.#flush();
    plain.removeAllListeners('data');
    plain.removeAllListeners('end');
    const secure = new TLSSocket(plain, { isServer: true, secureContext: context });
    this.#socket = secure;
    this.#reset();
    this.#listen(secure);
  }

  #refuse(code: number): void {
    this.#arrivals.refused(code);
    const enhanced = `${Math.floor(code / 100)}.0.0`;
    if (code === 421) return this.#close(`421 ${enhanced} by design\r\n`);
    this.#reply(`${code} ${enhanced} by design\r\n`);
  }

  #reply(text: string): void {
    this.#out += text;
  }

  #close(text: string): void {
    this.#mode = 'closing';
    this.#out += text;
    this.#flush();
    this.#socket.end();
  }

  #reset(): void {
    this.#from = '';
    this.#open = false;
    if (this.#recipients === 0) return;
    this.#to = [];
    this.#recipients = 0;
  }
}

/** The address between the angle brackets; a `>` inside quotes is part of it. */
function pathIn(line: string): string {
  const start = line.indexOf('<') + 1;
  let quoted = false;
  for (let i = start; i < line.length; i++) {
    if (line[i] === '\\') i++;
    else if (line[i] === '"') quoted = !quoted;
    else if (line[i] === '>' && !quoted) return line.slice(start, i);
  }
  return line.slice(start).trim();
}
