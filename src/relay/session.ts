/**
 * Drives one SMTP session on the server side: bytes from the connection to commands and content, replies back.
 * What a command means is smtp/session.ts, who may pass is policy/, what becomes of a message is inbound.ts.
 *
 *   greeting ─► command ⇄ line (an over-long one, skipped to its end)
 *                 ├─ DATA ─► content ─► held ─► command        held: our reply waits for the disk or for the client
 *                 ├─ BDAT ─► chunk ───► held ─► command        to take earlier replies; what arrives meanwhile is
 *                 ├─ refused BDAT ─► skip ────► command        kept (one read at most), then reading stops
 *                 └─ STARTTLS ─► handshake ───► command
 *   over: the last line has been said; the connection lingers for the peer to read it
 *
 * Replies to pipelined commands leave in one write (RFC 2920 §3.2).
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Side } from '../message/envelope.ts';
import type { CloseReason, ConnectionHandler } from '../net/connection.ts';
import { Connection } from '../net/connection.ts';
import { judgeRecipient } from '../policy/recipient.ts';
import type { Command } from '../smtp/command.ts';
import { parseCommand } from '../smtp/command.ts';
import type { ReplyKey } from '../smtp/replies.ts';
import { replyLine } from '../smtp/replies.ts';
import type { Answer, Session } from '../smtp/session.ts';
import * as smtp from '../smtp/session.ts';
import { Arrival } from './arrival.ts';
import type { Acceptance } from './inbound.ts';
import { acceptMessage } from './inbound.ts';
import type { Relay } from './relay.ts';

type Mode = 'greeting' | 'command' | 'line' | 'content' | 'chunk' | 'skip' | 'handshake' | 'over';

const LF = 10;
const CR = 13;

export type Caller = { readonly address: string; readonly side: Side; readonly clientKey: string };

export class InboundSession implements ConnectionHandler {
  readonly id: string;
  readonly #relay: Relay;
  readonly #caller: Caller;
  readonly #connection: Connection;
  readonly #settings: smtp.Settings;
  readonly #startedMs = monotonicMs();
  readonly #session: Session = smtp.newSession();
  #mode: Mode = 'greeting';
  /** Bytes read and not yet understood, from #at on: at most one read and one unfinished command. */
  #rest: Buffer | null = null;
  #at = 0;
  /** Something must happen before the next byte is looked at: a commit, a drain. */
  #held = false;
  #out = '';
  #arrival: Arrival | null = null;
  /** Octets of the BDAT chunk still to come, and the reply that waits for their end if it was refused. */
  #chunkLeft = 0;
  #chunkBytes = 0;
  #chunkLast = false;
  #afterSkip = '';
  #bytes = 0;
  #messages = 0;
  #refusals = 0;
  #lastRefusal: ReplyKey | '' = '';
  #ending: ReplyKey | '' = '';

  constructor(relay: Relay, socket: ConstructorParameters<typeof Connection>[0], caller: Caller) {
    this.id = relay.nextId();
    this.#relay = relay;
    this.#caller = caller;
    this.#settings = relay.settings[caller.side];
    this.#connection = new Connection(socket, relay.deadlines, this);
    this.#greet();
  }

  /** Ends the session at the next moment that costs the client nothing; an open transaction may still finish. */
  drain(): void {
    if (
      this.#mode === 'greeting' ||
      (this.#mode === 'command' && !this.#held && smtp.transactionOf(this.#session) === null)
    ) {
      this.#end('shuttingDown');
    }
  }

  destroy(): void {
    this.#connection.destroy();
  }

  onBytes(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#mode === 'greeting' && this.#caller.side === 'outside') return this.#end('earlyTalk'); // RFC 5321 §4.3.1
    if (this.#mode === 'over') return;
    this.#rest = this.#rest === null ? chunk : Buffer.concat([this.#rest.subarray(this.#at), chunk]);
    this.#at = 0;
    if (this.#held || this.#mode === 'greeting') this.#connection.pause();
    else this.#pump();
  }

  onDeadline(): void {
    this.#end('timeout');
  }

  onSlow(): void {
    this.#end('tooSlow');
  }

  onTls(): void {
    this.#relay.metrics.count('tls_inbound_ok');
    smtp.tlsStarted(this.#session);
    this.#mode = 'command';
    this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
  }

  onClose(reason: CloseReason, detail: string): void {
    this.#mode = 'over';
    this.#arrival?.discard();
    this.#arrival = null;
    if (reason === 'tls-failed') this.#relay.metrics.count('tls_inbound_failed');
    this.#relay.sessionClosed(this, this.#caller.clientKey, reason);
    const hello = smtp.helloOf(this.#session);
    this.#relay.logger.log('session', {
      session: this.id,
      side: this.#caller.side,
      client: this.#caller.address,
      helo: hello?.client ?? '',
      tls: this.#connection.secure !== null,
      messages: this.#messages,
      refusals: this.#refusals,
      ...(this.#lastRefusal === '' ? {} : { lastRefusal: this.#lastRefusal }),
      bytes: this.#bytes,
      end: this.#ending === '' ? reason : this.#ending,
      ...(detail === '' || this.#ending !== '' ? {} : { detail }),
      ms: Math.round(monotonicMs() - this.#startedMs),
    });
  }

  #greet(): void {
    const greetNow = () => {
      if (this.#mode !== 'greeting') return;
      this.#mode = 'command';
      this.#out += smtp.banner(this.#settings);
      this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
      this.#pump();
    };
    const delayMs = this.#caller.side === 'outside' ? this.#relay.config.greetingDelayMs : 0;
    if (delayMs > 0) setTimeout(greetNow, delayMs).unref();
    // Twice round the event loop: the socket is polled between, so that what was sent before the banner is seen.
    else if (this.#caller.side === 'outside') setImmediate(() => setImmediate(greetNow));
    else greetNow();
  }

  /** Works through what has been read until it is used up, or something must be waited for. */
  #pump(): void {
    while (this.#rest !== null && !this.#held && this.#mode !== 'over' && this.#mode !== 'handshake') {
      if (this.#at === this.#rest.length) {
        this.#rest = null;
        this.#at = 0;
      } else if (!this.#advance(this.#rest)) break;
    }
    if (this.#out !== '') this.#flush();
    if (!this.#held) this.#connection.resume();
  }

  /** One step in the present mode; false when more bytes are needed for it. */
  #advance(rest: Buffer): boolean {
    switch (this.#mode) {
      case 'command':
        return this.#readCommand(rest);
      case 'line':
        return this.#skipLine(rest);
      case 'content':
        return this.#readContent(rest);
      case 'chunk':
        return this.#readChunk(rest);
      case 'skip':
        return this.#skipChunk(rest);
      default:
        return false;
    }
  }

  #flush(): void {
    const text = this.#out;
    this.#out = '';
    const behind = this.#connection.send(text);
    if (behind !== undefined) this.#hold(behind);
  }

  /** A client that does not read its replies is not read from either. */
  #hold(until: Promise<void>): void {
    if (this.#held) return;
    this.#held = true;
    until.then(() => {
      this.#held = false;
      this.#pump();
    });
  }

  #readCommand(rest: Buffer): boolean {
    const lf = rest.indexOf(LF, this.#at);
    const length = (lf === -1 ? rest.length : lf + 1) - this.#at;
    if (length > LIMITS.commandLineBytesMax) {
      // A BDAT in such a line is not understood, and its octets would be taken for commands.
      if (/^bdat /i.test(rest.toString('latin1', this.#at, this.#at + 5))) this.#end('lineTooLong');
      else this.#mode = 'line';
      return true;
    }
    if (lf === -1) return false;
    const start = this.#at;
    this.#at = lf + 1;
    const { commandSecondsMax, sessionSecondsMax } = this.#relay.config;
    this.#connection.setDeadline(commandSecondsMax);
    if (sessionSecondsMax > 0 && this.#relay.deadlines.nowMs - this.#startedMs > sessionSecondsMax * 1000) {
      this.#end('sessionTooLong');
      return true;
    }
    if (lf === start || rest[lf - 1] !== CR)
      this.#refuse('bareLf'); // RFC 5321 §2.3.8
    else this.#obey(parseCommand(rest.toString('latin1', start, lf - 1)));
    return true;
  }

  #skipLine(rest: Buffer): boolean {
    const lf = rest.indexOf(LF, this.#at);
    this.#at = lf === -1 ? rest.length : lf + 1;
    if (lf === -1) return true;
    this.#mode = 'command';
    this.#refuse('lineTooLong'); // RFC 5321 §4.5.3.1.4
    return true;
  }

  #obey(command: ReturnType<typeof parseCommand>): void {
    this.#relay.metrics.count('commands');
    if (command.verb === 'mistake') {
      if (command.fatal) return this.#end(command.reply);
      return this.#refuse(command.reply, command.bdatBytes);
    }
    const refusal = smtp.refusal(this.#session, command, this.#settings) ?? this.#policy(command);
    if (refusal !== null) return this.#refuse(refusal, command.verb === 'BDAT' ? command.bytes : undefined);
    this.#answer(smtp.perform(this.#session, command, this.#settings), command);
  }

  #policy(command: Command): ReplyKey | null {
    switch (command.verb) {
      case 'MAIL':
        return this.#relay.unavailable();
      case 'RCPT':
        return judgeRecipient({ side: this.#caller.side, mailbox: command.mailbox }, this.#relay.local);
      default:
        return null;
    }
  }

  #refuse(key: ReplyKey, bdatBytes?: number): void {
    this.#refusals++;
    this.#lastRefusal = key;
    this.#relay.refused(this.id, this.#caller, key);
    const answer = smtp.refuse(this.#session, key, this.#settings, bdatBytes !== undefined);
    if (bdatBytes !== undefined && bdatBytes > 2 * this.#settings.messageBytesMax) {
      this.#out += answer.reply; // nobody means to send this much to the end
      return this.#over('');
    }
    if (bdatBytes !== undefined && bdatBytes > 0 && answer.action !== 'close') {
      // RFC 3030 §2: the octets come whatever we say; the answer waits for their end.
      this.#arrival?.discard();
      this.#arrival = null;
      this.#chunkLeft = bdatBytes;
      this.#afterSkip = answer.reply;
      this.#mode = 'skip';
      return this.#expectContent();
    }
    this.#answer(answer, null);
  }

  #answer(answer: Answer, command: Command | null): void {
    this.#out += answer.reply;
    switch (answer.action) {
      case 'none':
        // RSET, EHLO and the like end a BDAT message half way.
        if (this.#arrival !== null && smtp.transactionOf(this.#session) === null) this.#dropArrival();
        return;
      case 'read-data':
        this.#mode = 'content';
        this.#arrival = this.#newArrival('data');
        return this.#expectContent();
      case 'read-bdat':
        if (command?.verb !== 'BDAT') return;
        this.#mode = 'chunk';
        this.#chunkLeft = command.bytes;
        this.#chunkBytes = command.bytes;
        this.#chunkLast = command.last;
        this.#arrival ??= this.#newArrival('bdat');
        this.#expectContent();
        if (command.bytes === 0) this.#chunkRead(this.#arrival);
        return;
      case 'start-tls':
        return this.#startTls();
      case 'close':
        this.#over('');
    }
  }

  #newArrival(kind: 'data' | 'bdat'): Arrival {
    const expected = smtp.transactionOf(this.#session)?.sizeBytes ?? 0;
    const { scanner, spool, config } = this.#relay;
    return new Arrival(scanner, spool.begin(expected), kind, config.messageBytesMax);
  }

  #dropArrival(): void {
    this.#arrival?.discard();
    this.#arrival = null;
  }

  #expectContent(): void {
    this.#connection.setDeadline(this.#relay.config.dataSecondsMax);
    this.#connection.requireRate(this.#relay.config.dataBytesPerSecondMin);
  }

  #readContent(rest: Buffer): boolean {
    const arrival = this.#arrival!;
    const behind = arrival.feed(rest, this.#at, rest.length);
    this.#at = arrival.end;
    if (arrival.ended) this.#messageRead(arrival);
    else {
      this.#connection.setDeadline(this.#relay.config.dataSecondsMax);
      if (behind !== undefined) this.#hold(behind);
    }
    return true;
  }

  #readChunk(rest: Buffer): boolean {
    const arrival = this.#arrival!;
    const to = Math.min(rest.length, this.#at + this.#chunkLeft);
    const behind = arrival.feed(rest, this.#at, to);
    this.#chunkLeft -= to - this.#at;
    this.#at = to;
    if (this.#chunkLeft === 0) this.#chunkRead(arrival);
    else {
      this.#connection.setDeadline(this.#relay.config.dataSecondsMax);
      if (behind !== undefined) this.#hold(behind);
    }
    return true;
  }

  #chunkRead(arrival: Arrival): void {
    if (this.#chunkLast) {
      arrival.finish();
      return this.#messageRead(arrival);
    }
    this.#mode = 'command';
    this.#connection.requireRate(0);
    this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
    this.#answer(smtp.bdatChunkDone(this.#chunkBytes), null);
  }

  #skipChunk(rest: Buffer): boolean {
    const to = Math.min(rest.length, this.#at + this.#chunkLeft);
    this.#chunkLeft -= to - this.#at;
    this.#at = to;
    if (this.#chunkLeft > 0) return true;
    this.#mode = 'command';
    this.#out += this.#afterSkip;
    this.#afterSkip = '';
    this.#connection.requireRate(0);
    this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
    return true;
  }

  /** All of the message is here. The client waits for our 250, which waits for the disk. */
  #messageRead(arrival: Arrival): void {
    const transaction = smtp.transactionOf(this.#session)!;
    this.#arrival = null;
    this.#mode = 'command';
    this.#held = true;
    this.#connection.requireRate(0);
    this.#connection.setDeadline(0);
    if (this.#out !== '') this.#flush();
    const origin = { session: this.id, side: this.#caller.side, via: this.#via() };
    acceptMessage(this.#relay, origin, transaction, arrival).then((acceptance) => this.#messageDone(acceptance));
  }

  #messageDone(acceptance: Acceptance): void {
    this.#held = false;
    if (this.#mode === 'over') return;
    this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
    if (acceptance.tag === 'accepted') this.#messages++;
    else {
      this.#refusals++;
      this.#lastRefusal = acceptance.reply;
      this.#relay.refused(this.id, this.#caller, acceptance.reply);
    }
    const answer =
      acceptance.tag === 'accepted'
        ? smtp.endOfMessage(this.#session, 'queued', this.#settings, acceptance.id)
        : smtp.endOfMessage(this.#session, acceptance.reply, this.#settings);
    this.#answer(answer, null);
    this.#pump();
    if (this.#relay.draining) this.drain();
  }

  #via() {
    const secure = this.#connection.secure;
    const hello = smtp.helloOf(this.#session);
    return {
      address: this.#caller.address,
      helo: hello?.client ?? '',
      extended: hello?.verb === 'EHLO',
      tls: secure === null ? null : { protocol: secure.getProtocol() ?? '', cipher: secure.getCipher()?.name ?? '' },
    };
  }

  #startTls(): void {
    const context = this.#relay.tlsContext(this.#caller.side);
    this.#flush();
    // RFC 3207 §4.2 and CVE-2011-0411: what came in clear behind the command must not be taken for commands.
    this.#rest = null;
    this.#at = 0;
    this.#mode = 'handshake';
    this.#connection.setDeadline(LIMITS.tlsHandshakeSeconds);
    this.#connection.startTls({ role: 'server', context });
  }

  /** Ends the session of our own accord: with a 421, or a 554 to who talks early. */
  #end(key: ReplyKey): void {
    if (this.#mode === 'over') return;
    this.#relay.refused(this.id, this.#caller, key);
    this.#ending = key;
    this.#over(replyLine(key, this.#settings.hostname));
  }

  #over(lastLine: string): void {
    this.#mode = 'over';
    this.#rest = null;
    this.#dropArrival();
    const text = this.#out + lastLine;
    this.#out = '';
    this.#connection.finish(text);
  }
}
