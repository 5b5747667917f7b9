/**
 * One lane of the source: a connection after the other, a message after the other on each.
 *
 *   closed ─► opening ─► ready ─► mail ─► rcpt ─► data ─► end ─► ready …        (thinking: ready, with a timer)
 *                          │         (refused: rset ─► ready)
 *                          └─► quit ─► closed
 *
 * What comes before `ready` is lane_opening.ts. Replies are parsed by bytes, a message is one buffer with its stamp
 * patched in, and nothing waits on a promise. Where the peer is pipelined, envelope and DATA leave in one write and the
 * state counts through their replies.
 */
import type { Socket } from 'node:net';
import { type Offers, type Opened, Opening } from './lane_opening.ts';
import type { Assignment, LaneOwner, Phase } from './lane_owner.ts';
import type { Outgoing } from './outgoing.ts';
import { nowUs, STAMP_BYTES } from './stamp.ts';
import { StampedCopy } from './stamped_copy.ts';

type State = 'closed' | 'opening' | 'ready' | 'mail' | 'rcpt' | 'data' | 'end' | 'rset' | 'quit';

const DATA_LINE = Buffer.from('DATA\r\n');
const END_LINE = Buffer.from('.\r\n');
const RSET_LINE = Buffer.from('RSET\r\n');
const QUIT_LINE = Buffer.from('QUIT\r\n');
/** Of a reply; RFC 5321 §4.5.3.1.5 has 512. */
const LINE_BYTES_MAX = 65_536;

export class Lane implements Opened {
  /** The source's mark: it is among those that wait for work. */
  waiting = false;
  readonly #owner: LaneOwner<Lane>;
  readonly #localAddress: string | undefined;
  #socket: Socket | undefined;
  #opening: Opening | undefined;
  #ticket: Buffer | undefined;
  #state: State = 'closed';
  #pending: Buffer | undefined;
  #pipelined = false;
  #ahead = false;
  #chunked = false;
  #thinking: NodeJS.Timeout | undefined;
  #sent = 0;
  #sessionUs = 0;
  #freeUs = 0;
  #phaseUs = 0;
  #activeUs = 0;
  #message: Outgoing | undefined;
  #dueUs = 0;
  #repliesLeft = 0;
  #recipientsAccepted = 0;
  #refusedWith = 0;
  /** Bytes of content that have left in chunks, and chunks without an answer. */
  #chunkedBytes = 0;
  #chunksLeft = 0;
  #chunkRefusedWith = 0;
  #endsLeft = 0;
  #taken = false;
  /** Its envelope has left with the content of the message before. */
  #following: Assignment | undefined;
  #copy = new StampedCopy();

  constructor(owner: LaneOwner<Lane>, index: number) {
    this.#owner = owner;
    const { localAddresses } = owner.settings;
    this.#localAddress = localAddresses[index % (localAddresses.length || 1)];
  }

  /** A connection is on its way and has carried nothing yet. */
  get opening(): boolean {
    return this.#state === 'opening';
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** Goes to work: on the open connection where there is one, on a new one else, which was due then (0: now). */
  run(dueUs = 0): void {
    this.#freeUs = dueUs === 0 ? nowUs() : dueUs;
    if (this.#state === 'ready') this.#next();
    else if (this.#state === 'closed') this.#connect();
  }

  /** No more is wanted: a lane that thinks need not. */
  hurry(): void {
    if (this.#thinking !== undefined) this.run();
  }

  /** Cuts a connection that has been silent since `sinceUs`; one that waits for work is not silent. */
  cutIfSilent(sinceUs: number): void {
    if (this.#state !== 'closed' && this.#state !== 'ready' && this.#activeUs < sinceUs) this.ended('silence');
  }

  /** Closes at once; what is under way counts as failed. */
  cut(): void {
    if (this.#state !== 'closed') this.ended('cut');
  }

  #connect(): void {
    this.#state = 'opening';
    this.#activeUs = this.#phaseUs = nowUs();
    this.#sessionUs = this.#freeUs;
    this.#sent = 0;
    this.#pending = undefined;
    this.#opening = new Opening(this.#owner.settings, this.#localAddress, this.#ticket, this);
  }

  adopt(socket: Socket, reads: boolean): void {
    this.#socket = socket;
    if (reads) socket.on('data', (chunk: Buffer) => this.feed(socket, chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#socket === socket) this.ended(error.code ?? error.message);
    });
    socket.on('close', () => {
      if (this.#socket === socket) this.ended('closed');
    });
  }

  ticket(session: Buffer): void {
    this.#ticket = session;
  }

  secured(resumed: boolean): void {
    this.#activeUs = nowUs();
    this.#owner.secured(resumed);
  }

  ready(offers: Offers): void {
    const { pipelining, ahead, bdat } = this.#owner.settings;
    this.#opening = undefined;
    this.#pipelined = pipelining && offers.pipelining;
    this.#ahead = this.#pipelined && ahead;
    this.#chunked = bdat && offers.chunking;
    this.#state = 'ready';
    this.#next();
  }

  feed(from: Socket, fresh: Buffer): void {
    if (this.#socket !== from) return;
    const chunk = this.#pending === undefined ? fresh : Buffer.concat([this.#pending, fresh]);
    this.#pending = undefined;
    let at = 0;
    while (at < chunk.length) {
      const lf = chunk.indexOf(10, at);
      if (lf === -1) {
        if (chunk.length - at > LINE_BYTES_MAX) return this.ended('endless line');
        this.#pending = Buffer.from(chunk.subarray(at));
        break;
      }
      const code = chunk[at]! * 100 + chunk[at + 1]! * 10 + chunk[at + 2]! - 5328;
      const last = chunk[at + 3] !== 45;
      const textAt = at + 4;
      at = lf + 1;
      if (this.#state === 'opening') this.#openingLine(code, last, chunk, textAt, lf);
      else if (last) this.#reply(code);
      if (this.#socket !== from) return; // it has ended, or is TLS now: what else is there was not meant for this
    }
  }

  #openingLine(code: number, last: boolean, chunk: Buffer, from: number, to: number): void {
    this.#activeUs = nowUs();
    if (code === 421) return this.ended('421');
    this.#opening?.line(code, last, () => chunk.toString('latin1', from, to));
  }

  #reply(code: number): void {
    this.#activeUs = nowUs();
    if (code === 421) return this.ended('421');
    switch (this.#state) {
      case 'mail':
        return this.#mailReply(code);
      case 'rcpt':
        return this.#rcptReply(code);
      case 'data':
        return this.#dataReply(code);
      case 'end':
        return this.#chunksLeft > 1 ? this.#chunkReply(code) : this.#endReply(code);
      case 'rset':
        return this.#rest();
      case 'quit':
        this.#owner.phases.session.record(nowUs() - this.#sessionUs);
        return this.ended('');
      default:
        return this.ended(`${code} in ${this.#state}`);
    }
  }

  /** The connection is free: for the next message at once, or after a while. */
  #rest(): void {
    this.#state = 'ready';
    const { thinkMs, messagesPerConnection } = this.#owner.settings;
    if (thinkMs === 0 || this.#following !== undefined || this.#sent >= messagesPerConnection || !this.#owner.wanted())
      return this.#next();
    this.#thinking = setTimeout(() => this.run(), thinkMs);
  }

  #next(): void {
    clearTimeout(this.#thinking);
    this.#thinking = undefined;
    const { messagesPerConnection } = this.#owner.settings;
    const following = this.#following;
    this.#following = undefined;
    const assignment = following ?? (this.#sent < messagesPerConnection ? this.#owner.take() : undefined);
    if (assignment === undefined) {
      if (this.#sent < messagesPerConnection && this.#owner.wanted()) return this.#owner.parked(this);
      return this.#command('quit', QUIT_LINE);
    }
    if (following === undefined) this.#sent++;
    this.#message = assignment.message;
    this.#dueUs = assignment.dueUs === 0 ? this.#freeUs : assignment.dueUs;
    this.#repliesLeft = assignment.message.rcpts.length;
    this.#recipientsAccepted = 0;
    this.#refusedWith = 0;
    this.#chunksLeft = 0;
    this.#chunkRefusedWith = 0;
    this.#endsLeft = 0;
    this.#taken = false;
    if (following !== undefined) {
      this.#state = 'mail';
      return;
    }
    if (!this.#pipelined) return this.#command('mail', assignment.message.mail);
    if (this.#chunked) return this.#chunks(assignment.message);
    this.#command('mail', assignment.message.group);
  }

  #mailReply(code: number): void {
    const message = this.#message!;
    this.phase('mail');
    if (code !== 250) {
      this.#refusedWith = code;
      if (!this.#pipelined) return this.#refused(code, false);
    }
    this.#state = 'rcpt';
    if (!this.#pipelined) this.write(message.rcpts[0]!);
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
      if (!this.#pipelined) this.write(message.rcpts[message.rcpts.length - this.#repliesLeft]!);
      return;
    }
    this.phase('rcpt');
    if (this.#pipelined) {
      this.#state = this.#chunked ? 'end' : 'data';
      return;
    }
    if (this.#recipientsAccepted === 0) return this.#refused(this.#refusedWith, true);
    if (!this.#chunked) return this.#command('data', DATA_LINE);
    this.#chunkedBytes = 0;
    this.#chunksLeft = this.#chunkCount(message);
    this.#state = 'end';
    this.#chunk(message);
  }

  #dataReply(code: number): void {
    this.phase('data');
    if (code !== 354) return this.#refused(this.#refusedWith === 0 ? code : this.#refusedWith, true);
    this.#state = 'end';
    // A server may say 354 though it took no recipient: then nothing but the end is sent (RFC 2920 §3.1).
    if (this.#recipientsAccepted === 0) return this.write(END_LINE);
    const { stuffed } = this.#message!;
    if (!this.#ahead) return this.#content(stuffed, 0, stuffed.length);
    this.#socket?.cork();
    this.#content(stuffed, 0, stuffed.length);
    this.#follow();
    this.#socket?.uncork();
  }

  /** Content may be the first of a group, with the next message's envelope behind it (RFC 2920 §3.1). */
  #follow(): void {
    if (this.#sent >= this.#owner.settings.messagesPerConnection) return;
    this.#following = this.#owner.take();
    if (this.#following === undefined) return;
    this.#sent++;
    this.write(this.#following.message.group);
  }

  /** To a chunk that is not the last. */
  #chunkReply(code: number): void {
    this.phase('data');
    this.#chunksLeft--;
    if (code !== 250 && this.#chunkRefusedWith === 0) this.#chunkRefusedWith = code;
    if (this.#pipelined) return;
    if (code !== 250) return this.#refused(code, true);
    this.#chunk(this.#message!);
  }

  #endReply(code: number): void {
    const { lmtp } = this.#owner.settings;
    // LMTP answers for each recipient that it took (RFC 2033 §4.2), SMTP once for all.
    if (this.#endsLeft === 0) this.#endsLeft = lmtp ? this.#recipientsAccepted || 1 : 1;
    if (code === 250) this.#taken = true;
    else if (lmtp && this.#recipientsAccepted > 0) this.#owner.recipientRefused(code);
    if (--this.#endsLeft > 0) return;
    this.phase('end');
    // What becomes of a transaction whose BDAT was refused is open until RSET (RFC 3030 §2).
    if (this.#recipientsAccepted === 0) return this.#refused(this.#refusedWith, this.#chunked);
    if (!this.#taken) return this.#refused(this.#chunkRefusedWith || code, this.#chunked);
    const message = this.#message!;
    this.#message = undefined;
    this.#owner.phases.message.record(this.#phaseUs - this.#dueUs);
    this.#owner.acknowledged(message.number);
    this.#freeUs = this.#phaseUs;
    this.#rest();
  }

  /** With pipelining envelope and content leave together. */
  #chunks(message: Outgoing): void {
    this.#socket?.cork();
    this.write(message.group.subarray(0, message.group.length - DATA_LINE.length));
    this.#chunkedBytes = 0;
    this.#chunksLeft = this.#chunkCount(message);
    for (let left = this.#chunksLeft; left > 0; left--) this.#chunk(message);
    this.#socket?.uncork();
    this.#phaseUs = nowUs();
    this.#state = 'mail';
  }

  #chunkCount({ content }: Outgoing): number {
    return Math.ceil(content.length / this.#owner.settings.chunkBytes) || 1;
  }

  #chunk({ content }: Outgoing): void {
    const from = this.#chunkedBytes;
    const to = Math.min(content.length, from + this.#owner.settings.chunkBytes);
    this.#chunkedBytes = to;
    this.#socket?.cork();
    this.write(Buffer.from(`BDAT ${to - from}${to === content.length ? ' LAST' : ''}\r\n`, 'latin1'));
    this.#content(content, from, to);
    this.#socket?.uncork();
  }

  /** Bytes `from` to `to`; the stamp is in the first that leave. */
  #content(content: Buffer, from: number, to: number): void {
    if (from > 0) return this.write(content.subarray(from, to));
    const first = this.#copy.stamped(content, this.#message!.number);
    // All of a small one, or the stamp of a large one.
    if (first.length >= to) return this.write(first.length === to ? first : first.subarray(0, to));
    this.write(first);
    this.write(content.subarray(STAMP_BYTES, to));
  }

  #refused(code: number, transactionOpen: boolean): void {
    this.#message = undefined;
    this.#owner.failed(`${code}`);
    this.#freeUs = nowUs();
    if (transactionOpen) return this.#command('rset', RSET_LINE);
    this.#rest();
  }

  #command(state: State, line: Buffer): void {
    this.#state = state;
    this.#phaseUs = nowUs();
    this.write(line);
  }

  write(bytes: Buffer): void {
    this.#activeUs = nowUs();
    this.#socket?.write(bytes);
  }

  phase(phase: Phase): void {
    const now = nowUs();
    this.#owner.phases[phase].record(now - this.#phaseUs);
    this.#phaseUs = now;
  }

  /** The connection is no more, for `reason`; an empty one is an end as it should be. */
  ended(reason: string): void {
    const message = this.#message;
    const beforeReady = this.opening;
    const socket = this.#socket;
    clearTimeout(this.#thinking);
    this.#thinking = undefined;
    this.#socket = undefined;
    this.#opening = undefined;
    this.#state = 'closed';
    this.#message = undefined;
    const following = this.#following;
    this.#following = undefined;
    // Bytes of the copy may still be on their way out of the dead socket.
    if (message !== undefined) this.#copy = new StampedCopy();
    socket?.on('error', () => undefined);
    if (reason === '') socket?.end();
    else socket?.destroy();
    if (message !== undefined) this.#owner.failed(reason);
    if (following !== undefined) this.#owner.failed(reason);
    if (beforeReady) this.#owner.connectFailed(reason);
    this.#owner.parked(this);
  }
}
