/**
 * ClamAV's daemon: INSTREAM. A message that is small goes in one piece over a session, which then waits for the next
 * one; a larger one streams over a connection of its own.
 *
 *   → zIDSESSION\0 zINSTREAM\0 │ length │ bytes │ … │ 0 │      ← 1: stream: OK\0, 1: stream: NAME FOUND\0, or … ERROR\0
 *                  zINSTREAM\0 │ length │ bytes │ … │ 0 │      ← 2: …
 *   → zINSTREAM\0  │ length │ bytes │  …  │ 0 │                ← stream: …, or … ERROR\0
 *
 * A session has one message at a time, since clamd closes it after an error. It may also have died, or run out of time,
 * while nobody looked: what it was told is still here, and is told anew on another one.
 */
import type { FilterConfigOf } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import { checkedNames, replyOf } from './checks.ts';
import type { Findings } from './filter.ts';
import { ACCEPTED, FilterFailure, malformed } from './filter.ts';
import { IdleLinks } from './idle_links.ts';
import type { Gathered } from './passage.ts';
import type { Protocol, Subject } from './protocol.ts';
import type { FilterNet, Wire } from './wire.ts';
import { openWire } from './wire.ts';

const ANSWER_BYTES_MAX = 4096;
const SESSION = Buffer.from('zIDSESSION\0');
const COMMAND = Buffer.from('zINSTREAM\0');
const END = Buffer.alloc(4);
const SESSION_ENDS = Buffer.from('zEND\0');
const UNKNOWN = 'UNKNOWN COMMAND';

/** `number` is of the command that comes next; clamd counts from 1. */
type Session = { readonly wire: Wire; number: number; cut: boolean };
type Answer = { readonly text: string; readonly numbered: boolean };

export class Clamd implements Protocol {
  readonly #config: FilterConfigOf<'clamd'>;
  readonly #net: FilterNet;
  readonly #idle = new IdleLinks<Session>(LIMITS.clamdIdleSeconds);
  /** Not everybody who speaks INSTREAM knows them. */
  #hasSessions = true;
  #closed = false;

  constructor(config: FilterConfigOf<'clamd'>, net: FilterNet) {
    this.#config = config;
    this.#net = net;
  }

  async examine(subject: Subject): Promise<Findings> {
    const gathered = await subject.content.gather(LIMITS.filterWholeBytes);
    const answer = gathered.whole ? await this.#inSession(gathered, subject) : null;
    return this.#findings(answer ?? (await this.#streamed(gathered, subject)));
  }

  /** Null: it has to be told without a session. */
  async #inSession({ pieces, bytes }: Gathered, subject: Subject): Promise<string | null> {
    const content = bytes === 0 ? [COMMAND, END] : [COMMAND, lengthOf(bytes), ...pieces, END];
    const kept = this.#idle.take();
    const again = kept === null ? null : await this.#askKept(kept, content, subject);
    if (again !== null || !this.#hasSessions) return again;
    const session: Session = { wire: await this.#open(subject), number: 1, cut: false };
    const { text } = await this.#ask(session, [SESSION, ...content], subject);
    if (text !== UNKNOWN) return text;
    this.#hasSessions = false;
    return null;
  }

  /** Null: it was dead, or its time was over. */
  async #askKept(session: Session, content: readonly Uint8Array[], subject: Subject): Promise<string | null> {
    try {
      const { text, numbered } = await this.#ask(session, content, subject);
      return numbered ? text : null;
    } catch (error) {
      if (session.cut || !(error instanceof FilterFailure) || error.reason !== 'died') throw error;
      return null;
    }
  }

  async #ask(session: Session, told: readonly Uint8Array[], { patience, onCut }: Subject): Promise<Answer> {
    const { wire, number } = session;
    let usable = false;
    onCut(() => {
      session.cut = true;
      wire.cut();
    });
    try {
      patience.owe();
      await wire.send(...told);
      const answer = await readAnswer(wire);
      const own = `${number}: `;
      const numbered = answer.startsWith(own);
      usable = numbered && !answer.endsWith('ERROR') && !wire.heard && !this.#closed && !this.#idle.full;
      return { numbered, text: numbered ? answer.slice(own.length) : answer };
    } finally {
      session.number++;
      if (usable) this.#idle.put(session);
      else wire.cut();
    }
  }

  #open({ patience, onCut }: Subject): Promise<Wire> {
    patience.owe(this.#config.connectMs);
    return openWire(this.#config.at, this.#net, (opening) => onCut(() => opening.cut()));
  }

  async #streamed({ pieces, whole }: Gathered, subject: Subject): Promise<string> {
    const { content, patience } = subject;
    const wire = await this.#open(subject);
    try {
      patience.owe();
      wire.send(COMMAND);
      for (const piece of pieces) if (!wire.heard) await wire.send(lengthOf(piece.length), piece);
      for (let chunk = whole ? null : await content.read(); chunk !== null && !wire.heard; ) {
        await wire.send(lengthOf(chunk.length), chunk);
        if (wire.drained) content.done();
        chunk = await content.read();
      }
      if (!wire.heard) wire.send(END);
      content.drop();
      patience.owe();
      return await readAnswer(wire);
    } finally {
      wire.cut();
    }
  }

  #findings(answer: string): Findings {
    const found = /^stream: (?:(OK)|(.+) FOUND)$/.exec(answer);
    if (found === null) {
      if (answer.endsWith('ERROR')) throw new FilterFailure('error', checkedNames([answer.slice(0, 90)])[0]!);
      throw malformed('an answer that is neither OK nor FOUND nor ERROR');
    }
    if (found[1] !== undefined) return ACCEPTED;
    const names = checkedNames([found[2]!]);
    const verdict = this.#config.onFound;
    return { verdict, names, headers: [], ...(verdict === 'reject' ? { reply: replyOf('virusFound', names[0]) } : {}) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { wire } of this.#idle.takeAll()) wire.leave(SESSION_ENDS);
  }
}

function lengthOf(bytes: number): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes, 0);
  return length;
}

/** Up to its NUL. */
async function readAnswer(wire: Wire): Promise<string> {
  let answer = '';
  for (;;) {
    const bytes = await wire.read();
    if (bytes === null) throw new FilterFailure('died', 'it hung up without an answer');
    answer += bytes.toString('latin1');
    const end = answer.indexOf('\0');
    if (end !== -1) return answer.slice(0, end).trim();
    if (answer.length > ANSWER_BYTES_MAX) throw new FilterFailure('bounds', 'an answer without an end');
  }
}
