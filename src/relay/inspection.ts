/**
 * One session before the policy: what is known of it so far, what is being asked, and what the rules say at each stage.
 *
 *   connect ─► helo ─► mail ─► rcpt… ─► headers ─► data
 *     │ each: ask the stage's sources, all at once; judge at once, or when those have answered who were asked
 *     └ facts of connect last for the session, those of helo until the next EHLO (another follows STARTTLS), those
 *       of mail for the transaction, those of rcpt for its reply, those of the content for the verdict over it
 *
 * A stage without rules costs nothing: its sources are asked, and nobody waits for them before a rule does.
 */
import { whenKnown } from '../base/answers.ts';
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Asked, Gathered } from '../facts/gather.ts';
import { merged, mergedOf, NOTHING } from '../facts/gather.ts';
import type { Subject } from '../facts/source.ts';
import type { SpfResult } from '../facts/spf.ts';
import type { FilteredEnvelope } from '../filters/filter.ts';
import { type Objection, PanelExamination } from '../filters/panel.ts';
import { isPrivate } from '../net/addresses.ts';
import type { Facts, Stage } from '../policy/facts.ts';
import { unknownRecipientWaitMs } from '../policy/harvest.ts';
import { judgeRecipient } from '../policy/recipient.ts';
import type { Rule, Verdict } from '../policy/rules.ts';
import { printMailbox } from '../smtp/address.ts';
import type { Command } from '../smtp/command.ts';
import type { Hello, Transaction } from '../smtp/session.ts';
import type { Decision, Refused } from './because.ts';
import { byFilter, byRule, refusalOf, ruleFields, who } from './because.ts';
import type { ContentFindings } from './content_inspection.ts';
import { ContentInspection } from './content_inspection.ts';
import { filteredEnvelope, type Told } from './filtered_envelope.ts';
import type { Caller } from './front_door.ts';
import { Known } from './known.ts';
import type { Kept, Passage } from './passage.ts';
import { filterRefusal, objectionIn, passageOf } from './passage.ts';
import type { Policy } from './policy.ts';
import type { Relay } from './relay.ts';
import { RuleWishes } from './rule_wishes.ts';
import type { ContentTap } from './tee.ts';
import { delayed, type Witness } from './witness.ts';

type Judged = { readonly verdict: Verdict; readonly refused: Decision };

/** What the rules of a stage over the content have said; `final` null: nothing that is. */
type Ruled = { readonly refused: Decision; readonly final: NonNullable<Verdict['final']>['tag'] | null };

/** What of the relay an inspection needs. */
export type InspectionHost = Pick<
  Relay,
  'policy' | 'config' | 'local' | 'unavailable' | 'trouble' | 'logger' | 'filterPieces'
>;

export class Inspection {
  readonly #relay: InspectionHost;
  readonly #session: string;
  readonly #witness: Witness | null;
  #policy: Policy;
  #subject: Subject;
  readonly #known: Known;
  #helo = new Known();
  #transaction = new Known();
  /** Of the recipient of this RCPT, then of the content. */
  #latest = new Known();
  /** A stranger's mail is not authenticated by an address that no stranger has. */
  readonly #privateClient: boolean;
  /** A rule has let the transaction, or the session, pass. */
  #accepted: 'no' | 'transaction' | 'session' = 'no';
  /** A rule has accepted the recipient of this RCPT: that one, and no other. */
  #favoured = false;
  /** Of the transaction, those that may have it. */
  #recipients = { favoured: 0, others: 0 };
  #wishes = new RuleWishes();
  /** Unknown recipients of this session. */
  #unknown = 0;
  #spf: SpfResult | Promise<SpfResult> | null = null;
  /** From MAIL until content comes. */
  #panel: PanelExamination | null = null;
  #content: ContentInspection | null = null;
  /** Of the stage `headers`; null: nobody has looked at the header section before the end. */
  #headersRuled: Ruled | Promise<Ruled> | null = null;
  #over = false;

  constructor(
    relay: InspectionHost,
    session: string,
    { side, address, login }: Pick<Caller, 'side' | 'address' | 'login'>,
    witness: Witness | null = null,
  ) {
    this.#relay = relay;
    this.#session = session;
    this.#policy = relay.policy;
    this.#witness = witness;
    const [identity, known] = login === null ? [{}, {}] : [{ identity: login }, { 'client.login': login }];
    this.#subject = { side, address, helo: '', tls: false, sender: null, recipient: null, ...identity };
    this.#privateClient = side === 'outside' && isPrivate(address);
    this.#known = this.#said('connect', { side, 'client.address': address, ...known });
  }

  connect(): Decision | Promise<Decision> {
    return this.#enter('connect', this.#known);
  }

  /** For a command that order and limits let pass. */
  command(command: Command, hello: Hello | null, tls: FilteredEnvelope['tls']): Decision | Promise<Decision> {
    switch (command.verb) {
      case 'EHLO':
      case 'HELO':
        this.#subject = { ...this.#subject, helo: command.client, tls: tls !== null };
        this.#helo = this.#said('helo', { helo: command.client.toLowerCase(), tls: tls !== null });
        this.#transaction = new Known(); // RFC 5321 §4.1.4
        this.#latest = new Known();
        return this.#enter('helo', this.#helo);
      case 'MAIL': {
        const unavailable = this.#relay.unavailable(this.#subject.side);
        if (unavailable !== null) return { key: unavailable };
        return this.#heard('mail', this.#mail(command.sender), () => this.#beginFilters({ command, hello, tls }));
      }
      case 'RCPT': {
        const { mailbox } = command;
        this.#wishes.about = command.recipient;
        this.#subject = { ...this.#subject, recipient: mailbox };
        // Its facts are this recipient's alone.
        this.#latest = this.#said('rcpt', { rcpt: printMailbox(mailbox), 'rcpt.domain': mailbox.domain });
        const denied = judgeRecipient({ side: this.#subject.side, mailbox }, this.#relay.local);
        if (denied !== null) return { key: denied, because: who('rcpt', this.#subject) };
        this.#favoured = false;
        const decision = this.#enter('rcpt', this.#latest);
        const ask = () => this.#panel?.recipient(command.recipient.address);
        return this.#counted(this.#heard('rcpt', decision, ask));
      }
      default:
        return null;
    }
  }

  /** Whom the rules let pass the filters may still refuse, those that hear of the envelope. */
  #heard(
    stage: Stage,
    decision: Decision | Promise<Decision>,
    ask: () => Promise<Objection | null> | undefined,
  ): Decision | Promise<Decision> {
    if (this.#policy.filters.length === 0) return decision;
    return whenKnown(decision, (each) => {
      if (each !== null || this.#over) return each;
      return ask()?.then((word) => this.#objected(stage, word)) ?? null;
    });
  }

  /** Where a rule has accepted, no filter refuses anything. */
  #objected(stage: Stage, word: Objection | null, asked: readonly Asked[] = []): Decision {
    if (word === null || this.#accepted !== 'no' || (stage === 'rcpt' && this.#favoured)) return null;
    return { ...filterRefusal(word), because: byFilter(stage, this.#subject, word.filter, asked) };
  }

  /** The name of the client has been asked for since it connected. */
  #beginFilters(told: Told): Promise<Objection | null> | undefined {
    if (this.#known.settled) return this.#askFilters(told);
    return this.#settle(this.#known).then(() => (this.#over ? null : (this.#askFilters(told) ?? null)));
  }

  #askFilters(told: Told): Promise<Objection | null> | undefined {
    const ours = { id: this.#session, hostname: this.#relay.config.hostname };
    const envelope = filteredEnvelope(this.#subject, this.#known.facts, told, ours);
    this.#panel = new PanelExamination(this.#policy.filters, envelope, this.#relay.filterPieces);
    return this.#panel.sender();
  }

  /** The transaction is over without content, or the session is. */
  abandon(session: boolean): void {
    this.#over = session;
    this.#panel?.abort();
    this.#panel = null;
  }

  /** Of a recipient. Who guesses addresses waits longer for each answer. */
  #counted(decision: Decision | Promise<Decision>): Decision | Promise<Decision> {
    return whenKnown(decision, (each) => {
      if (each === null) this.#recipients[this.#favoured ? 'favoured' : 'others']++;
      if (each?.key !== 'policyUnknown') return each;
      this.#unknown++;
      const { unknownFree: free, unknownStepMs: stepMs, unknownWaitMsMax: waitMsMax } = LIMITS;
      const waitMs = unknownRecipientWaitMs(this.#unknown, { free, stepMs, waitMsMax });
      return waitMs === 0 ? each : delayed(this.#witness, each, waitMs);
    });
  }

  #mail(sender: string): Decision | Promise<Decision> {
    this.#policy = this.#relay.policy; // a new one is in force from the next transaction on
    const at = sender.lastIndexOf('@');
    const mailbox = sender === '' ? null : { local: sender.slice(0, at), domain: sender.slice(at + 1) };
    this.#subject = { ...this.#subject, sender: mailbox, recipient: null };
    this.#transaction = this.#said('mail', { from: sender, 'from.domain': mailbox?.domain ?? '' });
    this.#latest = new Known();
    if (this.#accepted === 'transaction') this.#accepted = 'no';
    this.#recipients = { favoured: 0, others: 0 };
    this.#wishes = new RuleWishes();
    this.#content = null;
    this.#headersRuled = null;
    this.#spf = this.#authenticates ? this.#startSpf(sender) : null;
    return this.#enter('mail', this.#transaction);
  }

  get #authenticates(): boolean {
    const { check, privateClients } = this.#policy.document.authentication;
    return check && this.#subject.side === 'outside' && (privateClients || !this.#privateClient);
  }

  /** Under way while the client says RCPT; a rule that asks for it waits, at any stage. */
  #startSpf(sender: string): SpfResult | Promise<SpfResult> {
    const { address, helo } = this.#subject;
    const abort = (): AbortSignal => AbortSignal.timeout(LIMITS.sourceMsMax);
    const spf = this.#policy.authenticator.spf({ address, helo, sender }, abort);
    const startMs = monotonicMs();
    const gathered = (result: SpfResult): Gathered => {
      const facts: Facts = { spf: result.result };
      return { facts, asked: [{ source: 'spf', stage: 'mail', ms: monotonicMs() - startMs, trouble: '', facts }] };
    };
    if (spf instanceof Promise) this.#transaction.expect(spf.then(gathered));
    else this.#learn(this.#transaction, gathered(spf));
    return spf;
  }

  /** Who looks at the content of the transaction while it arrives; null: nobody. */
  begin({ recipients }: Transaction): ContentTap | null {
    const policy = this.#policy;
    this.#latest = this.#said('headers', { recipients: recipients.length });
    this.#subject = { ...this.#subject, recipient: null };
    const { favoured, others } = this.#recipients;
    if (favoured > 0 && others === 0 && this.#accepted === 'no') this.#accepted = 'transaction';
    const panel = this.#panel;
    this.#panel = null;
    const authenticates = this.#spf !== null;
    const headers = policy.wants.headers || policy.edits(this.#subject.side);
    if (!authenticates && !headers && !policy.wants.mime && panel === null) return null;
    panel?.begin(recipients.map((each) => each.address));
    const { hostname } = this.#relay.config;
    const ways = { spf: this.#spf, headers, panel, hostname, onHeaders: this.#headersRead };
    this.#content = new ContentInspection(policy, ways);
    return this.#content;
  }

  /** What will not pass whatever follows is taken no further: neither kept, nor shown to anybody. */
  readonly #headersRead = (gathered: Gathered): void => {
    const content = this.#content;
    this.#learn(this.#latest, gathered);
    this.#headersRuled = this.#ruled('headers');
    whenKnown(this.#headersRuled, ({ refused, final }) => {
      if (content !== null && (refused !== null || final === 'discard')) content.over = true;
    });
  };

  /** The whole message is here: `found` is what the scanner found in it. */
  content(found: Facts, transaction: Transaction): Refused | Passage | Promise<Refused | Passage> {
    const content = this.#content;
    this.#content = null;
    return whenKnown(this.#headersRuled, (ruled) => {
      if (ruled !== null && (ruled.refused !== null || ruled.final === 'discard')) {
        content?.abort();
        return ruled.refused ?? this.#passage('discard', null, transaction);
      }
      return whenKnown(content?.end() ?? null, (findings) => this.#examined(found, findings, transaction));
    });
  }

  #examined(
    found: Facts,
    findings: ContentFindings | null,
    transaction: Transaction,
  ): Refused | Passage | Promise<Refused | Passage> {
    const dmarc = findings?.dmarc ?? null;
    const { address: client } = this.#subject;
    if (dmarc !== null) this.#relay.logger.log('dmarc', { session: this.#session, client, ...dmarc });
    const asked: Asked = { source: 'content', stage: 'data', ms: 0, trouble: '', facts: found };
    this.#learn(this.#latest, { facts: found, asked: [asked] });
    if (findings !== null) this.#learn(this.#latest, findings.gathered);
    this.#subject = { ...this.#subject, bytes: found.bytes ?? 0 };
    return whenKnown(this.#overContent(), (ruled) => {
      if (ruled !== null && typeof ruled === 'object') return ruled;
      const filtered = this.#accepted === 'no' ? (findings?.consensus ?? null) : null;
      const word = filtered === null ? null : objectionIn(filtered);
      const refused = this.#objected('data', word, findings?.gathered.asked);
      if (refused !== null) return refused;
      const wanted = filtered?.verdict === 'discard' || filtered?.verdict === 'hold' ? filtered.verdict : null;
      return this.#passage(ruled ?? wanted, findings, transaction);
    });
  }

  #passage(kept: Kept, findings: ContentFindings | null, transaction: Transaction): Passage {
    const judged = { policy: this.#policy, side: this.#subject.side, wishes: this.#wishes, kept };
    return passageOf(judged, findings, transaction);
  }

  /** What rules want in place of delivery: those over the header section, then those over all. */
  #overContent(): Refused | Kept | Promise<Refused | Kept> {
    const kept = ({ refused, final }: Ruled): Refused | Kept =>
      refused ?? (final === 'discard' || final === 'hold' ? final : null);
    return whenKnown(this.#headersRuled ?? this.#ruled('headers'), (headers) =>
      headers.refused !== null || headers.final !== null ? kept(headers) : whenKnown(this.#ruled('data'), kept),
    );
  }

  #ruled(stage: 'headers' | 'data'): Ruled | Promise<Ruled> {
    return whenKnown(this.#judgement(stage, this.#transaction), (judged) =>
      whenKnown(judged === null ? null : this.#decision(stage, judged), (refused) => ({
        refused,
        final: judged?.verdict.final?.tag ?? null,
      })),
    );
  }

  #enter(stage: Stage, into: Known): Decision | Promise<Decision> {
    return whenKnown(this.#judgement(stage, into), (judged) =>
      judged === null ? null : this.#decision(stage, judged),
    );
  }

  /** Null: no rule has anything to say. */
  #judgement(stage: Stage, into: Known): Judged | null | Promise<Judged | null> {
    const gathered = this.#policy.gatherer.gather(stage, this.#subject);
    if (gathered instanceof Promise) into.expect(gathered);
    else this.#learn(into, gathered);
    if (this.#accepted !== 'no') return null;
    if (this.#policy.silent(stage)) return stage === 'rcpt' ? this.#leave(into) : null;
    const sets = [this.#known, this.#helo, this.#transaction, this.#latest];
    if (sets.every(({ settled }) => settled)) return this.#judge(stage, sets);
    // Content may be given up while its header section waits for a verdict, which is for no other message.
    const transaction = this.#transaction;
    return Promise.all(sets.map(this.#settle)).then(() =>
      this.#transaction === transaction ? this.#judge(stage, sets) : null,
    );
  }

  /** Nobody waits here; what a recipient's sources say of the whole message is waited for when that is judged. */
  #leave(into: Known): null {
    const learned = (gathered: Gathered): Gathered => {
      this.#learn(into, gathered);
      return NOTHING;
    };
    for (const each of into.handOver()) this.#transaction.expect(each.then(learned));
    return null;
  }

  /** What the client itself says: it costs nothing. */
  #said(stage: Stage, facts: Facts): Known {
    this.#witness?.learned({ source: 'client', stage, ms: 0, trouble: '', facts });
    return new Known(facts);
  }

  readonly #settle = (set: Known): Promise<void> => set.settle((gathered) => this.#learn(set, gathered));

  #learn(set: Known, gathered: Gathered): void {
    if (gathered === NOTHING) return;
    const { facts, asked } = gathered;
    set.facts = merged([set.facts, facts]);
    // What one recipient has used up concerns the whole message.
    const { 'rate.exceeded': exceeded } = facts;
    if (exceeded !== undefined && set !== this.#transaction)
      this.#transaction.facts = merged([this.#transaction.facts, { 'rate.exceeded': exceeded }]);
    set.asked = [...set.asked, ...asked];
    for (const each of asked) {
      this.#witness?.learned(each);
      if (each.trouble !== '') this.#relay.trouble(this.#session, each);
    }
  }

  #judge(stage: Stage, sets: readonly Known[]): Judged {
    const known = sets.map((set) => set.facts);
    const facts = mergedOf(this.#policy.asks(stage), known);
    const verdict = this.#policy.judge(stage, facts);
    const { trials, final } = verdict;
    this.#witness?.judged(stage, trials, merged(known));
    for (const { rule, matched } of trials) if (matched) this.#tell(stage, rule, facts);
    this.#wishes.note(stage, verdict);
    if (final?.tag !== 'reject' && final?.tag !== 'defer') return { verdict, refused: null };
    const clauses = this.#policy.decisive(trials.at(-1)!.rule, facts);
    const asked = sets.flatMap((set) => set.asked);
    const because = byRule(stage, this.#subject, final.rule, clauses, asked, trials.length);
    return { verdict, refused: { ...refusalOf(stage, final), because } };
  }

  /** One line for each rule that held, and it is counted. */
  #tell(stage: Stage, rule: Rule, facts: Facts): void {
    this.#policy.count(rule);
    const fields = ruleFields(stage, this.#subject, rule, this.#policy.decisive(rule, facts));
    this.#relay.logger.log('rule', { session: this.#session, ...fields });
  }

  #decision(stage: Stage, { verdict: { final, tarpitSeconds }, refused }: Judged): Decision | Promise<Decision> {
    const accepts = final?.tag === 'accept';
    // One recipient that anybody may write to must not open the way to all others.
    if (stage === 'rcpt') this.#favoured = accepts;
    else if (accepts) this.#accepted = stage === 'connect' || stage === 'helo' ? 'session' : 'transaction';
    return tarpitSeconds > 0 ? delayed(this.#witness, refused, tarpitSeconds * 1000) : refused;
  }
}
