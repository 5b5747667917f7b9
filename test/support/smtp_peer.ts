/**
 * A server on the other side of Postern, inside or out: it plays SMTP or LMTP, keeps every message byte for byte, and
 * says
 * what a script tells it to instead of the honest reply. Its reading of content is its own, not Postern's.
 *
 *   command ─► script says something? ─► that, or hang up
 *                └ no ─► the honest reply
 */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { Changes } from './deadline.ts';

export type Received = {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** MAIL and RCPT as they came. */
  readonly commands: readonly string[];
  /** Dots unstuffed, one char per byte. */
  readonly content: string;
  /** As on the wire: with its stuffing, without the end of data; of BDAT its octets. */
  readonly wire: string;
  readonly by: 'DATA' | 'BDAT';
  readonly tls: boolean;
  /** Of the connection; the first one is 0. */
  readonly connection: number;
  readonly user: string;
};

export const HANG_UP = Symbol('the connection is closed in place of a reply');
type Answer = string | typeof HANG_UP | undefined;
export type Situation = {
  readonly recipients: readonly string[];
  readonly connection: number;
  readonly message: number;
  /** After the end of content: what was read. LMTP asks once for each recipient. */
  readonly recipient?: string;
};

export type PeerOptions = {
  readonly protocol?: 'smtp' | 'lmtp';
  readonly hostname?: string;
  /** EHLO keywords; the default is a plain modern server. */
  readonly keywords?: readonly string[];
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Accepted; without them AUTH is not offered. Offered over TLS only. */
  readonly credentials?: { readonly user: string; readonly password: string };
  /** `''` is the banner, `'.'` the end of content, else a command line. Undefined: the honest reply. */
  readonly script?: (command: string, situation: Situation) => Answer;
  readonly port?: number;
};

const KEYWORDS = ['PIPELINING', 'SIZE 0', '8BITMIME', 'SMTPUTF8', 'CHUNKING', 'DSN', 'ENHANCEDSTATUSCODES'];

export class SmtpPeer {
  readonly messages: Received[] = [];
  /** Every command of every connection. */
  readonly commands: string[] = [];
  readonly #options: PeerOptions;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #changes = new Changes();
  #connections = 0;

  private constructor(options: PeerOptions) {
    this.#options = options;
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      new PeerSession(this, options, socket, this.#connections++);
    });
  }

  static async start(options: PeerOptions = {}): Promise<SmtpPeer> {
    const peer = new SmtpPeer(options);
    peer.#server.listen(options.port ?? 0, '127.0.0.1');
    await once(peer.#server, 'listening');
    return peer;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** For POSTERN_INSIDE_ROUTE and POSTERN_OUTSIDE_ROUTE. */
  get url(): string {
    return `${this.#options.protocol ?? 'smtp'}://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Connections at this moment. */
  get open(): number {
    return this.#sockets.size;
  }

  /** The first message, past or to come, that `matches`. */
  received(what: string, matches: (message: Received) => boolean): Promise<Received> {
    return this.#changes.until(
      () =>
        `${what} at the peer; it has ${this.messages.length} messages and heard ${this.commands.slice(-12).join(' | ')}`,
      () => this.messages.find(matches),
    );
  }

  /** The message with this id in its topmost Received field. */
  receivedId(id: string): Promise<Received> {
    return this.received(`message ${id}`, ({ content }) => traceId(content) === id);
  }

  /** Resolves when there are so many messages. */
  async receivedCount(count: number): Promise<void> {
    await this.#changes.until(
      () => `${count} messages at the peer; it has ${this.messages.length}`,
      () => this.messages.length >= count,
    );
  }

  /** Resolves when a command has come that `matches`. */
  async heard(matches: RegExp, count = 1): Promise<void> {
    await this.#changes.until(
      () => `${matches} at the peer, which heard ${this.commands.slice(-12).join(' | ')}`,
      () => this.commands.filter((command) => matches.test(command)).length >= count,
    );
  }

  /** For sessions. */
  enter(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** For sessions. */
  note(command: string): void {
    this.commands.push(command);
    this.#changes.note();
  }

  /** For sessions. */
  keep(message: Received): void {
    this.messages.push(message);
    this.#changes.note();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

/** The id in the topmost Received field, or ''. */
export const traceId = (content: string): string => / id (\S+?)[;\r]/.exec(content.slice(0, 2000))?.[1] ?? '';

/** The content below the Received field that Postern put on top. */
export function withoutTrace(content: string): string {
  // Its last line is the date: what follows is the client's, even if it begins with a blank.
  const match = /^Received: from [^\r]*\r\n(?:\t[^\r]*\r\n)*?\t[^\r]* \+0000\r\n/.exec(content);
  if (match === null) throw new Error(`no Received field on top of: ${content.slice(0, 300)}`);
  return content.slice(match[0].length);
}

/** RFC 5321 §4.1.2: a quoted `>` does not end a path. */
const PATH = /<((?:"(?:[^"\\]|\\.)*"|[^">])*)>/;

class PeerSession {
  readonly #peer: SmtpPeer;
  readonly #options: PeerOptions;
  readonly #connection: number;
  #socket: net.Socket;
  #rest = '';
  #reading: 'command' | 'data' | 'auth' | { readonly octets: number; readonly last: boolean } = 'command';
  #sender = '';
  #recipients: string[] = [];
  #envelope: string[] = [];
  #chunks = '';
  #secure = false;
  #user = '';

  constructor(peer: SmtpPeer, options: PeerOptions, socket: net.Socket, connection: number) {
    this.#peer = peer;
    this.#options = options;
    this.#socket = socket;
    this.#connection = connection;
    this.#attach(socket);
    this.#say(this.#scripted('') ?? `220 ${this.#name} peer`);
  }

  get #name(): string {
    return this.#options.hostname ?? 'peer.example';
  }

  #attach(socket: net.Socket): void {
    this.#peer.enter(socket);
    socket.on('error', () => undefined); // what follows is a close
    socket.on('data', (bytes: Buffer) => {
      this.#rest += bytes.toString('latin1');
      while (this.#step());
    });
  }

  #say(answer: Answer): void {
    if (answer === HANG_UP) this.#socket.destroy();
    else if (answer !== undefined) this.#socket.write(`${answer}\r\n`, 'latin1');
  }

  #scripted(command: string, recipient?: string): Answer {
    const situation = {
      recipients: this.#recipients,
      connection: this.#connection,
      message: this.#peer.messages.length,
    };
    return this.#options.script?.(command, recipient === undefined ? situation : { ...situation, recipient });
  }

  /** True while there is more to do with what has been read. */
  #step(): boolean {
    if (this.#socket.destroyed) return false;
    if (this.#reading === 'data') return this.#readData();
    if (typeof this.#reading === 'object') return this.#readChunk(this.#reading.octets, this.#reading.last);
    const end = this.#rest.indexOf('\r\n');
    if (end === -1) return false;
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 2);
    this.#peer.note(line);
    if (this.#reading === 'auth') this.#authenticate(line);
    else this.#obey(line);
    return true;
  }

  #obey(line: string): void {
    const [verb = ''] = line.toUpperCase().split(' ');
    const scripted = this.#scripted(line);
    if (scripted !== undefined) {
      const well = typeof scripted === 'string' && /^[23]/.test(scripted);
      if (well) this.#take(verb, line);
      return this.#say(scripted);
    }
    if (verb === 'BDAT') return this.#take(verb, line);
    if (verb === 'STARTTLS') return this.#startTls();
    if (verb === 'AUTH') return this.#beginAuth(line);
    this.#take(verb, line);
    this.#say(this.#honest(verb));
    if (verb === 'QUIT') this.#socket.end();
  }

  #honest(verb: string): string {
    switch (verb) {
      case 'EHLO':
      case 'LHLO': {
        const offers = [...(this.#options.keywords ?? KEYWORDS)];
        if (this.#options.tls !== undefined && !this.#secure) offers.push('STARTTLS');
        if (this.#options.credentials !== undefined && this.#secure) offers.push('AUTH PLAIN LOGIN');
        return [this.#name, ...offers].map((each, at) => `250${at < offers.length ? '-' : ' '}${each}`).join('\r\n');
      }
      case 'DATA':
        return this.#recipients.length > 0 ? '354 go on' : '503 5.5.1 no recipients';
      case 'QUIT':
        return '221 2.0.0 bye';
      default:
        return '250 2.0.0 ok';
    }
  }

  /** A command that is obeyed changes what we know. */
  #take(verb: string, line: string): void {
    const path = PATH.exec(line)?.[1] ?? '';
    if (verb === 'MAIL') {
      this.#clear();
      this.#sender = path;
      this.#envelope.push(line);
    } else if (verb === 'RCPT') {
      this.#recipients.push(path);
      this.#envelope.push(line);
    } else if (verb === 'DATA' && this.#recipients.length > 0) this.#reading = 'data';
    else if (verb === 'BDAT') {
      const [, octets, last] = line.split(' ');
      this.#reading = { octets: Number(octets), last: last?.toUpperCase() === 'LAST' };
    } else if (verb === 'RSET') this.#clear();
  }

  #clear(): void {
    this.#recipients = [];
    this.#envelope = [];
    this.#chunks = '';
  }

  #readData(): boolean {
    const text = `\r\n${this.#rest}`;
    const end = text.indexOf('\r\n.\r\n');
    if (end === -1) return false;
    const wire = text.slice(2, end + 2);
    this.#rest = text.slice(end + 5);
    this.#reading = 'command';
    this.#arrived(`\r\n${wire}`.replaceAll('\r\n.', '\r\n').slice(2), wire, 'DATA');
    return true;
  }

  #readChunk(octets: number, last: boolean): boolean {
    if (this.#rest.length < octets) return false;
    this.#chunks += this.#rest.slice(0, octets);
    this.#rest = this.#rest.slice(octets);
    this.#reading = 'command';
    if (last) this.#arrived(this.#chunks, this.#chunks, 'BDAT');
    else this.#say(`250 2.0.0 ${octets} octets`);
    return true;
  }

  #arrived(content: string, wire: string, by: 'DATA' | 'BDAT'): void {
    const recipients = this.#recipients;
    const answers = (this.#options.protocol === 'lmtp' ? recipients : [undefined]).map(
      (recipient) => this.#scripted('.', recipient) ?? '250 2.0.0 taken',
    );
    const takenBy = recipients.filter((_, at) => String(answers[at] ?? answers[0]).startsWith('2'));
    const taken =
      this.#options.protocol === 'lmtp' ? takenBy : answers[0]?.toString().startsWith('2') ? recipients : [];
    if (taken.length > 0) {
      const message = { sender: this.#sender, recipients: taken, commands: this.#envelope, content, wire, by };
      this.#peer.keep({ ...message, tls: this.#secure, connection: this.#connection, user: this.#user });
    }
    for (const answer of answers) this.#say(answer);
    this.#clear();
  }

  #startTls(): void {
    const { tls: material } = this.#options;
    if (material === undefined || this.#secure) return this.#say('502 5.5.1 no TLS');
    this.#socket.write('220 2.0.0 go\r\n');
    const plain = this.#socket;
    plain.removeAllListeners('data');
    this.#rest = '';
    this.#secure = true;
    this.#socket = new tls.TLSSocket(plain, { isServer: true, secureContext: tls.createSecureContext(material) });
    this.#attach(this.#socket);
  }

  #beginAuth(line: string): void {
    const [, mechanism, response] = line.split(' ');
    if (this.#options.credentials === undefined || mechanism !== 'PLAIN') return this.#say('504 5.5.4 no');
    if (response !== undefined) return this.#authenticate(response);
    this.#reading = 'auth';
    this.#say('334 ');
  }

  #authenticate(response: string): void {
    this.#reading = 'command';
    const [, user = '', password] = Buffer.from(response, 'base64').toString('utf8').split('\0');
    const { credentials } = this.#options;
    if (user !== credentials?.user || password !== credentials.password) return this.#say('535 5.7.8 wrong');
    this.#user = user;
    this.#say('235 2.7.0 well');
  }
}
