/**
 * What comes before a connection can carry mail, from its first packet on:
 *
 *   connect ─► [tls] ─► banner ─► hello ─► [starttls ─► tls ─► hello] ─► [auth ─► [user ─► password]] ─► ready
 *
 * The lane owns the socket and reads its lines; this says what is sent, and tells how long each step took.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';

export type Credentials = {
  readonly mechanism: 'PLAIN' | 'LOGIN';
  readonly user: string;
  readonly password: string;
};

export type OpeningSettings = {
  readonly host: string;
  readonly port: number;
  readonly localAddresses: readonly string[];
  readonly hello: string;
  readonly lmtp: boolean;
  /** One for all connections, or undefined: plain. Certificates are not checked: it is the load that matters. */
  readonly tls: { readonly context: SecureContext; readonly implicit: boolean; readonly resume: boolean } | undefined;
  readonly auth: Credentials | undefined;
};

export type OpeningPhase = 'connect' | 'tls' | 'banner' | 'hello' | 'auth';

/** What the peer offered after the last EHLO. */
export type Offers = { readonly pipelining: boolean; readonly chunking: boolean };

/** The lane, as its opening sees it. */
export interface Opened {
  /** From now on this is the connection; `reads` where it is to listen for data itself. */
  adopt(socket: Socket, reads: boolean): void;
  /** What was read, good until this returns; a connection of before may still talk. */
  feed(from: Socket, chunk: Buffer): void;
  write(bytes: Buffer): void;
  phase(phase: OpeningPhase): void;
  /** The session can be taken up by the lane's next connection. */
  ticket(session: Buffer): void;
  secured(resumed: boolean): void;
  ready(offers: Offers): void;
  ended(reason: string): void;
}

type State = 'connect' | 'tls' | 'banner' | 'hello' | 'starttls' | 'auth' | 'user' | 'password';

const INTO = Buffer.allocUnsafeSlow(65_536);
const STARTTLS_LINE = Buffer.from('STARTTLS\r\n');

export class Opening {
  readonly #settings: OpeningSettings;
  readonly #lane: Opened;
  readonly #ticket: Buffer | undefined;
  readonly #socket: Socket;
  #state: State = 'connect';
  #secure: boolean;
  #pipelining = false;
  #chunking = false;

  constructor(settings: OpeningSettings, localAddress: string | undefined, ticket: Buffer | undefined, lane: Opened) {
    const { host, port, tls } = settings;
    this.#settings = settings;
    this.#lane = lane;
    this.#ticket = ticket;
    this.#secure = tls === undefined;
    // Into one buffer that all lanes share: a buffer for each read costs as much as the rest of it. Not under TLS,
    // which takes the socket over.
    const onread = {
      buffer: INTO,
      callback: (bytes: number): boolean => {
        lane.feed(socket, INTO.subarray(0, bytes));
        return true;
      },
    };
    const socket: Socket = connect({
      host,
      port,
      noDelay: true,
      ...(localAddress !== undefined && { localAddress }),
      ...(tls === undefined && { onread }),
    });
    this.#socket = socket;
    socket.once('connect', () => {
      if (socket.destroyed) return;
      lane.phase('connect');
      if (tls?.implicit === true) this.#startTls();
      else this.#state = 'banner';
    });
    lane.adopt(socket, tls !== undefined);
  }

  /** A line of a reply; `last` where none follows it. */
  line(code: number, last: boolean, text: () => string): void {
    if (this.#state === 'hello') this.#offer(text().trim().toUpperCase());
    if (last) this.#reply(code);
  }

  #offer(extension: string): void {
    if (extension === 'PIPELINING') this.#pipelining = true;
    else if (extension === 'CHUNKING') this.#chunking = true;
  }

  #reply(code: number): void {
    const state = this.#state;
    switch (state) {
      case 'banner':
        return this.#expect(code, 220, state, () => this.#hello());
      case 'hello':
        return this.#expect(code, 250, state, () => this.#greeted());
      case 'starttls':
        return this.#expect(code, 220, undefined, () => this.#startTls());
      case 'auth':
        if (code === 334 && this.#settings.auth?.mechanism === 'LOGIN') return this.#say('user', this.#user());
        return this.#expect(code, 235, state, () => this.#ready());
      case 'user':
        return this.#expect(code, 334, undefined, () => this.#say('password', this.#password()));
      case 'password':
        return this.#expect(code, 235, 'auth', () => this.#ready());
      default:
        return this.#lane.ended(`${code} in ${state}`);
    }
  }

  #expect(code: number, wanted: number, phase: OpeningPhase | undefined, then: () => void): void {
    if (code !== wanted) return this.#lane.ended(`${code}`);
    if (phase !== undefined) this.#lane.phase(phase);
    then();
  }

  #hello(): void {
    this.#pipelining = false;
    this.#chunking = false;
    this.#say('hello', `${this.#settings.lmtp ? 'LHLO' : 'EHLO'} ${this.#settings.hello}`);
  }

  #greeted(): void {
    if (!this.#secure) {
      this.#state = 'starttls';
      return this.#lane.write(STARTTLS_LINE);
    }
    const { auth } = this.#settings;
    if (auth === undefined) return this.#ready();
    if (auth.mechanism === 'LOGIN') return this.#say('auth', 'AUTH LOGIN');
    const initial = Buffer.from(`\0${auth.user}\0${auth.password}`).toString('base64'); // RFC 4616 §2
    this.#say('auth', `AUTH PLAIN ${initial}`);
  }

  #user = (): string => Buffer.from(this.#settings.auth?.user ?? '').toString('base64');
  #password = (): string => Buffer.from(this.#settings.auth?.password ?? '').toString('base64');

  #ready(): void {
    this.#lane.ready({ pipelining: this.#pipelining, chunking: this.#chunking });
  }

  #say(state: State, text: string): void {
    this.#state = state;
    this.#lane.write(Buffer.from(`${text}\r\n`));
  }

  #startTls(): void {
    const { tls, host } = this.#settings;
    if (tls === undefined) return;
    const plain = this.#socket;
    plain.removeAllListeners('data');
    this.#state = 'tls';
    this.#secure = true;
    const secure: TLSSocket = connectTls({
      socket: plain,
      secureContext: tls.context,
      rejectUnauthorized: false,
      ...(/[a-z]/i.test(host) && !host.includes(':') && { servername: host }),
      ...(tls.resume && this.#ticket !== undefined && { session: this.#ticket }),
    });
    secure.once('secureConnect', () => {
      if (secure.destroyed) return;
      this.#lane.phase('tls');
      this.#lane.secured(secure.isSessionReused());
      if (tls.implicit) this.#state = 'banner';
      else this.#hello();
    });
    if (tls.resume) secure.on('session', (session: Buffer) => this.#lane.ticket(session));
    this.#lane.adopt(secure, true);
  }
}
