/**
 * One lane of the source: a connection after the other, a message after the other on each.
 *
 *   closed ─► connect ─► banner ─► ehlo ─► [starttls ─► ehlo] ─► ready ─► mail ─► rcpt ─► data ─► end ─► ready …
 *                                                                 │         (refused: rset ─► ready)
 *                                                                 └─► quit ─► closed
 *
 * Replies are parsed by bytes, a message is one buffer with its stamp patched in, and nothing waits on a promise.
 * Where the peer is pipelined, envelope and DATA leave in one write and the state counts through their replies.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { LatencyHistogram } from './latency.ts';
import type { Outgoing } from './outgoing.ts';
import { nowUs, patchStamp, STAMP_BYTES } from './stamp.ts';

export type LaneSettings = {
  readonly host: string;
  readonly port: number;
  readonly localAddresses: readonly string[];
  readonly hello: string;
  /** Used where the peer offers it. */
  readonly pipelining: boolean;
  readonly bdat: boolean;
  readonly starttls: boolean;
  readonly messagesPerConnection: number;
};

/**
 * `message` is from the moment it was due, or its lane was free for it, to its 250; the rest is from command to
 * reply.
 */
export const PHASES = ['connect', 'banner', 'hello', 'mail', 'rcpt', 'data', 'end', 'message'] as const;
export type Phase = (typeof PHASES)[number];

/** A message and when it should have started; 0 where that is when the lane was free. */
export type Assignment = { readonly message: Outgoing; readonly dueUs: number };

/** What a lane asks of and tells the source that runs it. */
export interface LaneOwner {
  readonly settings: LaneSettings;
  readonly phases: Readonly<Record<Phase, LatencyHistogram>>;
  /** Whether a connection would be of use. */
  wanted(): boolean;
  take(): Assignment | undefined;
  acknowledged(number: number): void;
  /** `reason` is a reply code or a system's error. The message counts as not accepted. */
  failed(reason: string): void;
  recipientRefused(code: number): void;
  /** The connection ended before it could carry a message. */
  connectFailed(reason: string): void;
  /** The lane has nothing to do: `run` it when there is. */
  parked(lane: Lane): void;
}

type State =
  | 'closed'
  | 'connect'
  | 'banner'
  | 'ehlo'
  | 'starttls'
  | 'ready'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'end'
  | 'rset'
  | 'quit';

/** Up to here a lane keeps a copy of the message to patch; above, the stamp goes in a write of its own. */
const COPY_BYTES_MAX = 65_536;
const DATA_LINE = Buffer.from('DATA\r\n');
const END_LINE = Buffer.from('.\r\n');
const RSET_LINE = Buffer.from('RSET\r\n');
const QUIT_LINE = Buffer.from('QUIT\r\n');

export class Lane {
  readonly #owner: LaneOwner;
  readonly #index: number;
  #socket: Socket | undefined;
  #state: State = 'closed';
  #pending: Buffer | undefined;
  #offersPipelining = false;
  #offersChunking = false;
  #secure = false;
  #sent = 0;
  #freeUs = 0;
  #phaseUs = 0;
  #activeUs = 0;
  #message: Outgoing | undefined;
  #dueUs = 0;
  #repliesLeft = 0;
  #recipientsAccepted = 0;
  #refusedWith = 0;
  #copyOf: Buffer | undefined;
  #copy: Buffer = Buffer.alloc(0);

  constructor(owner: LaneOwner, index: number) {
    this.#owner = owner;
    this.#index = index;
  }

  /** A connection is on its way and has carried nothing yet. */
  get opening(): boolean {
    const state = this.#state;
    return state === 'connect' || state === 'banner' || state === 'ehlo' || state === 'starttls';
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** Goes to work: on the open connection where there is one, on a new one else. */
  run(): void {
    this.#freeUs = nowUs();
    if (this.#state === 'ready') this.#next();
    else if (this.#state === 'closed') this.#connect();
  }

  /** Cuts a connection that has been silent since `sinceUs`; one that waits for work is not silent. */
  cutIfSilent(sinceUs: number): void {
    if (this.#state !== 'closed' && this.#state !== 'ready' && this.#activeUs < sinceUs) this.#ended('silence');
  }

  /** Closes at once; what is under way counts as failed. */
  cut(): void {
    if (this.#state !== 'closed') this.#ended('cut');
  }

  #connect(): void {
    const { host, port, localAddresses, starttls } = this.#owner.settings;
    this.#state = 'connect';
    this.#activeUs = this.#phaseUs = nowUs();
    this.#sent = 0;
    this.#secure = !starttls;
    this.#pending = undefined;
    const localAddress = localAddresses[this.#index % (localAddresses.length || 1)];
    const socket = connect({ host, port, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
    socket.once('connect', () => {
      if (this.#socket !== socket) return;
      this.#phase('connect');
      this.#state = 'banner';
    });
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket === socket) this.#feed(chunk);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#socket === socket) this.#ended(error.code ?? error.message);
    });
    socket.on('close', () => {
      if (this.#socket === socket) this.#ended('closed');
    });
  }

  #feed(fresh: Buffer): void {
    const chunk = this.#pending === undefined ? fresh : Buffer.concat([this.#pending, fresh]);
    this.#pending = undefined;
    let at = 0;
    while (at < chunk.length) {
      const lf = chunk.indexOf(10, at);
      if (lf === -1) {
        this.#pending = chunk.subarray(at);
        break;
      }
      const code = chunk[at]! * 100 + chunk[at + 1]! * 10 + chunk[at + 2]! - 5328;
      const last = chunk[at + 3] !== 45;
      if (this.#state === 'ehlo')
        this.#capability(
          chunk
            .toString('latin1', at + 4, lf)
            .trim()
            .toUpperCase(),
        );
      at = lf + 1;
      if (last) this.#reply(code);
      if (this.#state === 'closed') return;
    }
  }

  #capability(line: string): void {
    if (line === 'PIPELINING') this.#offersPipelining = true;
    else if (line === 'CHUNKING') this.#offersChunking = true;
  }

  #reply(code: number): void {
    this.#activeUs = nowUs();
    if (code === 421) return this.#ended('421');
    switch (this.#state) {
      case 'banner':
        if (code !== 220) return this.#ended(`${code}`);
        this.#phase('banner');
        return this.#hello();
      case 'ehlo':
        if (code !== 250) return this.#ended(`${code}`);
        if (!this.#secure) return this.#command('starttls', Buffer.from('STARTTLS\r\n'));
        this.#phase('hello');
        this.#state = 'ready';
        return this.#next();
      case 'starttls':
        if (code !== 220) return this.#ended(`${code}`);
        return this.#startTls();
      case 'mail':
        return this.#mailReply(code);
      case 'rcpt':
        return this.#rcptReply(code);
      case 'data':
        return this.#dataReply(code);
      case 'end':
        return this.#endReply(code);
      case 'rset':
        this.#state = 'ready';
        return this.#next();
      case 'quit':
        return this.#ended('');
      default:
        return this.#ended(`${code} in ${this.#state}`);
    }
  }

  #hello(): void {
    this.#offersPipelining = false;
    this.#offersChunking = false;
    this.#command('ehlo', Buffer.from(`EHLO ${this.#owner.settings.hello}\r\n`));
  }

  #startTls(): void {
    const plain = this.#socket;
    if (plain === undefined) return;
    plain.removeAllListeners('data');
    this.#secure = true;
    const secure = connectTls({ socket: plain, rejectUnauthorized: false }, () => {
      if (this.#socket === secure) this.#hello();
    });
    this.#listen(secure);
  }

  #next(): void {
    const { messagesPerConnection, pipelining, bdat } = this.#owner.settings;
    const assignment = this.#sent < messagesPerConnection ? this.#owner.take() : undefined;
    if (assignment === undefined) {
      if (this.#sent < messagesPerConnection && this.#owner.wanted()) return this.#owner.parked(this);
      return this.#command('quit', QUIT_LINE);
    }
    this.#sent++;
    this.#message = assignment.message;
    this.#dueUs = assignment.dueUs === 0 ? this.#freeUs : assignment.dueUs;
    this.#repliesLeft = assignment.message.rcpts.length;
    this.#recipientsAccepted = 0;
    this.#refusedWith = 0;
    if (!pipelining || !this.#offersPipelining) return this.#command('mail', assignment.message.mail);
    if (bdat && this.#offersChunking) return this.#chunk(assignment.message);
    this.#command('mail', assignment.message.group);
  }

  #mailReply(code: number): void {
    const message = this.#message!;
    this.#phase('mail');
    if (code !== 250) {
      this.#refusedWith = code;
      if (!this.#pipelined()) return this.#refused(code, false);
    }
    this.#state = 'rcpt';
    if (!this.#pipelined()) this.#write(message.rcpts[0]!);
  }

  #rcptReply(code: number): void {
    const message = this.#message!;
    if (code === 250 || code === 251) this.#recipientsAccepted++;
    else {
      this.#owner.recipientRefused(code);
      if (this.#refusedWith === 0) this.#refusedWith = code;
    }
    this.#repliesLeft--;
    if (this.#repliesLeft > 0) {
      if (!this.#pipelined()) this.#write(message.rcpts[message.rcpts.length - this.#repliesLeft]!);
      return;
    }
    this.#phase('rcpt');
    const { bdat } = this.#owner.settings;
    if (this.#pipelined()) {
      this.#state = bdat && this.#offersChunking ? 'end' : 'data';
      return;
    }
    if (this.#recipientsAccepted === 0) return this.#refused(this.#refusedWith, true);
    if (bdat && this.#offersChunking) return this.#chunk(message);
    this.#command('data', DATA_LINE);
  }

  #dataReply(code: number): void {
    this.#phase('data');
    if (code !== 354) return this.#refused(this.#refusedWith === 0 ? code : this.#refusedWith, true);
    this.#state = 'end';
    // A server may say 354 though it took no recipient: then nothing but the end is sent (RFC 2920 §3.1).
    if (this.#recipientsAccepted === 0) this.#write(END_LINE);
    else this.#content(this.#message!.stuffed);
  }

  #endReply(code: number): void {
    this.#phase('end');
    if (this.#recipientsAccepted === 0) return this.#refused(this.#refusedWith, false);
    if (code !== 250) return this.#refused(code, false);
    const message = this.#message!;
    this.#message = undefined;
    this.#owner.phases.message.record(this.#phaseUs - this.#dueUs);
    this.#owner.acknowledged(message.number);
    this.#freeUs = this.#phaseUs;
    this.#state = 'ready';
    this.#next();
  }

  /** With pipelining envelope and content leave together; else this is what follows the last RCPT's reply. */
  #chunk(message: Outgoing): void {
    const envelope = this.#state === 'ready';
    this.#socket?.cork();
    if (envelope) this.#write(message.group.subarray(0, message.group.length - DATA_LINE.length));
    this.#write(Buffer.from(`BDAT ${message.content.length} LAST\r\n`, 'latin1'));
    this.#content(message.content);
    this.#socket?.uncork();
    this.#phaseUs = nowUs();
    this.#state = envelope ? 'mail' : 'end';
  }

  #content(content: Buffer): void {
    const number = this.#message!.number;
    if (content.length > COPY_BYTES_MAX) {
      const stamp = Buffer.from(content.subarray(0, STAMP_BYTES));
      patchStamp(stamp, number, nowUs());
      this.#write(stamp);
      this.#write(content.subarray(STAMP_BYTES));
      return;
    }
    // The copy is free again: the last message that used it has been answered, or its connection is gone.
    if (this.#copyOf !== content) {
      if (this.#copy.length < content.length) this.#copy = Buffer.allocUnsafeSlow(content.length);
      content.copy(this.#copy);
      this.#copyOf = content;
    }
    patchStamp(this.#copy, number, nowUs());
    this.#write(this.#copy.length === content.length ? this.#copy : this.#copy.subarray(0, content.length));
  }

  #refused(code: number, transactionOpen: boolean): void {
    this.#message = undefined;
    this.#owner.failed(`${code}`);
    this.#freeUs = nowUs();
    if (transactionOpen) return this.#command('rset', RSET_LINE);
    this.#state = 'ready';
    this.#next();
  }

  #pipelined(): boolean {
    return this.#offersPipelining && this.#owner.settings.pipelining;
  }

  #command(state: State, line: Buffer): void {
    this.#state = state;
    this.#phaseUs = nowUs();
    this.#write(line);
  }

  #write(bytes: Buffer): void {
    this.#activeUs = nowUs();
    this.#socket?.write(bytes);
  }

  #phase(phase: Phase): void {
    const now = nowUs();
    this.#owner.phases[phase].record(now - this.#phaseUs);
    this.#phaseUs = now;
  }

  /** The connection is no more, for `reason`; an empty one is an end as it should be. */
  #ended(reason: string): void {
    const message = this.#message;
    const beforeReady = this.opening;
    const socket = this.#socket;
    this.#socket = undefined;
    this.#state = 'closed';
    this.#message = undefined;
    // Bytes of the copy may still be on their way out of the dead socket.
    if (message !== undefined) {
      this.#copyOf = undefined;
      this.#copy = Buffer.alloc(0);
    }
    socket?.on('error', () => undefined);
    if (reason === '') socket?.end();
    else socket?.destroy();
    if (message !== undefined) this.#owner.failed(reason);
    if (beforeReady) this.#owner.connectFailed(reason);
    this.#owner.parked(this);
  }
}
