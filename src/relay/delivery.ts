/**
 * One outbound connection: dials a site's targets in order, greets, and carries one parcel after the other.
 * What is said is smtp/greeting.ts and smtp/client.ts; here are the socket, the deadlines, and the content's way from
 * the journal to the wire.
 *
 *   dial ─► greet ─► (STARTTLS, AUTH) ─► carrying ⇄ idle ─► closed
 *     ▲        │ refused, lost, too slow
 *     └────────┘ the next target; after the last: Site.notConnected
 */
import { assert } from '../base/assert.ts';
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { editedBytes } from '../message/edits.ts';
import type { CloseReason, OpeningHandler } from '../net/connection.ts';
import { Connection } from '../net/connection.ts';
import { clientOptions } from '../net/tls.ts';
import { handoverTo } from '../policy/notice.ts';
import type { Capabilities } from '../smtp/capabilities.ts';
import { NO_CAPABILITIES } from '../smtp/capabilities.ts';
import * as client from '../smtp/client.ts';
import type { Failure, Greeting, GreetingPlan, GreetingStep } from '../smtp/greeting.ts';
import { greetingReply, greetingSecured, newGreeting } from '../smtp/greeting.ts';
import type { Reply } from '../smtp/reply_reader.ts';
import { ReplyReader } from '../smtp/reply_reader.ts';
import { sendBdat, sendData } from './content.ts';
import type { Peer } from './outbound.ts';
import type { Parcel } from './parcel.ts';
import type { Relay } from './relay.ts';
import type { Target } from './router.ts';
import type { Site } from './site.ts';

/** Who gets the outcomes. */
export interface Carrier {
  readonly relay: Relay;
  readonly draining: boolean;
  /** The same parcel, with a hold of its own on the message. */
  again(parcel: Parcel): Parcel;
  /** Ends the parcel's hold. */
  settle(
    parcel: Parcel,
    site: string,
    outcomes: readonly client.Outcome[],
    peer: Peer,
    startMs: number,
  ): Promise<boolean> | true;
}

type Carriage = {
  readonly parcel: Parcel;
  readonly transaction: client.Transaction;
  readonly startMs: number;
};

type State =
  | { readonly tag: 'dialing' | 'greeting' | 'idle' | 'closed' }
  | { readonly tag: 'carrying'; readonly carriage: Carriage };

const NOWHERE = { permanent: false, code: 0, enhanced: '4.4.1', stage: 'connect' } as const;
const NO_ADDRESS: Failure = { ...NOWHERE, text: 'no address to connect to' };

export class DeliveryConnection implements OpeningHandler {
  readonly #site: Site;
  readonly #targets: readonly Target[];
  readonly #carrier: Carrier;
  #state: State = { tag: 'dialing' };
  #targetAt = -1;
  #target: Target | null = null;
  #connection: Connection | null = null;
  #reader = new ReplyReader();
  #greeting: Greeting = newGreeting();
  #failure: Failure = NO_ADDRESS;
  /** The handshake failed with this target, and in clear is better than not at all (RFC 7435). */
  #withoutTls = false;
  #capabilities: Capabilities = NO_CAPABILITIES;
  /** Who has greeted us; there before anything is carried. */
  #peer: Peer | null = null;
  #messages = 0;
  #openedMs = 0;
  #rsetFirst = false;

  constructor(site: Site, targets: readonly Target[], carrier: Carrier) {
    this.#site = site;
    this.#targets = targets;
    this.#carrier = carrier;
  }

  open(): void {
    this.#nextTarget();
  }

  /** For an idle one only: carries a parcel. */
  take(parcel: Parcel): void {
    assert(this.#state.tag === 'idle', 'only an idle connection takes a parcel');
    this.#begin(parcel);
  }

  /** For an idle one only: leaves with a QUIT. */
  quit(): void {
    this.#leave('QUIT\r\n');
  }

  abort(): void {
    this.#lost('shutting down');
  }

  // --- the way to a server that takes mail ---

  #nextTarget(): void {
    this.#withoutTls = false;
    this.#targetAt++;
    this.#dial();
  }

  #dial(): void {
    const target = this.#targets[this.#targetAt];
    if (target === undefined || this.#targetAt >= LIMITS.targetsPerConnectionMax) {
      this.#state = { tag: 'closed' };
      this.#site.notConnected(this, this.#failure);
      return;
    }
    this.#target = target;
    this.#state = { tag: 'dialing' };
    this.#reader = new ReplyReader();
    this.#greeting = newGreeting();
    const { deadlines, config } = this.#carrier.relay;
    this.#connection = Connection.open(target.address, target.port, deadlines, this);
    this.#connection.setDeadline(config.connectSecondsMax);
  }

  onConnect(): void {
    if (this.#state.tag !== 'dialing') return;
    this.#state = { tag: 'greeting' };
    this.#connection!.setDeadline(this.#carrier.relay.config.replySecondsMax);
  }

  #plan(): GreetingPlan {
    const { protocol, tls, credentials } = this.#target!;
    const policy = this.#withoutTls ? 'never' : tls;
    return {
      hostname: this.#carrier.relay.config.hostname,
      protocol,
      tls: policy,
      credentials: this.#withoutTls ? null : (credentials ?? null),
    };
  }

  #greet(step: GreetingStep): void {
    const connection = this.#connection!;
    switch (step.tag) {
      case 'say':
        this.#greeting = step.greeting;
        connection.send(step.text);
        return connection.setDeadline(this.#carrier.relay.config.replySecondsMax);
      case 'handshake': {
        this.#greeting = step.greeting;
        this.#reader = new ReplyReader(); // what came in clear behind the 220 is nobody's word (CVE-2021-38371)
        connection.setDeadline(LIMITS.tlsHandshakeSeconds);
        return connection.startTls({ role: 'client', options: clientOptions(this.#target!.host, this.#target!.tls) });
      }
      case 'ready':
        this.#capabilities = step.capabilities;
        this.#peer = peerOf(this.#target!, step.capabilities, connection.secure);
        this.#openedMs = monotonicMs();
        this.#site.connected();
        return this.#carryNext();
      case 'failed':
        this.#failure = step.failure;
        return this.#abandon();
    }
  }

  onTls(): void {
    this.#carrier.relay.metrics.count('tls_outbound_ok');
    this.#greet(greetingSecured(this.#plan()));
  }

  /** This target will not do: on to the next. */
  #abandon(): void {
    const connection = this.#connection!;
    this.#connection = null;
    connection.leave(connection.open ? 'QUIT\r\n' : '');
    this.#nextTarget();
  }

  // --- what the socket reports ---

  onBytes(chunk: Buffer): void {
    this.#reader.push(chunk.toString('latin1'));
    const reader = this.#reader;
    for (let reply = reader.next(); reply !== null; reply = reader.next()) {
      this.#onReply(reply);
      if (reader !== this.#reader) return; // another connection, or TLS, has begun
    }
    if (reader.fault !== null) this.#lost(`the server's reply is unreadable (${reader.fault})`);
  }

  #onReply(reply: Reply): void {
    switch (this.#state.tag) {
      case 'greeting':
        return this.#greet(greetingReply(this.#greeting, reply, this.#plan()));
      case 'carrying':
        return this.#carry(this.#state.carriage, client.transactionReply(this.#state.carriage.transaction, reply));
      case 'idle':
        return this.#leave(''); // whatever it says unasked, it is about to go
      default:
        return;
    }
  }

  onDeadline(): void {
    if (this.#state.tag === 'idle') this.quit();
    else this.#lost('timed out');
  }

  onSlow(): void {}

  onClose(reason: CloseReason, detail: string): void {
    if (this.#connection === null) return;
    if (reason === 'tls-failed') {
      this.#carrier.relay.metrics.count('tls_outbound_failed');
      if (this.#target!.tls === 'may' && this.#target!.credentials === undefined) {
        this.#withoutTls = true;
        this.#dial();
        return;
      }
    }
    this.#lost(WORDS[detail] ?? (detail === '' ? 'the server closed the connection' : `connection failed (${detail})`));
  }

  /** The connection is of no use any more, wherever it stood. */
  #lost(text: string): void {
    const { tag } = this.#state;
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
    if (tag === 'dialing' || tag === 'greeting') {
      this.#failure = {
        permanent: false,
        code: 0,
        enhanced: tag === 'dialing' ? '4.4.1' : '4.4.2',
        text,
        stage: 'connect',
      };
      if (this.#carrier.draining) this.#targetAt = this.#targets.length;
      this.#nextTarget();
    } else if (this.#state.tag === 'carrying') {
      const { carriage } = this.#state;
      client.transactionLost(carriage.transaction, this.#messages > 0, text);
      this.#closed();
      this.#settle(carriage);
    } else if (tag === 'idle') this.#closed();
  }

  #leave(text: string): void {
    const connection = this.#connection!;
    this.#connection = null;
    connection.leave(text);
    this.#closed();
  }

  #closed(): void {
    this.#state = { tag: 'closed' };
    this.#site.closed(this);
    this.#site.pump();
  }

  // --- carrying ---

  #carryNext(): void {
    const { config } = this.#carrier.relay;
    const { connectionMessagesMax, connectionAgeMsMax } = this.#site.rules;
    const { messagesMax: said } = this.#capabilities; // RFC 9422 §4.1
    const messagesMax = Math.min(connectionMessagesMax, said ?? connectionMessagesMax);
    const spent = this.#messages >= messagesMax || monotonicMs() - this.#openedMs > connectionAgeMsMax;
    this.#state = { tag: 'idle' };
    if (spent || this.#carrier.draining || this.#site.givesWay) return this.quit();
    const parcel = this.#site.next(this);
    if (parcel !== null) this.#begin(parcel);
    else if (config.connectionIdleSecondsMax === 0 && !this.#site.waiting) this.quit();
    else this.#connection!.setDeadline(Math.max(1, config.connectionIdleSecondsMax));
  }

  #begin(parcel: Parcel): void {
    const { envelope } = parcel.message;
    const most = this.#capabilities.recipientsMax ?? LIMITS.recipientsPerTransaction; // RFC 9422 §4.2
    const recipients = parcel.recipients.length > most ? parcel.recipients.slice(0, most) : parcel.recipients;
    const mail: client.Mail = {
      sender: envelope.sender,
      smtpUtf8: envelope.smtpUtf8,
      eightBit: envelope.content.eightBit,
      bytes: editedBytes(envelope.content.bytes, envelope.edits),
      ret: envelope.ret,
      envid: envelope.envid,
      recipients: recipients.map((at) => envelope.recipients[at]!),
    };
    const part = recipients === parcel.recipients ? parcel : { ...parcel, recipients };
    const startMs = monotonicMs();
    const begun = client.beginTransaction(mail, {
      capabilities: this.#capabilities,
      lmtp: this.#target!.protocol === 'lmtp',
      rsetFirst: this.#rsetFirst,
      reused: this.#messages > 0,
      contentAtHand: parcel.message.content !== null,
    });
    if (parcel.recipients.length > most) {
      this.#site.pushAgain({ ...this.#carrier.again(parcel), recipients: parcel.recipients.slice(most) });
    }
    if (begun.tag === 'impossible') {
      const outcomes = recipients.map(() => begun.outcome);
      this.#carrier.settle(part, this.#site.key, outcomes, this.#peer!, startMs);
      // In a turn of its own: there may be thousands of them.
      setImmediate(() => {
        if (this.#state.tag === 'idle') this.#carryNext();
      });
      return;
    }
    if (this.#messages > 0) this.#carrier.relay.metrics.count('connections_out_reused');
    this.#rsetFirst = false;
    this.#state = { tag: 'carrying', carriage: { parcel: part, transaction: begun.transaction, startMs } };
    const connection = this.#connection!;
    connection.setDeadline(this.#carrier.relay.config.replySecondsMax);
    if (!begun.withContent) connection.send(begun.text);
    else sendBdat(connection, begun.text, parcel.message);
  }

  #carry(carriage: Carriage, step: client.TransactionStep): void {
    const connection = this.#connection!;
    const { config } = this.#carrier.relay;
    switch (step.tag) {
      case 'wait':
        return connection.setDeadline(
          client.awaitsFinal(carriage.transaction) ? config.finalReplySecondsMax : config.replySecondsMax,
        );
      case 'say':
        connection.send(step.text);
        return connection.setDeadline(config.replySecondsMax);
      case 'content':
        this.#stream(carriage, connection);
        return;
      case 'finished':
        this.#messages++;
        this.#site.took();
        this.#rsetFirst = step.after === 'rset';
        if (step.after === 'close') {
          this.#leave('QUIT\r\n');
          return this.#settle(carriage);
        }
        this.#settle(carriage);
        return this.#carryNext();
    }
  }

  /**
   * Half a message must not look like a whole one: where it cannot be read, there is no end of data and the
   * connection goes.
   */
  async #stream(carriage: Carriage, connection: Connection): Promise<void> {
    const { spool, config } = this.#carrier.relay;
    const onProgress = () => connection.setDeadline(config.dataSecondsMax);
    try {
      await sendData(connection, spool, carriage.parcel.message, onProgress);
    } catch (error) {
      if (connection === this.#connection) this.#lost(`cannot read the message: ${(error as Error).message}`);
      return;
    }
    if (connection !== this.#connection) return;
    client.contentSent(carriage.transaction);
    connection.setDeadline(config.finalReplySecondsMax);
  }

  #settle({ parcel, transaction, startMs }: Carriage): void {
    const outcomes = client.outcomesOf(transaction);
    const some = outcomes.some(isAgain);
    const tooOften = parcel.again >= LIMITS.againMax;
    const counted = some && tooOften ? outcomes.map((each) => (isAgain(each) ? asDeferred(each) : each)) : outcomes;
    const rest = some && !tooOften ? this.#carrier.again(parcel) : null;
    this.#carrier.settle(parcel, this.#site.key, counted, this.#peer!, startMs);
    if (rest === null) return;
    const recipients = parcel.recipients.filter((_, at) => isAgain(outcomes[at]!));
    this.#site.pushAgain({ ...rest, recipients, again: parcel.again + 1 });
  }
}

function peerOf({ host, address, protocol }: Target, { dsn }: Capabilities, secure: Connection['secure']): Peer {
  return { host, address, tls: secure?.getProtocol() ?? '', handover: handoverTo(dsn, protocol === 'lmtp') };
}

const isAgain = ({ tag }: client.Outcome): boolean => tag === 'again';
const asDeferred = (outcome: client.Outcome): client.Outcome => ({ ...outcome, tag: 'deferred' });

/** The system's words in ours. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by the server',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
};
