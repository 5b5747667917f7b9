/**
 * One session before the policy: what is known of it so far, what is being asked, and what the rules say at each stage.
 *
 *   connect ─► helo ─► mail ─► rcpt… ─► headers ─► data
 *     │ each: ask the stage's sources, all at once; judge at once, or when those have answered who were asked
 *     └ facts of connect and helo last for the session, those of mail for the transaction, those of rcpt for its reply
 *
 * A stage without rules costs nothing: its sources are asked, and nobody waits for them before a rule does.
 */

import type { Asked, Gathered } from '../facts/gather.ts';
import { added } from '../facts/gather.ts';
import type { Subject } from '../facts/source.ts';
import type { Side } from '../message/envelope.ts';
import type { Facts, Stage } from '../policy/facts.ts';
import { judgeRecipient } from '../policy/recipient.ts';
import type { Final, Trial, Verdict } from '../policy/rules.ts';
import { printMailbox } from '../smtp/address.ts';
import type { Command } from '../smtp/command.ts';
import type { Refusal } from '../smtp/replies.ts';
import type { Policy } from './policy.ts';
import type { Relay } from './relay.ts';

export type Decision = Refusal | null;

type Tag = Verdict['tags'][number];

/** What the rules want of a message that may pass. */
export type Passage = {
  readonly tags: readonly Tag[];
  readonly discard: boolean;
  readonly hold: boolean;
};

type Known = { facts: Facts; pending: Promise<Gathered>[] };

export class Inspection {
  readonly #relay: Relay;
  readonly #session: string;
  #policy: Policy;
  #subject: Subject;
  readonly #known: Known;
  #transaction: Known = { facts: {}, pending: [] };
  /** A rule has let the transaction, or the session, pass. */
  #accepted: 'no' | 'transaction' | 'session' = 'no';
  #tags: Tag[] = [];

  constructor(relay: Relay, session: string, caller: { readonly side: Side; readonly address: string }) {
    this.#relay = relay;
    this.#session = session;
    this.#policy = relay.policy;
    const { side, address } = caller;
    this.#subject = { side, address, helo: '', tls: false, sender: null, recipient: null };
    this.#known = { facts: { side, 'client.address': address }, pending: [] };
  }

  connect(): Decision | Promise<Decision> {
    return this.#enter('connect', this.#known);
  }

  /** For a command that order and limits let pass. */
  command(command: Command, tls: boolean): Decision | Promise<Decision> {
    switch (command.verb) {
      case 'EHLO':
      case 'HELO':
        this.#subject = { ...this.#subject, helo: command.client, tls };
        this.#known.facts = { ...this.#known.facts, helo: command.client.toLowerCase(), tls };
        return this.#enter('helo', this.#known);
      case 'MAIL': {
        const unavailable = this.#relay.unavailable(this.#subject.side);
        return unavailable === null ? this.#mail(command.sender) : { key: unavailable };
      }
      case 'RCPT': {
        const { side } = this.#subject;
        const denied = judgeRecipient({ side, mailbox: command.mailbox }, this.#relay.local);
        if (denied !== null) return { key: denied };
        this.#subject = { ...this.#subject, recipient: command.mailbox };
        const facts: Facts = { rcpt: printMailbox(command.mailbox), 'rcpt.domain': command.mailbox.domain };
        return this.#enter('rcpt', { facts, pending: [] });
      }
      default:
        return null;
    }
  }

  #mail(sender: string): Decision | Promise<Decision> {
    this.#policy = this.#relay.policy; // a new one is in force from the next transaction on
    const at = sender.lastIndexOf('@');
    const mailbox = sender === '' ? null : { local: sender.slice(0, at), domain: sender.slice(at + 1) };
    this.#subject = { ...this.#subject, sender: mailbox, recipient: null };
    this.#transaction = { facts: { from: sender, 'from.domain': mailbox?.domain ?? '' }, pending: [] };
    if (this.#accepted === 'transaction') this.#accepted = 'no';
    this.#tags = [];
    return this.#enter('mail', this.#transaction);
  }

  /** The whole message is here: `facts` are what was found in it. */
  async content(facts: Facts): Promise<Refusal | Passage> {
    const transaction = this.#transaction;
    transaction.facts = { ...transaction.facts, ...facts };
    for (const stage of ['headers', 'data'] as const) {
      const verdict = await this.#verdict(stage, transaction);
      const final = verdict?.final ?? null;
      if (final !== null && (final.tag === 'reject' || final.tag === 'defer')) return this.#refusal(stage, final);
      if (final !== null && (final.tag === 'discard' || final.tag === 'hold')) {
        return { tags: this.#tags, discard: final.tag === 'discard', hold: final.tag === 'hold' };
      }
    }
    return { tags: this.#tags, discard: false, hold: false };
  }

  #enter(stage: Stage, into: Known): Decision | Promise<Decision> {
    const verdict = this.#verdict(stage, into);
    return verdict instanceof Promise
      ? verdict.then((each) => this.#decision(stage, each))
      : this.#decision(stage, verdict);
  }

  /** Null: no rule has anything to say. */
  #verdict(stage: Stage, into: Known): Verdict | null | Promise<Verdict | null> {
    const gathered = this.#policy.gatherer.gather(stage, this.#subject);
    if (gathered instanceof Promise) into.pending.push(gathered);
    else this.#learn(into, gathered);
    if (this.#accepted !== 'no' || this.#policy.silent(stage)) return null;
    const sets = new Set([this.#known, this.#transaction, into]);
    if ([...sets].every(({ pending }) => pending.length === 0)) return this.#judge(stage, sets);
    return Promise.all([...sets].map((set) => this.#settle(set))).then(() => this.#judge(stage, sets));
  }

  async #settle(set: Known): Promise<void> {
    for (const gathered of await Promise.all(set.pending.splice(0))) this.#learn(set, gathered);
  }

  #learn(set: Known, { facts, asked }: Gathered): void {
    const merged: Record<string, unknown> = { ...set.facts };
    for (const [id, value] of Object.entries(facts)) merged[id] = added(merged[id], value);
    set.facts = merged as Facts;
    for (const each of asked) if (each.trouble !== '') this.#trouble(each);
  }

  #trouble({ source, trouble, ms }: Asked): void {
    this.#relay.logger.log('source-trouble', { session: this.#session, source, detail: trouble, ms: Math.round(ms) });
  }

  #judge(stage: Stage, sets: Iterable<Known>): Verdict {
    const facts: Facts = Object.assign({}, ...[...sets].map((set) => set.facts));
    const verdict = this.#policy.judge(stage, facts);
    this.#tell(stage, verdict.trials, facts);
    this.#tags.push(...verdict.tags);
    return verdict;
  }

  /** One line for each rule that held. */
  #tell(stage: Stage, trials: readonly Trial[], facts: Facts): void {
    for (const { rule, matched, dryRun } of trials) {
      if (!matched) continue;
      const { side, address } = this.#subject;
      this.#relay.logger.log('rule', {
        session: this.#session,
        rule,
        stage,
        dryRun,
        side,
        client: address,
        facts: brief(facts),
      });
    }
  }

  async #delayed(decision: Decision, seconds: number): Promise<Decision> {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000).unref());
    return decision;
  }

  #decision(stage: Stage, verdict: Verdict | null): Decision | Promise<Decision> {
    if (verdict === null) return null;
    const { final, tarpitSeconds } = verdict;
    let decision: Decision = null;
    if (final?.tag === 'accept') this.#accepted = stage === 'connect' || stage === 'helo' ? 'session' : 'transaction';
    else if (final !== null) decision = this.#refusal(stage, final);
    return tarpitSeconds > 0 ? this.#delayed(decision, tarpitSeconds) : decision;
  }

  #refusal(stage: Stage, { tag, rule, text, status }: Final): Refusal {
    const detail = `${text} [${rule}]`;
    if (tag === 'defer') return { key: 'policyDefer', detail };
    if (stage === 'connect') return { key: 'policyClosed', detail };
    return { key: status === '5.1.1' ? 'policyUnknown' : 'policyReject', detail };
  }
}

const BRIEF_CHARS_MAX = 400;

/** Facts on one line, long ones cut. */
function brief(facts: Facts): string {
  const parts = Object.entries(facts).map(([id, value]) => `${id}=${String(value).slice(0, 60)}`);
  return parts.join(' ').slice(0, BRIEF_CHARS_MAX);
}
