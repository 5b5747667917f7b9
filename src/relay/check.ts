/**
 * One message before the policy, without a client: the dialogue that it would have, stage by stage, with every fact,
 * every rule that was tried, and what the client would be told. Whatever decides here decides for a session, too:
 * smtp/session.ts, inspection.ts, inbound.ts; this file says the commands, and looks on.
 *
 *   connect ─► EHLO ─► MAIL ─► RCPT… ─► DATA ─► content        as far as the question goes, or to the first refusal;
 *                                                              a refused recipient leaves the others
 */
import type { Asked } from '../facts/gather.ts';
import type { Side } from '../message/envelope.ts';
import type { Clause } from '../policy/decisive.ts';
import type { Facts, Stage } from '../policy/facts.ts';
import type { Action, Trial } from '../policy/rules.ts';
import type { Command } from '../smtp/command.ts';
import { replyLine } from '../smtp/replies.ts';
import * as smtp from '../smtp/session.ts';
import { Arrival } from './arrival.ts';
import { roundMs } from './because.ts';
import type { Changes } from './changes.ts';
import { changesOf } from './changes.ts';
import { decide } from './decision.ts';
import type { Caller } from './front_door.ts';
import type { Sealed } from './inbound.ts';
import { sealMessage, viaOf } from './inbound.ts';
import { Inspection } from './inspection.ts';
import type { Relay } from './relay.ts';
import type { Witness } from './witness.ts';

export type CheckRequest = {
  /** Normalised. */
  readonly address: string;
  /** The side of the listener that it comes to. */
  readonly door: Side;
  readonly login: string | null;
  readonly tls: boolean;
  /** EHLO, MAIL and RCPT, in this order. */
  readonly commands: readonly Command[];
  /** Null: no message, and the dialogue ends before DATA. */
  readonly content: AsyncIterable<Buffer> | null;
};

export type TriedRule = {
  readonly rule: string;
  readonly action: Action['tag'];
  readonly dryRun: boolean;
  readonly matched: boolean;
  /** The tests by which it holds, or those that failed. */
  readonly because: readonly Clause[];
};

export type StageReport = {
  readonly stage: Stage;
  /** At `rcpt` the recipient. */
  readonly about: string;
  readonly asked: readonly Asked[];
  /** In the order in which they were tried; a final one is the last. */
  readonly rules: readonly TriedRule[];
  /** So long the reply would wait. */
  readonly delayMs: number;
  /** Lines that the client is sent. */
  readonly reply: readonly string[];
};

export type CheckVerdict = 'accepted' | 'held' | 'discarded' | 'refused' | 'deferred';

export type CheckReport = {
  readonly side: Side;
  readonly stages: readonly StageReport[];
  readonly verdict: CheckVerdict;
  /** Of stages and recipients; with some of these the verdict is that of the others. */
  readonly refusals: number;
  /** Rules that are never tried, since nobody gives the facts that they ask for. */
  readonly leftOut: readonly string[];
  /** What a message that may pass is changed to; null: there is none. */
  readonly changes: Changes | null;
};

export async function checkMessage(relay: Relay, request: CheckRequest): Promise<CheckReport> {
  return await new Check(relay, request).run();
}

const STAGES: Readonly<Partial<Record<Command['verb'], Stage>>> = { EHLO: 'helo', MAIL: 'mail', RCPT: 'rcpt' };

type Page = { -readonly [Key in keyof StageReport]: StageReport[Key] };

class Check {
  readonly #relay: Relay;
  readonly #request: CheckRequest;
  readonly #session = smtp.newSession();
  readonly #pages: Page[] = [];
  #verdict: CheckVerdict = 'accepted';
  #refusals = 0;
  #changes: Changes | null = null;

  constructor(relay: Relay, request: CheckRequest) {
    this.#relay = relay;
    this.#request = request;
  }

  async run(): Promise<CheckReport> {
    const { address, door } = this.#request;
    const side = this.#relay.frontDoor.sideOf(door, address);
    this.#turn('connect');
    if (side === null) this.#heard(replyLine('insideOnly'));
    else await this.#talk(side);
    return {
      side: side ?? door,
      stages: this.#pages,
      verdict: this.#verdict,
      refusals: this.#refusals,
      leftOut: this.#relay.policy.leftOut.map(({ id }) => id),
      changes: this.#changes,
    };
  }

  async #talk(side: Side): Promise<void> {
    const { address, door, login } = this.#request;
    const peer = { address, door, place: 0 };
    const caller: Caller = { ...this.#relay.frontDoor.direct(peer, side), login };
    const settings = this.#relay.settings[side];
    const inspection = new Inspection(this.#relay, this.#relay.nextId(), caller, this.#witness());
    await this.#say(caller, settings, inspection);
    inspection.abandon(true); // filters wait for content where there is none
  }

  async #say(caller: Caller, settings: smtp.Settings, inspection: Inspection): Promise<void> {
    const { tls, commands, content } = this.#request;
    const greeting = await inspection.connect();
    if (greeting === null) this.#heard(smtp.banner(settings));
    else return this.#heard(replyLine(greeting.key, greeting.detail ?? settings.hostname));
    if (tls) smtp.tlsStarted(this.#session);
    for (const command of commands) {
      this.#turn(STAGES[command.verb]!, command.verb === 'RCPT' ? command.recipient.address : '');
      const decision = await decide(this.#session, command, settings, inspection, tls ? SECURE : null);
      const answer =
        decision === null
          ? smtp.perform(this.#session, command, settings)
          : smtp.refuse(this.#session, decision, settings);
      this.#heard(answer.reply);
      if (answer.action === 'close' || (decision !== null && command.verb !== 'RCPT')) return;
    }
    const transaction = smtp.transactionOf(this.#session);
    if (transaction === null || transaction.recipients.length === 0) return;
    this.#verdict = 'accepted'; // for some of them
    if (content !== null) await this.#send(content, { caller, settings, inspection, transaction });
  }

  async #send(content: AsyncIterable<Buffer>, { caller, settings, inspection, transaction }: Open): Promise<void> {
    const { tls } = this.#request;
    this.#turn('headers');
    this.#turn('data');
    smtp.perform(this.#session, { verb: 'DATA' }, settings);
    const hello = smtp.helloOf(this.#session);
    const tap = inspection.begin(transaction);
    const { scanner, spool, config } = this.#relay;
    const taps = tap === null ? [] : [tap];
    const arrival = new Arrival(scanner, spool.begin(0), 'bdat', config.messageBytesMax, taps);
    try {
      for await (const chunk of content) {
        await arrival.feed(chunk, 0, chunk.length);
        if (arrival.toJudge.bytes > config.messageBytesMax) break; // the rest changes nothing
      }
    } catch (error) {
      arrival.discard();
      throw error;
    }
    arrival.finish();
    const via = { ...viaOf(caller, hello, null), tls: tls ? { protocol: UNKNOWN_TLS, cipher: 'unknown' } : null };
    const origin = { session: this.#relay.nextId(), side: caller.side, via };
    const sealed = await sealMessage(this.#relay, origin, transaction, arrival, inspection);
    const outcome = 'key' in sealed ? sealed : { id: sealed.envelope.id };
    this.#heard(smtp.endOfMessage(this.#session, outcome, settings).reply);
    if (!('key' in sealed)) this.#passed(sealed);
  }

  #passed({ envelope, passage }: Sealed): void {
    if (passage.discard || envelope.recipients.length === 0) this.#verdict = 'discarded';
    else this.#verdict = passage.hold ? 'held' : 'accepted';
    this.#changes = changesOf(envelope, passage);
  }

  #turn(stage: Stage, about = ''): void {
    this.#pages.push({ stage, about, asked: [], rules: [], delayMs: 0, reply: [] });
  }

  /** What the client is told at the stage where it stands. */
  #heard(reply: string): void {
    const lines = reply.split('\r\n').filter((line) => line !== '');
    this.#pages.at(-1)!.reply = lines;
    const [code] = lines[0]!;
    if (code !== '4' && code !== '5') return;
    this.#refusals++;
    this.#verdict = code === '4' ? 'deferred' : 'refused';
  }

  /** Answers that come late belong to the stage at which they were asked for. */
  #pageOf(stage: Stage): Page {
    return this.#pages.findLast((page) => page.stage === stage)!;
  }

  #witness(): Witness {
    return {
      learned: (asked) => {
        const page = this.#pageOf(asked.stage);
        page.asked = [...page.asked, { ...asked, ms: roundMs(asked.ms) }];
      },
      judged: (stage, trials, facts) => {
        this.#pageOf(stage).rules = trials.map((trial) => this.#tried(trial, facts));
      },
      delayed: (ms) => {
        this.#pages.at(-1)!.delayMs += ms;
      },
    };
  }

  #tried({ rule, matched }: Trial, facts: Facts): TriedRule {
    const because = this.#relay.policy.decisive(rule, facts);
    return { rule: rule.id, action: rule.action.tag, dryRun: rule.dryRun, matched, because };
  }
}

type Open = {
  readonly caller: Caller;
  readonly settings: smtp.Settings;
  readonly inspection: Inspection;
  readonly transaction: smtp.Transaction;
};

/** Nobody has negotiated a version. */
const UNKNOWN_TLS = 'TLS';
const SECURE = { version: UNKNOWN_TLS, cipher: '', bits: 0 };
