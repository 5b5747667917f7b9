/**
 * Drives one SMTP session on the server side: bytes from the connection to commands and content, replies back.
 * What a command means is smtp/session.ts, who may pass is policy/, what becomes of a message is inbound.ts.
 *
 *   greeting ─► command ⇄ line (an over-long one, skipped to its end)
 *                 ├─ DATA ─► content ─► held ─► command        held: our reply waits for the disk or for the client
 *                 ├─ BDAT ─► content ─► held ─► command        to take earlier replies; what arrives meanwhile is
 *                 ├─ refused BDAT ─► skip ────► command        kept (one read at most), then reading stops
 *                 └─ STARTTLS ─► handshake ───► command
 *   over: the last line has been said; the connection lingers for the peer to read it
 *
 * Replies to pipelined commands leave in one write (RFC 2920 §3.2).
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { FilteredEnvelope } from '../filters/filter.ts';
import type { CloseReason, ConnectionHandler } from '../net/connection.ts';
import { Connection } from '../net/connection.ts';
import { type Command, parseCommand } from '../smtp/command.ts';
import { replyLine } from '../smtp/replies.ts';
import * as smtp from '../smtp/session.ts';
import { Arrival } from './arrival.ts';
import type { Decision, Refused } from './because.ts';
import { decide } from './decision.ts';
import { filteredTls } from './filtered_envelope.ts';
import type { Caller } from './front_door.ts';
import { type Acceptance, acceptMessage, viaOf } from './inbound.ts';
import { Input } from './input.ts';
import { Inspection } from './inspection.ts';
import type { Relay } from './relay.ts';
import { SessionAccount } from './session_account.ts';

type Mode = 'greeting' | 'command' | 'line' | 'content' | 'skip' | 'handshake' | 'over';

export class InboundSession implements ConnectionHandler {
  readonly id: string;
  readonly #relay: Relay;
  #caller: Caller;
  readonly #connection: Connection;
  #settings: smtp.Settings;
  readonly #account = new SessionAccount();
  #inspection: Inspection;
  readonly #session: smtp.Session;
  #tls: FilteredEnvelope['tls'] = null;
  #mode: Mode = 'greeting';
  readonly #input = new Input();
  /** Something must happen before the next byte is looked at: a commit, a drain. */
  #held = false;
  #out = '';
  #arrival: Arrival | null = null;
  /** Octets of the BDAT chunk still to come; of DATA, any. */
  #chunkLeft = 0;
  #chunkBytes = 0;
  #chunkLast = false;
  /** The reply to a refused chunk, which waits for its end. */
  #afterSkip = '';

  constructor(relay: Relay, wire: ConstructorParameters<typeof Connection>[0] | Connection, caller: Caller) {
    this.id = relay.nextId();
    this.#relay = relay;
    this.#caller = caller;
    this.#settings = relay.settings[caller.side];
    this.#inspection = new Inspection(relay, this.id, caller);
    this.#session = smtp.newSession(relay.frontDoor.mayAnnounce(caller));
    this.#connection = wire instanceof Connection ? wire.passTo(this) : new Connection(wire, relay.deadlines, this);
    this.#greet();
  }

  /** Ends the session at the next moment that costs the client nothing; an open transaction may still finish. */
  drain(): void {
    if (
      this.#mode === 'greeting' ||
      (this.#mode === 'command' && !this.#held && smtp.transactionOf(this.#session) === null)
    ) {
      this.#end({ key: 'shuttingDown' });
    }
  }

  destroy(): void {
    this.#connection.destroy();
  }

  onBytes(chunk: Buffer): void {
    this.#account.bytes += chunk.length;
    // RFC 5321 §4.3.1
    if (this.#mode === 'greeting' && this.#caller.side === 'outside') return this.#end({ key: 'earlyTalk' });
    if (this.#mode === 'over') return;
    this.#input.push(chunk);
    if (this.#held || this.#mode === 'greeting') this.#connection.pause();
    else this.#pump();
    this.#input.keep();
  }

  onDeadline(): void {
    this.#end({ key: 'timeout' });
  }

  onSlow(): void {
    this.#end({ key: 'tooSlow' });
  }

  onTls(): void {
    this.#relay.metrics.count('tls_inbound_ok');
    smtp.tlsStarted(this.#session);
    this.#tls = filteredTls(this.#connection.secure);
    this.#mode = 'command';
    this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
  }

  onClose(reason: CloseReason, detail: string): void {
    this.#mode = 'over';
    this.#dropArrival();
    if (reason === 'tls-failed') this.#relay.metrics.count('tls_inbound_failed');
    this.#relay.sessionClosed(this, this.#caller, reason);
    const hello = smtp.helloOf(this.#session);
    this.#account.log(this.#relay, this.id, this.#caller, hello, this.#connection, { reason, detail });
  }

  #greet(): void {
    const decision = this.#inspection.connect();
    const greet = () => {
      if (decision instanceof Promise) decision.then((each) => this.#greeted(each));
      else this.#greeted(decision);
    };
    const delayMs = this.#caller.side === 'outside' ? this.#relay.config.greetingDelayMs : 0;
    if (delayMs > 0) setTimeout(greet, delayMs).unref();
    // Twice round the event loop: the socket is polled between, so that what was sent before the banner is seen.
    else if (this.#caller.side === 'outside') setImmediate(() => setImmediate(greet));
    else greet();
  }

  #greeted(decision: Decision): void {
    if (this.#mode !== 'greeting') return;
    if (decision !== null) return this.#end(decision);
    this.#mode = 'command';
    this.#out += smtp.banner(this.#settings);
    this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
    this.#pump();
  }

  /** Works through what has been read until it is used up, or something must be waited for. */
  #pump(): void {
    const busy = () => this.#held || this.#mode === 'over' || this.#mode === 'handshake';
    while (!this.#input.empty && !busy() && this.#advance());
    // While a command waits for its answer, and the next one is here already, nobody waits for the replies before it.
    if (this.#out !== '' && (!this.#held || this.#input.empty)) this.#flush();
    if (!this.#held) this.#connection.resume();
  }

  /** One step in the present mode; false when more bytes are needed for it. */
  #advance(): boolean {
    switch (this.#mode) {
      case 'command':
        return this.#readCommand();
      case 'line':
        return this.#skipLine();
      case 'content':
        return this.#readContent();
      case 'skip':
        return this.#skipChunk();
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

  /** Nothing is read meanwhile: it would be a copy, of a whole read at worst, where the client can keep it. */
  #hold(until: Promise<void>): void {
    if (this.#held) return;
    this.#held = true;
    this.#connection.pause();
    until.then(() => {
      this.#held = false;
      this.#pump();
    });
  }

  #readCommand(): boolean {
    const found = this.#input.line(LIMITS.commandLineBytesMax);
    if (found === 'more') return false;
    const { commandSecondsMax, sessionSecondsMax } = this.#relay.config;
    this.#connection.setDeadline(commandSecondsMax);
    const ageMs = this.#relay.deadlines.nowMs - this.#account.startedMs;
    if (sessionSecondsMax > 0 && ageMs > sessionSecondsMax * 1000) this.#end({ key: 'sessionTooLong' });
    else if (found === 'bare') this.#refuse({ key: 'bareLf' });
    else if (found === 'line') this.#obey(parseCommand(this.#input.text));
    // A BDAT in such a line is not understood, and its octets would be taken for commands.
    else if (/^bdat /i.test(this.#input.text)) this.#end({ key: 'lineTooLong' });
    else this.#mode = 'line';
    return true;
  }

  #skipLine(): boolean {
    if (!this.#input.skipLine()) return true;
    this.#mode = 'command';
    this.#refuse({ key: 'lineTooLong' }); // RFC 5321 §4.5.3.1.4
    return true;
  }

  #obey(command: ReturnType<typeof parseCommand>): void {
    this.#relay.metrics.count('commands');
    if (command.verb === 'mistake') {
      if (command.fatal) return this.#end({ key: command.reply });
      return this.#refuse({ key: command.reply }, command.bdatBytes);
    }
    const decision = decide(this.#session, command, this.#settings, this.#inspection, this.#tls);
    if (decision instanceof Promise) this.#hold(decision.then((each) => this.#decided(command, each)));
    else this.#decided(command, decision);
  }

  #decided(command: Command, decision: Decision): void {
    if (this.#mode === 'over') return;
    if (decision !== null) return this.#refuse(decision, command.verb === 'BDAT' ? command.bytes : undefined);
    this.#answer(smtp.perform(this.#session, command, this.#settings), command);
  }

  #refuse(refused: Refused, bdatBytes?: number): void {
    this.#account.refused(refused.key);
    this.#relay.refused(this.id, this.#caller, refused);
    const answer = smtp.refuse(this.#session, refused, this.#settings, bdatBytes !== undefined);
    if (bdatBytes !== undefined && bdatBytes > 2 * this.#settings.messageBytesMax) {
      this.#out += answer.reply; // nobody means to send this much to the end
      return this.#over('');
    }
    if (bdatBytes !== undefined && bdatBytes > 0 && answer.action !== 'close') {
      // RFC 3030 §2: the octets come whatever we say; the answer waits for their end.
      this.#dropArrival();
      this.#chunkLeft = bdatBytes;
      this.#afterSkip = answer.reply;
      this.#mode = 'skip';
      return this.#expectContent();
    }
    this.#answer(answer, null);
  }

  #answer(answer: smtp.Answer, command: Command | null): void {
    this.#out += answer.reply;
    // RSET, EHLO and the like end a transaction, and a BDAT message half way.
    if (smtp.transactionOf(this.#session) === null) this.#dropArrival();
    switch (answer.action) {
      case 'read-data':
        this.#mode = 'content';
        this.#chunkLeft = Number.POSITIVE_INFINITY;
        this.#arrival = this.#newArrival('data');
        return this.#expectContent();
      case 'read-bdat':
        if (command?.verb !== 'BDAT') return;
        this.#mode = 'content';
        this.#chunkLeft = command.bytes;
        this.#chunkBytes = command.bytes;
        this.#chunkLast = command.last;
        this.#arrival ??= this.#newArrival('bdat');
        this.#expectContent();
        if (command.bytes === 0) this.#chunkRead(this.#arrival);
        return;
      case 'start-tls':
        return this.#startTls();
      case 'announce':
        return this.#announced(command);
      case 'close':
        this.#over('');
    }
  }

  #newArrival(kind: 'data' | 'bdat'): Arrival {
    const { scanner, spool, config } = this.#relay;
    const transaction = smtp.transactionOf(this.#session)!;
    const tap = this.#inspection.begin(transaction);
    const draft = spool.begin(transaction.sizeBytes);
    return new Arrival(scanner, draft, kind, config.messageBytesMax, tap === null ? [] : [tap]);
  }

  #dropArrival(): void {
    this.#arrival?.discard();
    this.#arrival = null;
    this.#inspection.abandon(this.#mode === 'over');
  }

  #expectContent(): void {
    this.#connection.setDeadline(this.#relay.config.dataSecondsMax);
    this.#connection.requireRate(this.#relay.config.dataBytesPerSecondMin);
  }

  #readContent(): boolean {
    const arrival = this.#arrival!;
    const { taken, behind } = this.#input.feed(arrival, this.#chunkLeft);
    this.#chunkLeft -= taken;
    if (arrival.ended) this.#messageRead(arrival);
    else if (this.#chunkLeft === 0) this.#chunkRead(arrival);
    else this.#connection.setDeadline(this.#relay.config.dataSecondsMax);
    if (behind !== undefined) this.#hold(behind); // more is to come, when the disk is ready for it
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

  #skipChunk(): boolean {
    this.#chunkLeft -= this.#input.skip(this.#chunkLeft);
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
    const via = viaOf(this.#caller, smtp.helloOf(this.#session), this.#connection.secure);
    const origin = { session: this.id, side: this.#caller.side, via };
    acceptMessage(this.#relay, origin, transaction, arrival, this.#inspection).then((acceptance) =>
      this.#messageDone(acceptance),
    );
  }

  #messageDone(acceptance: Acceptance): void {
    this.#held = false;
    if (this.#mode === 'over') return;
    this.#connection.setDeadline(this.#relay.config.commandSecondsMax);
    if ('id' in acceptance) this.#account.messages++;
    else {
      this.#account.refused(acceptance.key);
      this.#relay.refused(this.id, this.#caller, acceptance);
    }
    const answer = smtp.endOfMessage(this.#session, acceptance, this.#settings);
    this.#answer(answer, null);
    this.#pump();
    if (this.#relay.draining) this.drain();
  }

  /** The peer speaks for another client, and the session begins anew for that one. */
  #announced(command: Command | null): void {
    if (command?.verb !== 'XCLIENT' || command.said === null) return;
    const caller = this.#relay.frontDoor.byXclient(this.#caller, command.said, monotonicMs());
    if (typeof caller === 'string') return this.#end({ key: caller });
    this.#caller = caller;
    this.#settings = this.#relay.settings[caller.side];
    this.#inspection = new Inspection(this.#relay, this.id, caller); // what was known was about somebody else
    const decision = this.#inspection.connect();
    if (decision instanceof Promise) this.#hold(decision.then((each) => this.#welcomed(each)));
    else this.#welcomed(decision);
  }

  #welcomed(decision: Decision): void {
    if (this.#mode === 'over') return;
    if (decision !== null) return this.#end(decision);
    this.#out += smtp.banner(this.#settings);
  }

  #startTls(): void {
    const context = this.#relay.tlsContext(this.#caller.side);
    this.#flush();
    // RFC 3207 §4.2 and CVE-2011-0411: what came in clear behind the command must not be taken for commands.
    this.#input.clear();
    this.#mode = 'handshake';
    this.#connection.setDeadline(LIMITS.tlsHandshakeSeconds);
    this.#connection.startTls({ role: 'server', context });
  }

  /** Ends the session of our own accord: with a 421, or a 554 to who talks early. */
  #end(refused: Refused): void {
    if (this.#mode === 'over') return;
    this.#relay.refused(this.id, this.#caller, refused);
    this.#account.ending = refused.key;
    this.#over(replyLine(refused.key, refused.detail ?? this.#settings.hostname));
  }

  #over(lastLine: string): void {
    this.#mode = 'over';
    this.#input.clear();
    this.#dropArrival();
    const text = this.#out + lastLine;
    this.#out = '';
    this.#connection.finish(text);
  }
}
