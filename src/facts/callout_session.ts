/**
 * One connection to an inside server over which recipients are asked for, one after the other; nothing is ever sent.
 *
 *   dialing ─► greeting ─► idle ─► RSET ─► MAIL ─► RCPT ─► idle …        the RSET before the first one is left out
 *
 * `failed` is told once, whenever the connection is of no more use; who waits for an answer then asks another one.
 */
import { isAscii, utf8Octets } from '../base/text.ts';
import { LIMITS } from '../config/limits.ts';
import type { CloseReason, Deadlines, OpeningHandler } from '../net/connection.ts';
import { Connection } from '../net/connection.ts';
import { clientOptions } from '../net/tls.ts';
import type { Greeting, GreetingPlan, GreetingStep } from '../smtp/greeting.ts';
import { greetingReply, greetingSecured, newGreeting } from '../smtp/greeting.ts';
import type { Reply } from '../smtp/reply_reader.ts';
import { ReplyReader, replyText } from '../smtp/reply_reader.ts';
import type { Knowledge } from './recipients.ts';

export type CalloutTarget = {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly tls: GreetingPlan['tls'];
};

export interface CalloutOwner {
  readonly hostname: string;
  readonly deadlines: Deadlines;
  readonly timeoutSeconds: number;
  /** It can take a question. */
  idle(session: CalloutSession): void;
  answered(session: CalloutSession, knowledge: Knowledge): void;
  /** `spent`: it had served before, and has merely come to its end. */
  failed(session: CalloutSession, why: string, spent: boolean): void;
}

type State = 'dialing' | 'greeting' | 'idle' | 'rset' | 'mail' | 'rcpt' | 'closed';

/** RFC 3463 §3.2: statuses that speak of the recipient's address; 5.1.7 and 5.1.8 speak of the sender's. */
const NO_SUCH = /^5\.1\.(?![78]$)[0-9]+$/;
const NO_SUCH_CODES: ReadonlySet<number> = new Set([550, 551, 553]);

/** What a reply to RCPT says of the recipient. A full mailbox is there; a refusal for our sake says nothing. */
export function knowledgeOf(reply: Reply): Knowledge {
  if (reply.code < 300 || reply.enhanced.startsWith('5.2.') || reply.code === 552) return { known: true };
  const named = NO_SUCH.test(reply.enhanced);
  if (named || (reply.enhanced === '' && NO_SUCH_CODES.has(reply.code))) return { known: false };
  return { trouble: `RCPT: ${reply.code} ${replyText(reply)}`.slice(0, 200) };
}

export class CalloutSession implements OpeningHandler {
  readonly #owner: CalloutOwner;
  readonly #target: CalloutTarget;
  readonly #connection: Connection;
  #reader = new ReplyReader();
  #greeting: Greeting = newGreeting();
  #state: State = 'dialing';
  #utf8 = false;
  #address = '';
  #served = 0;

  constructor(target: CalloutTarget, owner: CalloutOwner) {
    this.#owner = owner;
    this.#target = target;
    this.#connection = Connection.open(target.address, target.port, owner.deadlines, this);
    this.#connection.setDeadline(owner.timeoutSeconds);
  }

  /** For an idle one only. `address` is a mailbox that has been parsed. */
  ask(address: string): void {
    this.#address = address;
    if (!isAscii(address) && !this.#utf8) {
      // RFC 6531 §3.2: such a server cannot have it.
      return this.#answer({ known: false });
    }
    this.#say(this.#served > 0 ? 'rset' : 'mail', this.#served > 0 ? 'RSET' : this.#mail());
  }

  close(): void {
    if (this.#state === 'closed') return;
    const polite = this.#state === 'idle';
    this.#state = 'closed';
    this.#connection.leave(polite ? 'QUIT\r\n' : '');
  }

  // --- what the socket reports ---

  onConnect(): void {
    if (this.#state === 'dialing') this.#state = 'greeting';
  }

  onBytes(chunk: Buffer): void {
    const reader = this.#reader;
    reader.push(chunk.toString('latin1'));
    for (let reply = reader.next(); reply !== null; reply = reader.next()) {
      this.#onReply(reply);
      if (reader !== this.#reader || this.#state === 'closed') return;
    }
    if (reader.fault !== null) this.#fail(`the server's reply is unreadable (${reader.fault})`);
  }

  onDeadline(): void {
    if (this.#state === 'idle') this.#fail('idle');
    else this.#fail('no answer in time');
  }

  onSlow(): void {}

  onTls(): void {
    this.#greet(greetingSecured(this.#plan()));
  }

  onClose(reason: CloseReason, detail: string): void {
    this.#fail(detail === '' ? reason : `${reason} (${detail})`);
  }

  // --- what is said ---

  #plan(): GreetingPlan {
    return { hostname: this.#owner.hostname, protocol: 'smtp', tls: this.#target.tls, credentials: null };
  }

  #greet(step: GreetingStep): void {
    switch (step.tag) {
      case 'say':
        this.#greeting = step.greeting;
        this.#connection.send(step.text);
        return this.#connection.setDeadline(this.#owner.timeoutSeconds);
      case 'handshake':
        this.#greeting = step.greeting;
        this.#reader = new ReplyReader(); // what came in clear behind the 220 is nobody's word
        this.#connection.setDeadline(this.#owner.timeoutSeconds);
        return this.#connection.startTls({
          role: 'client',
          options: clientOptions(this.#target.host, this.#target.tls),
        });
      case 'ready':
        this.#utf8 = step.capabilities.smtpUtf8;
        return this.#rest();
      case 'failed':
        return this.#fail(`${step.failure.stage}: ${step.failure.code} ${step.failure.text}`);
    }
  }

  #onReply(reply: Reply): void {
    // RFC 5321 §3.8: it leaves.
    if (reply.code === 421) return this.#fail(`the server leaves: ${replyText(reply)}`);
    switch (this.#state) {
      case 'greeting':
        return this.#greet(greetingReply(this.#greeting, reply, this.#plan()));
      case 'rset':
        return reply.code < 300 ? this.#say('mail', this.#mail()) : this.#fail(`RSET: ${reply.code}`);
      case 'mail':
        if (reply.code < 300) return this.#say('rcpt', `RCPT TO:<${utf8Octets(this.#address)}>`);
        return this.#answer({ trouble: `MAIL: ${reply.code} ${replyText(reply)}`.slice(0, 200) });
      case 'rcpt':
        return this.#answer(knowledgeOf(reply));
      default:
        return this.#fail('a reply to nothing');
    }
  }

  /** The null sender: nobody is to be told of a message that does not come. */
  #mail(): string {
    return `MAIL FROM:<>${this.#utf8 && !isAscii(this.#address) ? ' SMTPUTF8' : ''}`;
  }

  #say(state: State, line: string): void {
    this.#state = state;
    this.#connection.send(`${line}\r\n`);
    this.#connection.setDeadline(this.#owner.timeoutSeconds);
  }

  #answer(knowledge: Knowledge): void {
    this.#served++;
    this.#owner.answered(this, knowledge);
    if (this.#served >= LIMITS.calloutsPerConnectionMax) this.#fail('spent');
    else this.#rest();
  }

  #rest(): void {
    this.#state = 'idle';
    this.#connection.setDeadline(LIMITS.calloutIdleSeconds);
    this.#owner.idle(this);
  }

  #fail(why: string): void {
    if (this.#state === 'closed') return;
    const spent = this.#served > 0;
    this.close();
    this.#owner.failed(this, why, spent);
  }
}
