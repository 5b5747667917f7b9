/**
 * One connection to the sink: bytes in, replies out, whatever order the client chooses; the sink trusts its
 * clients and checks only what it needs to keep step. Replies of one chunk leave in one write.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Arrivals } from './arrivals.ts';
import { type Arrived, ContentReader } from './content_reader.ts';
import { type Behaviour, msOf, type Stage } from './sink_behaviour.ts';
import { nowUs } from './stamp.ts';

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
const AUTH = verb('AUTH');
/** What a delay of a stage holds up. The end of data has one of its own, and so has the banner. */
const STAGE_OF: ReadonlyMap<number, Stage> = new Map([
  [EHLO, 'hello'],
  [LHLO, 'hello'],
  [HELO, 'hello'],
  [STAR, 'starttls'],
  [AUTH, 'auth'],
  [MAIL, 'mail'],
  [RCPT, 'rcpt'],
  [DATA, 'data'],
  [BDAT, 'data'],
  [RSET, 'rset'],
  [QUIT, 'quit'],
]);
const NOTHING = Buffer.alloc(0);
/** `Username:` and `Password:`, as clients know them. */
const USER_PROMPT = '334 VXNlcm5hbWU6\r\n';
const PASSWORD_PROMPT = '334 UGFzc3dvcmQ6\r\n';

export class SinkSession {
  readonly #behaviour: Behaviour;
  readonly #arrivals: Arrivals;
  readonly #reader: ContentReader;
  #socket: Socket;
  #mode: 'command' | 'auth' | 'data' | 'bdat' | 'waiting' | 'closing' = 'command';
  #pending: Buffer | undefined;
  #out = '';
  #from = '';
  #to: string[] = [];
  #recipients = 0;
  #open = false;
  #bdatBytesLeft = 0;
  #bdatLast = false;
  /** Prompts of AUTH whose answers are still to come. */
  #prompts: string[] = [];
  #messages = 0;

  constructor(socket: Socket, behaviour: Behaviour, arrivals: Arrivals) {
    this.#socket = socket;
    this.#behaviour = behaviour;
    this.#arrivals = arrivals;
    this.#reader = new ContentReader(behaviour.onMessage === undefined ? 0 : behaviour.messageBytesMax);
    arrivals.connections++;
    arrivals.connectionsOpen++;
    socket.setNoDelay(true);
    socket.on('close', () => {
      arrivals.connectionsOpen--;
    });
    if (behaviour.implicitTls) this.#secure();
    else this.#listen(socket);
    const bannerMs = msOf(behaviour.delays?.connect);
    if (bannerMs === 0) this.#banner();
    else this.#wait(bannerMs, () => this.#banner());
  }

  #banner(): void {
    const { hostname, lmtp, connectionsMax, refuse } = this.#behaviour;
    if (this.#arrivals.connectionsOpen > connectionsMax) this.#refuse(421);
    else {
      const code = refuse.connect.next();
      if (code === 0) this.#reply(`220 ${hostname} ${lmtp ? 'LMTP' : 'ESMTP'} sink\r\n`);
      else this.#refuse(code, true);
    }
    this.#flush();
  }

  /** Reads on when `then` has replied; what comes meanwhile waits. */
  #wait(ms: number, then: () => void): void {
    this.#flush();
    this.#mode = 'waiting';
    this.#socket.pause();
    setTimeout(() => {
      if (this.#socket.destroyed) return;
      this.#mode = 'command';
      this.#socket.resume();
      then();
      this.#flush();
      this.#feed(NOTHING);
    }, ms);
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
        if (this.#behaviour.delays === undefined || !this.#delayed(chunk, at, lf)) this.#command(chunk, at, lf);
        at = lf + 1;
      } else if (this.#mode === 'auth') {
        const lf = chunk.indexOf(10, at);
        if (lf === -1) break;
        this.#prompt();
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
      const line = this.#mode === 'command' || this.#mode === 'auth';
      if (line && chunk.length - at > LINE_BYTES_MAX) this.#close('500 5.5.2 line too long\r\n');
      else this.#pending = chunk.subarray(at);
    }
    this.#flush();
  }

  #flush(): void {
    if (this.#out === '') return;
    this.#socket.write(this.#out, 'latin1');
    this.#out = '';
  }

  #delayed(chunk: Buffer, at: number, lf: number): boolean {
    const stage = STAGE_OF.get(verbOf(chunk, at, lf));
    const ms = stage === undefined ? 0 : msOf(this.#behaviour.delays?.[stage]);
    if (ms === 0) return false;
    this.#wait(ms, () => this.#command(chunk, at, lf));
    return true;
  }

  #command(chunk: Buffer, at: number, lf: number): void {
    const code = verbOf(chunk, at, lf);
    switch (code) {
      case MAIL:
        return this.#mail(chunk, at, lf);
      case RCPT:
        return this.#rcpt(chunk, at, lf);
      case DATA:
        return this.#data();
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
        return this.#hello(code);
      case AUTH:
        return this.#auth(chunk.toString('latin1', at, lf));
      case STAR:
        return this.#startTls();
      default:
        return this.#reply('500 5.5.2 unknown command\r\n');
    }
  }

  #hello(command: number): void {
    const { hostname, lmtp, extensions, messageBytesMax, refuse } = this.#behaviour;
    // RFC 2033 §4.1: one of them speaks LHLO, and nothing else.
    if ((command === LHLO) !== lmtp) return this.#reply(`500 5.5.1 ${lmtp ? 'LHLO' : 'EHLO'} expected\r\n`);
    this.#reset();
    const code = refuse.hello.next();
    if (code !== 0) return this.#refuse(code);
    if (command === HELO) return this.#reply(`250 ${hostname}\r\n`);
    const lines: string[] = [hostname];
    for (const extension of extensions) {
      if (extension === 'STARTTLS' && this.#socket instanceof TLSSocket) continue;
      if (extension === 'SIZE') lines.push(`SIZE ${messageBytesMax}`);
      else lines.push(extension === 'AUTH' ? 'AUTH PLAIN LOGIN' : extension);
    }
    this.#reply(lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join(''));
  }

  #mail(chunk: Buffer, at: number, lf: number): void {
    const code = this.#behaviour.refuse.mail.next();
    if (code !== 0) return this.#refuse(code);
    if (this.#messages >= this.#behaviour.messagesPerConnectionMax) return this.#refuse(421);
    if (this.#behaviour.checksSize && declaredBytes(chunk, at, lf) > this.#behaviour.messageBytesMax)
      return this.#refuse(552);
    this.#reset();
    this.#open = true;
    if (this.#behaviour.onMessage !== undefined) this.#from = pathIn(chunk.toString('utf8', at, lf));
    this.#reply(OK);
  }

  #rcpt(chunk: Buffer, at: number, lf: number): void {
    if (!this.#open) return this.#reply('503 5.5.1 MAIL first\r\n');
    const code = this.#behaviour.refuse.rcpt.next();
    if (code !== 0) return this.#refuse(code);
    if (this.#recipients >= this.#behaviour.recipientsMax) return this.#refuse(452);
    this.#recipients++;
    if (this.#behaviour.onMessage !== undefined) this.#to.push(pathIn(chunk.toString('utf8', at, lf)));
    this.#reply(OK);
  }

  #data(): void {
    if (this.#recipients === 0) return this.#reply('503 5.5.1 no valid recipients\r\n');
    const code = this.#behaviour.refuse.data.next();
    if (code !== 0) return this.#refuse(code);
    this.#mode = 'data';
    this.#reply('354 go ahead\r\n');
  }

  #bdat(line: string): void {
    this.#arrivals.chunks++;
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
    const code = this.#behaviour.refuse.data.next();
    if (code === 0) return this.#reply(OK);
    this.#reader.finish();
    this.#reset();
    this.#refuse(code);
  }

  #endOfData(): void {
    const arrived = this.#reader.finish();
    const receivedUs = nowUs();
    const ms = msOf(this.#behaviour.delays?.end);
    if (ms === 0) return this.#answer(arrived, receivedUs);
    this.#wait(ms, () => this.#answer(arrived, receivedUs));
  }

  #answer(arrived: Arrived, receivedUs: number): void {
    this.#mode = 'command';
    this.#messages++;
    const { lmtp, refuse, onMessage } = this.#behaviour;
    const beyond = this.#beyond(arrived);
    const from = this.#from;
    const accepted: string[] = [];
    let recipients = 0;
    // LMTP answers for each recipient (RFC 2033 §4.2), SMTP once for all.
    const answers = lmtp ? this.#recipients : 1;
    for (let i = 0; i < answers; i++) {
      const code = beyond === 0 ? refuse.end.next() : beyond;
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

  /** The reply for a message that a limit does not let in, or 0. */
  #beyond(arrived: Arrived): number {
    if (arrived.bytes > this.#behaviour.messageBytesMax) return 552;
    return this.#arrivals.messages >= this.#behaviour.messagesMax ? 452 : 0;
  }

  /** Any name and any password are right. */
  #auth(line: string): void {
    const [, mechanism = '', initial] = line.trim().split(/ +/);
    if (!this.#behaviour.extensions.has('AUTH')) return this.#reply('502 5.5.1 no AUTH\r\n');
    const prompts = { PLAIN: ['334 \r\n'], LOGIN: [USER_PROMPT, PASSWORD_PROMPT] }[mechanism.toUpperCase()];
    if (prompts === undefined) return this.#reply('504 5.5.4 PLAIN or LOGIN\r\n');
    this.#prompts = initial === undefined ? prompts : prompts.slice(1);
    this.#prompt();
  }

  #prompt(): void {
    const prompt = this.#prompts.shift();
    this.#mode = prompt === undefined ? 'command' : 'auth';
    if (prompt !== undefined) return this.#reply(prompt);
    const code = this.#behaviour.refuse.auth.next();
    if (code !== 0) return this.#refuse(code);
    this.#arrivals.logins++;
    this.#reply('235 2.7.0 welcome\r\n');
  }

  #startTls(): void {
    if (!this.#behaviour.extensions.has('STARTTLS')) return this.#reply('502 5.5.1 no TLS\r\n');
    const code = this.#behaviour.refuse.starttls.next();
    if (code !== 0) return this.#refuse(code);
    this.#reply('220 2.0.0 go ahead\r\n');
    this.#flush();
    this.#socket.removeAllListeners('data');
    this.#socket.removeAllListeners('end');
    this.#reset();
    this.#secure();
  }

  #secure(): void {
    const { tls } = this.#behaviour;
    if (tls === undefined) return;
    const secure = new TLSSocket(this.#socket, { isServer: true, secureContext: tls });
    secure.once('secure', () => this.#arrivals.secured(secure.isSessionReused()));
    this.#socket = secure;
    this.#listen(secure);
  }

  #refuse(code: number, andClose = false): void {
    this.#arrivals.refused(code);
    const enhanced = `${Math.floor(code / 100)}.0.0`;
    if (code === 421 || andClose) return this.#close(`${code} ${enhanced} by design\r\n`);
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

const verbOf = (chunk: Buffer, at: number, lf: number): number =>
  lf - at < 4 ? 0 : chunk.readInt32BE(at) & VERB_LETTERS;

/** RFC 1870 §4. */
const declaredBytes = (chunk: Buffer, at: number, lf: number): number =>
  Number(/ SIZE=(\d{1,15})\b/i.exec(chunk.toString('latin1', at, lf))?.[1] ?? 0);

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
