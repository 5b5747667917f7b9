/**
 * What MTA and milter agree on at the start of a connection (SMFIC_OPTNEG): a version, the changes that the filter may
 * ask for (SMFIF_…), the steps it does not want or does not answer (SMFIP_…), and the macros it wants at each stage.
 *
 *   │ version, 4 bytes │ actions, 4 bytes │ steps, 4 bytes │ { stage, 4 bytes │ names with blanks between, NUL }*
 */
import { malformed } from './filter.ts';
import type { Command, ReplyTag } from './milter_packets.ts';
import { packet } from './milter_packets.ts';

const VERSION_MAX = 6;
const VERSION_MIN = 2;

export const ACTIONS = {
  addHeaders: 0x01,
  changeBody: 0x02,
  addRecipients: 0x04,
  removeRecipients: 0x08,
  changeHeaders: 0x10,
  quarantine: 0x20,
  changeSender: 0x40,
  addRecipientsWithParameters: 0x80,
  setMacroLists: 0x100,
} as const;
const ACTIONS_OFFERED = 0x1ff;

/** Step flags, by the command they speak of. */
const NOT_SENT: Partial<Record<Command, number>> = {
  connect: 0x01,
  helo: 0x02,
  mail: 0x04,
  rcpt: 0x08,
  body: 0x10,
  header: 0x20,
  endOfHeaders: 0x40,
  data: 0x200,
};
const NOT_ANSWERED: Partial<Record<Command, number>> = {
  header: 0x80,
  connect: 0x1000,
  helo: 0x2000,
  mail: 0x4000,
  rcpt: 0x8000,
  data: 0x10000,
  endOfHeaders: 0x40000,
  body: 0x80000,
};
const STEPS = { maySkip: 0x400, leadingSpace: 0x100000 } as const;
/** All but rejected recipients (0x800): filters see those who are accepted. Unknown commands (0x100) are never sent. */
const STEPS_OFFERED = 0x1ff7ff;

/** Commands of version 2; later ones were never heard of by a filter that speaks it. */
const SINCE_VERSION: Partial<Record<Command, number>> = { data: 4 };

export type MacroLists = ReadonlyMap<MacroStage, readonly string[]>;
export const MACRO_STAGES = ['connect', 'helo', 'mail', 'rcpt', 'data', 'endOfBody', 'endOfHeaders'] as const;
export type MacroStage = (typeof MACRO_STAGES)[number];

const MACROS_MAX = 100;
const MACRO_NAME = /^(?:[A-Za-z_]|\{[A-Za-z0-9_]{1,64}\})$/;

/** Which action each reply that changes something stands on. */
const NEEDS: Partial<Record<ReplyTag, number>> = {
  addRecipient: ACTIONS.addRecipients,
  addRecipientWithParameters: ACTIONS.addRecipientsWithParameters,
  removeRecipient: ACTIONS.removeRecipients,
  replaceBody: ACTIONS.changeBody,
  changeSender: ACTIONS.changeSender,
  addHeader: ACTIONS.addHeaders,
  insertHeader: ACTIONS.addHeaders,
  changeHeader: ACTIONS.changeHeaders,
  quarantine: ACTIONS.quarantine,
};

export const OFFER: Buffer = packet('negotiate', numbers(VERSION_MAX, ACTIONS_OFFERED, STEPS_OFFERED));

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value, at * 4);
  return bytes;
}

export class MilterOptions {
  readonly version: number;
  readonly #actions: number;
  readonly #steps: number;
  /** Stages that it names; for all others we choose. */
  readonly macros: MacroLists;

  /** `fields`: of the filter's own SMFIC_OPTNEG. */
  constructor(fields: Buffer) {
    if (fields.length < 12) throw malformed('half a negotiation');
    this.version = fields.readUInt32BE(0);
    this.#actions = fields.readUInt32BE(4);
    this.#steps = fields.readUInt32BE(8);
    if (this.version < VERSION_MIN || this.version > VERSION_MAX) throw malformed(`milter version ${this.version}`);
    if ((this.#actions & ~ACTIONS_OFFERED) !== 0) throw malformed('it wants actions that are not offered');
    if ((this.#steps & ~STEPS_OFFERED) !== 0) throw malformed('it wants protocol steps that are not offered');
    this.macros = readMacroLists(fields.subarray(12));
  }

  wants(command: Command): boolean {
    return (this.#steps & (NOT_SENT[command] ?? 0)) === 0 && this.version >= (SINCE_VERSION[command] ?? 0);
  }

  answers(command: Command): boolean {
    return (this.#steps & (NOT_ANSWERED[command] ?? 0)) === 0;
  }

  /**
   * From DATA on commands may leave ahead of the replies to those before. After a verdict libmilter passes over all
   * that cannot follow HELO, and what can follow RCPT does so where neither RCPT nor MAIL is told to the filter: it
   * would then hear of a message that it has decided on.
   */
  get leads(): boolean {
    return this.wants('mail') || this.wants('rcpt');
  }

  mayAskFor(reply: ReplyTag): boolean {
    const needed = NEEDS[reply];
    return needed !== undefined && (this.#actions & needed) !== 0;
  }

  get maySkip(): boolean {
    return (this.#steps & STEPS.maySkip) !== 0;
  }

  /** Field values go both ways with the blank behind their colon. */
  get leadingSpace(): boolean {
    return (this.#steps & STEPS.leadingSpace) !== 0;
  }
}

function readMacroLists(fields: Buffer): MacroLists {
  const lists = new Map<MacroStage, readonly string[]>();
  for (let at = 0; at < fields.length; ) {
    const end = fields.indexOf(0, at + 4);
    if (end === -1) throw malformed('half a list of macros');
    const stage = MACRO_STAGES[fields.readUInt32BE(at)];
    if (stage === undefined || lists.has(stage)) throw malformed('macros for a stage that is not known');
    const names = fields
      .toString('latin1', at + 4, end)
      .split(/[ ,\t]+/)
      .filter((name) => name !== '');
    if (names.length > MACROS_MAX) throw malformed('too many macros');
    // One letter may be written either way; unknown names are no fault, they have no value.
    lists.set(
      stage,
      names.map((name) => name.replace(/^\{(.)\}$/, '$1')).filter((name) => MACRO_NAME.test(name)),
    );
    at = end + 1;
  }
  return lists;
}
