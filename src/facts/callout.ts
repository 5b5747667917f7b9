/**
 * Asks the inside servers themselves: RCPT, and never a message (callout_session.ts). A few connections, kept for the
 * next question; each question has one deadline for all its tries.
 *
 *   question ─► idle session, or a new one while there may be more, or wait ─► answer
 *                 └ a session that had served before has died: the question goes to another one
 */
import { setTimeout as later } from 'node:timers';
import { LIMITS } from '../config/limits.ts';
import type { CalloutText } from '../config/policy/recipients.ts';
import type { Deadlines } from '../net/connection.ts';
import type { CalloutOwner, CalloutTarget } from './callout_session.ts';
import { CalloutSession } from './callout_session.ts';
import type { Directory, Knowledge } from './recipients.ts';

export type CalloutTerms = Pick<CalloutText, 'timeoutMs' | 'connectionsMax'> & {
  readonly hostname: string;
  readonly deadlines: Deadlines;
  /** In order of preference; asked again for each new connection. Never rejects; none: there is nowhere to ask. */
  readonly targets: () => Promise<readonly CalloutTarget[]> | readonly CalloutTarget[];
};

type Question = { readonly address: string; answer: (knowledge: Knowledge) => void };

export class CalloutDirectory implements Directory, CalloutOwner {
  readonly #terms: CalloutTerms;
  readonly #waiting: Question[] = [];
  readonly #busy = new Map<CalloutSession, Question>();
  readonly #idle: CalloutSession[] = [];
  /** Being opened, the target's number beside each. */
  readonly #opening = new Map<CalloutSession, number>();
  #dialing = 0;
  #closed = false;

  constructor(terms: CalloutTerms) {
    this.#terms = terms;
  }

  get hostname(): string {
    return this.#terms.hostname;
  }

  get deadlines(): Deadlines {
    return this.#terms.deadlines;
  }

  get timeoutSeconds(): number {
    return this.#terms.timeoutMs / 1000;
  }

  knows(address: string): Promise<Knowledge> {
    return new Promise((resolve) => {
      const question: Question = { address, answer: resolve };
      const timer = later(() => this.#settle(question, { trouble: 'no answer in time' }), this.#terms.timeoutMs);
      question.answer = (knowledge) => {
        clearTimeout(timer);
        resolve(knowledge);
      };
      this.#waiting.push(question);
      this.#pump();
    });
  }

  /** Idle sessions end now, others as they become idle: a transaction keeps the policy that it began with. */
  close(): void {
    this.#closed = true;
    for (const session of this.#idle.splice(0)) session.close();
  }

  // --- what sessions report ---

  idle(session: CalloutSession): void {
    this.#opening.delete(session);
    this.#busy.delete(session);
    this.#idle.push(session);
    this.#pump();
    if (this.#closed) this.close();
  }

  answered(session: CalloutSession, knowledge: Knowledge): void {
    const question = this.#busy.get(session);
    this.#busy.delete(session);
    if (question !== undefined) this.#settle(question, knowledge);
  }

  failed(session: CalloutSession, why: string, spent: boolean): void {
    const question = this.#busy.get(session);
    const target = this.#opening.get(session);
    this.#busy.delete(session);
    this.#opening.delete(session);
    const at = this.#idle.indexOf(session);
    if (at !== -1) this.#idle.splice(at, 1);
    if (question !== undefined && spent) this.#waiting.unshift(question);
    else if (question !== undefined) this.#settle(question, { trouble: why });
    if (target !== undefined) this.#open(target + 1, why);
    this.#pump();
  }

  // --- questions to sessions ---

  #pump(): void {
    while (this.#waiting.length > 0) {
      const session = this.#idle.pop();
      if (session === undefined) break;
      const question = this.#waiting.shift()!;
      this.#busy.set(session, question);
      session.ask(question.address);
    }
    const open = this.#busy.size + this.#opening.size + this.#dialing;
    const unserved = this.#waiting.length - this.#opening.size - this.#dialing;
    if (unserved > 0 && open < this.#terms.connectionsMax) this.#open(0, 'no server to ask');
  }

  /** The target of that number; after the last, whoever waits has his answer. */
  async #open(number: number, why: string): Promise<void> {
    this.#dialing++;
    const targets = await this.#terms.targets();
    this.#dialing--;
    const target = targets[number];
    if (target !== undefined && number < LIMITS.targetsPerConnectionMax) {
      this.#opening.set(new CalloutSession(target, this), number);
      return;
    }
    if (this.#busy.size + this.#opening.size + this.#dialing > 0) return; // others are still at it
    for (const question of this.#waiting.splice(0)) question.answer({ trouble: why });
  }

  #settle(question: Question, knowledge: Knowledge): void {
    const at = this.#waiting.indexOf(question);
    if (at !== -1) this.#waiting.splice(at, 1);
    question.answer(knowledge);
  }
}
