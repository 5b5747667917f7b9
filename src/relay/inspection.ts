/**
 * One session before the policy: what is known of it so far, what is being asked, and what the rules say at each stage.
 *
 *   connect ─► helo ─► mail ─► rcpt… ─► headers ─► data
 *     │ each: ask the stage's sources, all at once; judge at once, or when those have answered who were asked
 *     └ facts of connect last for the session, those of helo until the next EHLO (another follows STARTTLS), those
 *       of mail for the transaction, those of rcpt for its reply
 *
 * A stage without rules costs nothing: its sources are asked, and nobody waits for them before a rule does.
 */
import type { TLSSocket } from 'node:tls';
import { LIMITS } from '../config/limits.ts';
import type { Asked, Gathered } from '../facts/gather.ts';
import { added } from '../facts/gather.ts';
import type { Subject } from '../facts/source.ts';
import type { SpfResult } from '../facts/spf.ts';
import { stripParts } from '../facts/strip.ts';
import type { FilteredEnvelope } from '../filters/filter.ts';
import type { Consensus } from '../filters/panel.ts';
import type { EditorName } from '../message/edits.ts';
import type { Edit, Recipient, Side } from '../message/envelope.ts';
import { headerEdits } from '../message/header_changes.ts';
import type { Direction, Rewriting } from '../message/rewriting.ts';
import { isPrivate } from '../net/addresses.ts';
import type { Facts, Stage } from '../policy/facts.ts';
import { unknownRecipientWaitMs } from '../policy/harvest.ts';
import { judgeRecipient } from '../policy/recipient.ts';
import type { Final, Trial, Verdict } from '../policy/rules.ts';
import { printMailbox } from '../smtp/address.ts';
import type { Command } from '../smtp/command.ts';
import type { Refusal } from '../smtp/replies.ts';
import { REPLIES } from '../smtp/replies.ts';
import type { Hello, Transaction } from '../smtp/session.ts';
import type { ContentFindings } from './content_inspection.ts';
import { ContentInspection } from './content_inspection.ts';
import type { Policy } from './policy.ts';
import type { Relay } from './relay.ts';
import type { ContentTap } from './tee.ts';

export type Decision = Refusal | null;

type Tag = Verdict['tags'][number];

/** What the rules, and who looked at its content, want of a message that may pass. */
export type Passage = {
  readonly discard: boolean;
  readonly hold: boolean;
  /** Of the content as it came, but for our trace fields. */
  readonly edits: Readonly<Partial<Record<EditorName, readonly Edit[]>>>;
  /** For the top: our Authentication-Results, and tags. */
  readonly fields: string;
  readonly sender: string;
  readonly recipients: readonly Recipient[];
  /** Takes the place of all behind the header section, which is here, one char per byte. */
  readonly body: Buffer | null;
  readonly header: string;
};

type Known = { facts: Facts; pending: Promise<Gathered>[] };

export class Inspection {
  readonly #relay: Relay;
  readonly #session: string;
  #policy: Policy;
  #subject: Subject;
  readonly #known: Known;
  #helo: Known = { facts: {}, pending: [] };
  #transaction: Known = { facts: {}, pending: [] };
  /** A rule has let the transaction, or the session, pass. */
  #accepted: 'no' | 'transaction' | 'session' = 'no';
  #tags: Tag[] = [];
  /** Unknown recipients of this session. */
  #unknown = 0;
  #spf: SpfResult | Promise<SpfResult> | null = null;
  #content: ContentInspection | null = null;

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
        this.#helo = { facts: { helo: command.client.toLowerCase(), tls }, pending: [] };
        this.#transaction = { facts: {}, pending: [] }; // RFC 5321 §4.1.4
        return this.#enter('helo', this.#helo);
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
        return this.#slowed(this.#enter('rcpt', { facts, pending: [] })); // its facts are this recipient's alone
      }
      default:
        return null;
    }
  }

  /** Who guesses addresses waits longer for each answer. */
  #slowed(decision: Decision | Promise<Decision>): Decision | Promise<Decision> {
    if (decision instanceof Promise) return decision.then((each) => this.#slowed(each));
    if (decision?.key !== 'policyUnknown') return decision;
    this.#unknown++;
    const { unknownFree: free, unknownStepMs: stepMs, unknownWaitMsMax: waitMsMax } = LIMITS;
    const waitMs = unknownRecipientWaitMs(this.#unknown, { free, stepMs, waitMsMax });
    return waitMs === 0 ? decision : this.#delayed(decision, waitMs / 1000);
  }

  #mail(sender: string): Decision | Promise<Decision> {
    this.#policy = this.#relay.policy; // a new one is in force from the next transaction on
    const at = sender.lastIndexOf('@');
    const mailbox = sender === '' ? null : { local: sender.slice(0, at), domain: sender.slice(at + 1) };
    this.#subject = { ...this.#subject, sender: mailbox, recipient: null };
    this.#transaction = { facts: { from: sender, 'from.domain': mailbox?.domain ?? '' }, pending: [] };
    if (this.#accepted === 'transaction') this.#accepted = 'no';
    this.#tags = [];
    this.#content = null;
    this.#spf = this.#authenticates ? this.#startSpf(sender) : null;
    return this.#enter('mail', this.#transaction);
  }

  get #authenticates(): boolean {
    const { check, privateClients } = this.#policy.document.authentication;
    const { side, address } = this.#subject;
    return check && side === 'outside' && (privateClients || !isPrivate(address));
  }

  /** Under way while the client says RCPT; a rule that asks for it waits, at any stage. */
  #startSpf(sender: string): SpfResult | Promise<SpfResult> {
    const { address, helo } = this.#subject;
    const abort = AbortSignal.timeout(LIMITS.sourceMsMax);
    const spf = this.#policy.authenticator.spf({ address, helo, sender }, abort);
    const gathered = (result: SpfResult): Gathered => ({ facts: { spf: result.result }, asked: [] });
    if (spf instanceof Promise) this.#transaction.pending.push(spf.then(gathered));
    else this.#learn(this.#transaction, gathered(spf));
    return spf;
  }

  /** Who looks at the content of the transaction while it arrives; null: nobody. */
  begin({ recipients, smtpUtf8, sender }: Transaction, hello: Hello | null, tls: TLSSocket | null): ContentTap | null {
    const { side, address } = this.#subject;
    const policy = this.#policy;
    const authenticates = this.#spf !== null;
    const headers = policy.wants.headers || this.#edits(side);
    if (!authenticates && !headers && !policy.wants.mime && policy.filters.length === 0) return null;
    this.#content = new ContentInspection(policy, {
      spf: this.#spf,
      headers,
      envelope: {
        side,
        id: this.#session,
        hostname: this.#relay.config.hostname,
        client: { address, port: 0, name: this.#known.facts['client.name'] ?? null, pointer: null },
        helo: hello?.client ?? '',
        extended: hello?.verb === 'EHLO',
        tls: tls === null ? null : tlsOf(tls),
        user: this.#subject.identity ?? null,
        sender,
        recipients: recipients.map((each) => each.address),
        smtpUtf8,
      },
    });
    return this.#content;
  }

  /** Header fields are looked at in any case where the firewall or the table of addresses may change them. */
  #edits(side: Side): boolean {
    const { rewriting, document } = this.#policy;
    if (rewriting !== null || document.mime.strip.length > 0) return true;
    const { remove, add } = document.headers[side];
    if (side === 'inside' && document.headers.inside.received !== 'keep') return true;
    return remove.length + add.length > 0;
  }

  /** The whole message is here: `facts` are what the scanner found in it. */
  async content(facts: Facts, transaction: Transaction): Promise<Refusal | Passage> {
    const content = this.#content;
    this.#content = null;
    const findings = content === null ? null : await content.end();
    const dmarc = findings?.dmarc ?? null;
    if (dmarc !== null) {
      this.#relay.logger.log('dmarc', { session: this.#session, client: this.#subject.address, ...dmarc });
    }
    this.#transaction.facts = { ...this.#transaction.facts, ...facts, ...(findings?.facts ?? {}) };
    this.#subject = { ...this.#subject, recipient: null, bytes: facts.bytes ?? 0 };
    let kept: 'discard' | 'hold' | null = null;
    for (const stage of ['headers', 'data'] as const) {
      const final = (await this.#verdict(stage, this.#transaction))?.final ?? null;
      if (final?.tag === 'reject' || final?.tag === 'defer') return this.#refusal(stage, final);
      if (final?.tag === 'discard' || final?.tag === 'hold') kept = final.tag;
      if (final?.tag === 'accept') this.#accepted = 'transaction';
      if (final !== null) break;
    }
    return this.#passage(findings, transaction, kept);
  }

  #passage(
    findings: ContentFindings | null,
    transaction: Transaction,
    kept: 'discard' | 'hold' | null,
  ): Refusal | Passage {
    const { side } = this.#subject;
    const { rewriting, document } = this.#policy;
    const tags = this.#tags.map(fieldOf).join('');
    const plain = {
      edits: {},
      fields: tags,
      sender: transaction.sender,
      recipients: transaction.recipients,
      body: null,
      header: '',
    };
    let { discard, hold } = { discard: kept === 'discard', hold: kept === 'hold' };
    if (findings === null) return { ...plain, discard, hold };
    const { consensus, section, results } = findings;
    const filtered = this.#accepted === 'no' ? consensus : null;
    const refusal = filtered === null ? null : filterRefusal(filtered);
    if (refusal !== null) return refusal;
    if (kept === null && filtered !== null) {
      discard = filtered.verdict === 'discard';
      hold = filtered.verdict === 'hold';
    }
    const direction = side === 'inside' ? 'outwards' : 'inwards';
    const stripped = stripParts(findings.leaves, document.mime.strip, side, findings.header);
    const wanted = consensus?.body ?? null;
    // It stands behind the header section as it came, all of it; and nobody has looked for parts in it.
    const body = section.complete ? wanted : null;
    const asWanted = body === wanted && stripped !== null && (body === null || stripped.edits.length === 0);
    const envelope = envelopeOf(transaction, consensus, rewriting, direction);
    return {
      discard,
      // Where parts could not all be taken out, or a filter's body not be put in, a person decides.
      hold: hold || (!asWanted && !discard),
      fields: `${results === null ? '' : results.field}${tags}`,
      edits: {
        authentication: results?.edits ?? [],
        strip: body === null ? (stripped?.edits ?? []) : [],
        firewall: this.#policy.firewall(side).edits(section),
        filters: consensus === null ? [] : headerEdits(section, consensus.headers).edits,
        rewrite: rewriting?.edits(section, direction) ?? [],
      },
      ...envelope,
      body,
      header: findings.header,
    };
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
    const sets = new Set([this.#known, this.#helo, this.#transaction, into]);
    if ([...sets].every(({ pending }) => pending.length === 0)) return this.#judge(stage, sets);
    return Promise.all([...sets].map((set) => this.#settle(set))).then(() => this.#judge(stage, sets));
  }

  async #settle(set: Known): Promise<void> {
    for (const gathered of await Promise.all(set.pending.splice(0))) this.#learn(set, gathered);
  }

  #learn(set: Known, { facts, asked }: Gathered): void {
    set.facts = merged([set.facts, facts]);
    // What one recipient has used up concerns the whole message.
    const { 'rate.exceeded': exceeded } = facts;
    if (exceeded !== undefined && set !== this.#transaction)
      this.#transaction.facts = merged([this.#transaction.facts, { 'rate.exceeded': exceeded }]);
    for (const each of asked) if (each.trouble !== '') this.#trouble(each);
  }

  #trouble({ source, trouble, ms }: Asked): void {
    this.#relay.logger.log('source-trouble', { session: this.#session, source, detail: trouble, ms: Math.round(ms) });
  }

  #judge(stage: Stage, sets: Iterable<Known>): Verdict {
    const facts = merged([...sets].map((set) => set.facts));
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

/** Lists of several stages are one list, and scores add up; each fact of one stage stands for itself. */
function merged(all: readonly Facts[]): Facts {
  const facts: Record<string, unknown> = {};
  for (const each of all) for (const [id, value] of Object.entries(each)) facts[id] = added(facts[id], value);
  return facts as Facts;
}

const fieldOf = ({ header, value }: Tag): string => `${header}: ${value}\r\n`;

const tlsOf = (socket: TLSSocket): FilteredEnvelope['tls'] => ({
  version: socket.getProtocol() ?? '',
  cipher: socket.getCipher()?.name ?? '',
  bits: 0,
});

/**
 * Also where a filter refuses some of the recipients: nobody could be told afterwards, so the message is refused as a
 * whole while its sender still listens.
 */
function filterRefusal({ verdict, decided, reply, recipients }: Consensus): Refusal | null {
  const [one] = recipients?.refused ?? [];
  if (verdict === 'accept' && one !== undefined)
    return { key: one.reply.code >= 500 ? 'policyReject' : 'policyDefer', detail: `${one.address}: ${one.reply.text}` };
  if (verdict !== 'reject' && verdict !== 'defer') return null;
  const detail = `${reply?.text ?? REPLIES.filterRejected[2]} [${decided ?? 'filter'}]`;
  return { key: verdict === 'reject' ? 'policyReject' : 'policyDefer', detail };
}

/** Whom the message is from and for, after filters and the table of addresses. */
function envelopeOf(
  transaction: Transaction,
  consensus: Consensus | null,
  rewriting: Rewriting | null,
  direction: Direction,
): Pick<Passage, 'sender' | 'recipients'> {
  const { add = [], remove = [] } = consensus?.recipients ?? {};
  const gone = new Set(remove);
  const stay = transaction.recipients.filter((each) => !gone.has(each.address));
  const known = new Set(stay.map((each) => each.address));
  const more = add.filter((address) => !known.has(address)).map((address): Recipient => ({ address }));
  const mapped = (address: string): string => rewriting?.address(address, direction) ?? address;
  return {
    sender: mapped(consensus?.sender ?? transaction.sender),
    recipients: [...stay, ...more].map((each) => ({ ...each, address: mapped(each.address) })),
  };
}

const BRIEF_CHARS_MAX = 400;

/** Facts on one line, long ones cut. */
function brief(facts: Facts): string {
  const parts = Object.entries(facts).map(([id, value]) => `${id}=${String(value).slice(0, 60)}`);
  return parts.join(' ').slice(0, BRIEF_CHARS_MAX);
}
