/**
 * A milter, protocol 6 down to 2, spoken to as an MTA does, from the moment when the client has named the sender; of a
 * session with several messages CONNECT and HELO once, where its connection is still at hand.
 *
 *   CONNECT ─► HELO ─► MAIL ─► RCPT* ─► DATA ─► HEADER* ─► end of headers ─► BODY* ─► end of body ─► changes* verdict
 *
 * Up to RCPT each command waits for its reply, unless the filter has said that it gives none; those leave together with
 * the next. From DATA on commands leave ahead of the replies to those before, as far as content is at hand, and replies
 * come in their order. What waits for all of them: content that is not there yet, so that the clock can stand.
 *
 * A reply other than `continue` may end the whole at any stage; up to MAIL it is our reply to MAIL. At RCPT `reject`
 * and `defer` are about that recipient alone, and our reply to it. What has been told ahead of such a reply is passed
 * over by some filters, answered by others, and its connection ends.
 */
import type { FilterConfigOf } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import type { BodyBudget } from './changes.ts';
import { Changes } from './changes.ts';
import { checkedNames, checkedReply, parsedReply } from './checks.ts';
import { FieldSplitter } from './field_splitter.ts';
import type { FilterReply, Findings, Word } from './filter.ts';
import { ACCEPTED, FilterFailure, malformed } from './filter.ts';
import { applyChange } from './milter_changes.ts';
import type { MilterLink } from './milter_link.ts';
import { MilterPool, QUIT_NEW_CONNECTION } from './milter_link.ts';
import { clientName, Macros } from './milter_macros.ts';
import type { MacroStage } from './milter_options.ts';
import { MACRO_STAGES } from './milter_options.ts';
import type { Command, Packet, Text } from './milter_packets.ts';
import { octets, packet, texts } from './milter_packets.ts';
import type { Protocol, Subject } from './protocol.ts';
import type { FilterNet } from './wire.ts';

/** MILTER_CHUNK_SIZE */
const BODY_BYTES_MAX = 65_535;
/** Commands that wait for one with a reply. */
const BATCH_BYTES_MAX = 16_384;

export class Milter implements Protocol {
  readonly early = true;
  readonly #config: FilterConfigOf<'milter'>;
  readonly #pool: MilterPool;
  readonly #budget: BodyBudget;

  constructor(config: FilterConfigOf<'milter'>, net: FilterNet, budget: BodyBudget) {
    this.#config = config;
    this.#pool = new MilterPool(config, net);
    this.#budget = budget;
  }

  async examine(subject: Subject): Promise<Findings> {
    const idle = this.#pool.idleLink(subject.envelope);
    if (idle !== null) {
      const findings = await this.#tryAgainOn(idle, subject);
      if (findings !== null) return findings;
    }
    const link = await this.#pool.open(subject);
    return this.#talk(link, new Dialogue(link, subject, this.#config, this.#budget), subject);
  }

  /** Null: the connection was dead, and nothing is lost yet. */
  async #tryAgainOn(link: MilterLink, subject: Subject): Promise<Findings | null> {
    const dialogue = new Dialogue(link, subject, this.#config, this.#budget);
    try {
      return await this.#talk(link, dialogue, subject);
    } catch (error) {
      if (dialogue.answered || !(error instanceof FilterFailure)) throw error;
      // A message that is not coming says nothing of the filter, answered or not.
      if (dialogue.cut === 'failure' || (dialogue.cut === null && error.reason !== 'died')) this.#pool.neverAgain();
      if (dialogue.cut !== null || subject.hearing.begun) throw error;
      return null;
    }
  }

  async #talk(link: MilterLink, dialogue: Dialogue, { envelope, onCut }: Subject): Promise<Findings> {
    onCut((why) => {
      dialogue.cut = why;
      if (why === 'abort') this.#pool.abandon(link);
      else link.wire.cut();
    });
    try {
      const findings = await dialogue.run();
      this.#pool.release(link, envelope, dialogue.inStep);
      return findings;
    } catch (error) {
      if (dialogue.cut === null) link.wire.cut();
      throw error;
    } finally {
      dialogue.changes.release();
    }
  }

  async close(): Promise<void> {
    this.#pool.close();
  }
}

/** Told, and its reply is to come. */
type Asked = { readonly command: Command; readonly bytes: number };

/** One message on one connection. */
class Dialogue {
  readonly #link: MilterLink;
  readonly #subject: Subject;
  readonly #macros: Macros;
  readonly changes: Changes;
  /** On its way out. */
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  /** In order. */
  readonly #asked: Asked[] = [];
  #askedBytes = 0;
  /** Headers or body are not wanted any more. */
  readonly #skipped = new Set<Command>();
  /** Set as soon as the filter has decided. */
  #verdict: Findings | null = null;
  #quarantine: string | null = null;
  answered = false;
  cut: 'abort' | 'failure' | null = null;
  /** The end of the body was answered with `continue`. */
  inStep = false;

  constructor(link: MilterLink, subject: Subject, config: FilterConfigOf<'milter'>, budget: BodyBudget) {
    this.#link = link;
    this.#subject = subject;
    this.#macros = new Macros(subject.envelope, config.daemonName, link.options.macros);
    this.changes = new Changes(budget);
  }

  async run(): Promise<Findings> {
    const { envelope, content } = this.#subject;
    const told = this.#link.told(envelope);
    if (told === 'other') this.#gather(QUIT_NEW_CONNECTION);
    const proceeds =
      (told === 'same' ||
        ((await this.#step('connect', connectData(this.#subject))) &&
          (await this.#step('helo', texts(envelope.helo))))) &&
      (await this.#step('mail', texts(`<${envelope.sender}>`, ...(envelope.smtpUtf8 ? ['SMTPUTF8'] : [])))) &&
      (await this.#recipients()) &&
      (await this.#ahead('data', null)) &&
      (await this.#content());
    content.drop();
    if (proceeds) await this.#endOfBody();
    this.#settle();
    return this.#found(this.#verdict!);
  }

  /** What has been read of the content, and has left, is needed no more. */
  #settle(): void {
    if (this.#batchBytes === 0 && this.#link.wire.drained) this.#subject.content.done();
  }

  /** With an acceptance goes what was asked for. */
  #found(verdict: Findings): Findings {
    if (verdict.verdict !== 'accept') return verdict;
    const { found } = this.changes;
    if (this.#quarantine === null) return { ...verdict, ...found };
    const names = checkedNames([this.#quarantine.replaceAll(' ', '-')]);
    return { ...found, verdict: 'hold', action: 'quarantine', names };
  }

  /** Whether to go on, when it has been answered. */
  #step(command: Command, data: Buffer | Text | null): Promise<boolean> {
    this.#tell(command, data);
    return this.#answers();
  }

  /** Whether to go on, perhaps before it has been answered. */
  #ahead(command: Command, data: Text | null, piece: Uint8Array | null = null): true | Promise<boolean> {
    if (!this.#mayLead(command)) return this.#behind(command, data, piece);
    this.#tell(command, data, piece);
    if (this.#batchBytes < BATCH_BYTES_MAX && this.#askedBytes <= LIMITS.milterAheadBytes) return true;
    return this.#caughtUp();
  }

  async #behind(command: Command, data: Text | null, piece: Uint8Array | null): Promise<boolean> {
    return (await this.#answers()) && this.#ahead(command, data, piece);
  }

  async #caughtUp(): Promise<boolean> {
    if (this.#batchBytes >= BATCH_BYTES_MAX) await this.#flush();
    while (this.#askedBytes > LIMITS.milterAheadBytes) if (!(await this.#answers(this.#asked.length - 1))) return false;
    return true;
  }

  /** Body behind body waits where the filter may want no more of it. */
  #mayLead(command: Command): boolean {
    const { options } = this.#link;
    if (this.#asked.length === 0) return true;
    return options.leads && !(command === 'body' && options.maySkip && this.#asked.at(-1)!.command === 'body');
  }

  /** Gathers it; nothing where the filter does not want it. */
  #tell(
    command: Command,
    data: Buffer | Text | null,
    piece: Uint8Array | null = null,
    recipient: string | null = null,
  ): void {
    const { options } = this.#link;
    if (!options.wants(command) || this.#skipped.has(command)) return;
    const bytesBefore = this.#batchBytes;
    const macros = isStage(command) ? this.#macros.before(command, recipient) : null;
    if (macros !== null) this.#gather(macros);
    this.#gather(packet(command, data, piece?.length ?? 0));
    if (piece !== null) this.#gather(piece);
    if (!options.answers(command)) return;
    if (this.#asked.length === 0) this.#subject.patience.owe();
    const bytes = this.#batchBytes - bytesBefore;
    this.#asked.push({ command, bytes });
    this.#askedBytes += bytes;
  }

  #gather(piece: Uint8Array): void {
    this.#batch.push(piece);
    this.#batchBytes += piece.length;
  }

  /** A promise: it has not taken all of it yet. */
  #flush(): Promise<void> | undefined {
    const pieces = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    return this.#link.wire.send(...pieces)?.then(() => {
      if (this.#asked.length > 0) this.#subject.patience.owe();
    });
  }

  /** All replies but the last `left` have come, and none of them ends it. What has none leaves with what has one. */
  async #answers(left = 0): Promise<boolean> {
    while (this.#asked.length > left) {
      const reply = await this.#reply();
      this.answered = true;
      const { command, bytes } = this.#asked.shift()!;
      this.#askedBytes -= bytes;
      if (!this.#judge(command, reply)) return false;
    }
    return true;
  }

  #reply(): Packet | Promise<Packet> {
    const { patience } = this.#subject;
    const behind = this.#batchBytes > 0 ? this.#flush() : undefined;
    return behind === undefined ? this.#link.reply(patience) : behind.then(() => this.#link.reply(patience));
  }

  /** A reply at a stage before the end of the body: true to go on. */
  #judge(command: Command, reply: Packet): boolean {
    if (reply.tag === 'continue') return true;
    if (reply.tag === 'skip' && this.#link.options.maySkip && (command === 'body' || command === 'header')) {
      this.#skipped.add(command);
      return true;
    }
    this.#verdict = this.#final(reply);
    if (this.#verdict === null) throw malformed(`${reply.tag} in answer to ${command}`);
    return false;
  }

  /** A verdict, or null where the reply is none. */
  #final({ tag, fields }: Packet): Findings | null {
    switch (tag) {
      case 'accept':
        return ACCEPTED;
      case 'discard':
        return { verdict: 'discard', headers: [] };
      case 'reject':
      case 'defer':
        return { verdict: tag, reply: checkedReply(tag, undefined, undefined, undefined), headers: [] };
      case 'replyCode':
        return { ...replyCode(fields), headers: [] };
      case 'shutdown':
      case 'connectionFailure':
        throw new FilterFailure('error', `it says ${tag}`);
      default:
        return null;
    }
  }

  /** As the client names them. */
  async #recipients(): Promise<boolean> {
    const { hearing } = this.#subject;
    let word: Word = null;
    for (let address = await hearing.next(word); address !== null; address = await hearing.next(word)) {
      word = null;
      if (!(await this.#recipient(address))) {
        if (this.#verdict!.reply === undefined) return false;
        word = this.#verdict!.reply;
        this.#verdict = null;
      } else this.#macros.recipients++;
    }
    return true;
  }

  async #recipient(address: string): Promise<boolean> {
    this.#tell('rcpt', texts(`<${address}>`), null, address);
    return this.#answers();
  }

  async #content(): Promise<boolean> {
    const splitter = new FieldSplitter();
    for (let chunk = await this.#read(); chunk !== null; chunk = await this.#read()) {
      if (splitter.done) {
        if (!(await this.#body(chunk))) return false;
        continue;
      }
      const { fields, before, body } = splitter.push(chunk);
      if (!(await this.#headers(fields))) return false;
      if (body === null) continue;
      const proceeds = (await this.#ahead('endOfHeaders', null)) && (await this.#bodyText(before));
      if (!proceeds || !(await this.#body(body))) return false;
    }
    if (this.#verdict !== null) return false;
    if (splitter.done) return true;
    const { fields, before } = splitter.end();
    return (await this.#headers(fields)) && (await this.#ahead('endOfHeaders', null)) && (await this.#bodyText(before));
  }

  /** Null also where the filter has decided. */
  async #read(): Promise<Uint8Array | null> {
    const { content } = this.#subject;
    if (!content.atHand && !(await this.#answers())) return null;
    this.#settle();
    return content.read();
  }

  async #headers(fields: readonly { readonly name: string; readonly value: string }[]): Promise<boolean> {
    const { leadingSpace } = this.#link.options;
    for (const { name, value } of fields) {
      // Milters see folds as LF; one char per byte becomes bytes again.
      const shown = leadingSpace || !value.startsWith(' ') ? value : value.slice(1);
      const folds = shown.includes('\r\n') ? shown.replaceAll('\r\n', '\n') : shown;
      const ahead = this.#ahead('header', octets(name, folds));
      if (ahead !== true && !(await ahead)) return false;
    }
    return true;
  }

  async #bodyText(text: string): Promise<boolean> {
    return text === '' || (await this.#body(Buffer.from(text, 'latin1')));
  }

  async #body(bytes: Uint8Array): Promise<boolean> {
    for (let at = 0; at < bytes.length; at += BODY_BYTES_MAX) {
      const piece = bytes.subarray(at, at + BODY_BYTES_MAX);
      if (!(await this.#ahead('body', null, piece))) return false;
    }
    return true;
  }

  async #endOfBody(): Promise<void> {
    this.#tell('endOfBody', null); // it is always wanted, and always answered
    if (!(await this.#answers(1))) return;
    while (this.#verdict === null) {
      const reply = await this.#reply();
      this.answered = true;
      if (reply.tag === 'continue') this.inStep = true;
      this.#verdict = reply.tag === 'continue' ? ACCEPTED : this.#final(reply);
      if (this.#verdict !== null) break;
      if (!this.#link.options.mayAskFor(reply.tag)) throw malformed(`${reply.tag} was not agreed upon`);
      const reason = applyChange(reply, this.changes, this.#link.options.leadingSpace);
      if (reason !== null) this.#quarantine = reason;
    }
  }
}

const isStage = (command: Command): command is MacroStage & Command =>
  (MACRO_STAGES as readonly string[]).includes(command);

/** Sendmail's filters write a percent sign twice. */
function replyCode(fields: Buffer): { verdict: 'reject' | 'defer'; reply: FilterReply } {
  const nul = fields.indexOf(0);
  const text = fields.toString('utf8', 0, nul === -1 ? fields.length : nul);
  return parsedReply(text.replaceAll('%%', '%'));
}

/** Name, family, port, address; an address that we do not know has the family alone. */
function connectData({ envelope }: Subject): Buffer {
  const { address, port } = envelope.client;
  const family = address.includes(':') ? '6' : address.includes('.') ? '4' : 'U';
  const name = Buffer.from(texts(clientName(envelope)).text);
  if (family === 'U') return Buffer.concat([name, Buffer.from(family)]);
  const portBytes = Buffer.alloc(2);
  portBytes.writeUInt16BE(port & 0xffff, 0);
  return Buffer.concat([name, Buffer.from(family), portBytes, Buffer.from(texts(address).text)]);
}
