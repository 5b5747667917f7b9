/** Messages as the source sends them: everything that does not change from one to the next is prepared once. */
import { withStamp } from './stamp.ts';
import { random } from './text.ts';

/** A message ready to be sent; many may share the same buffers. */
export type Outgoing = {
  /** Its number in the run: the stamp's, and the one that is marked when its 250 has come. */
  readonly number: number;
  /** MAIL, RCPT… and DATA, each a line with its CRLF. */
  readonly mail: Buffer;
  readonly rcpts: readonly Buffer[];
  /** All of them in one, for a peer with PIPELINING. */
  readonly group: Buffer;
  /** Starts with a stamp, dots doubled, ends with CRLF.CRLF: what follows 354. */
  readonly stuffed: Buffer;
  /** The same with dots as they are and without the end: what follows BDAT. */
  readonly content: Buffer;
};

export interface Load {
  /** Messages in all; may be Infinity where a duration ends the run. */
  readonly count: number;
  /** The message at `index`, 0 to count - 1, asked for in order. */
  at(index: number): Outgoing;
}

export type Envelope = { readonly from: string; readonly to: readonly string[]; readonly parameters?: string };

const DATA = 'DATA\r\n';
const LINE_DOT = Buffer.from('\r\n.');

/** Dots at line starts doubled (RFC 5321 §4.5.2), and the end of data. `content` ends with CRLF. */
export function stuff(content: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  if (content[0] === 46) parts.push(Buffer.from('.'));
  for (let hit = content.indexOf(LINE_DOT); hit !== -1; hit = content.indexOf(LINE_DOT, from)) {
    parts.push(content.subarray(from, hit + 3), Buffer.from('.'));
    from = hit + 3;
  }
  parts.push(content.subarray(from), Buffer.from('.\r\n'));
  return Buffer.concat(parts);
}

/** `text` comes after the stamp and ends with CRLF. */
export function outgoing(run: number, number: number, envelope: Envelope, text: Buffer): Outgoing {
  const content = withStamp(run, text);
  return addressed(number, envelope, content, stuff(content));
}

function addressed(number: number, envelope: Envelope, content: Buffer, stuffed: Buffer): Outgoing {
  const parameters = envelope.parameters === undefined ? '' : ` ${envelope.parameters}`;
  const mail = `MAIL FROM:<${envelope.from}>${parameters}\r\n`;
  const rcpts = envelope.to.map((to) => `RCPT TO:<${to}>\r\n`);
  return {
    number,
    mail: Buffer.from(mail),
    rcpts: rcpts.map((rcpt) => Buffer.from(rcpt)),
    group: Buffer.from(mail + rcpts.join('') + DATA),
    stuffed,
    content,
  };
}

export type Addressing = {
  /** Messages in all. */
  readonly count: number;
  /**
   * Patterns: `%n` stands for the message's number, `%r` for the recipient's, `%{K}` for a number below K that is drawn
   * for each address, the same in every run of the same id.
   */
  readonly from: string;
  readonly to: string;
  readonly recipients: number;
};

/** Texts to choose from, each with a stamp before it, and envelopes by pattern. */
export class PatternLoad implements Load {
  readonly count: number;
  readonly #run: number;
  readonly #messages: readonly Outgoing[];
  readonly #parameters: readonly ({ readonly parameters: string } | undefined)[];
  readonly #choose: (index: number) => number;
  readonly #addressing: Addressing;
  readonly #varies: boolean;

  /** `choose` gives an index into `texts`. */
  constructor(run: number, addressing: Addressing, texts: readonly Buffer[], choose: (index: number) => number) {
    this.count = addressing.count;
    this.#run = run;
    this.#addressing = addressing;
    this.#choose = choose;
    const { from, to } = addressing;
    this.#varies = [from, to].some((pattern) => pattern.includes('%n') || DRAWN.test(pattern));
    const envelope = envelopeOf(run, addressing, 0);
    this.#parameters = texts.map((text) => (text.some((byte) => byte > 127) ? { parameters: EIGHT_BIT } : undefined));
    this.#messages = texts.map((text, i) => outgoing(run, 0, { ...envelope, ...this.#parameters[i] }, text));
  }

  at(index: number): Outgoing {
    const choice = this.#choose(index);
    const message = this.#messages[choice]!;
    if (!this.#varies) return { ...message, number: index };
    const envelope = envelopeOf(this.#run, this.#addressing, index);
    return addressed(index, { ...envelope, ...this.#parameters[choice] }, message.content, message.stuffed);
  }
}

/** A text and who sends it. */
export type Letter = { readonly from: string; readonly text: Buffer };

/** Some letters in turn, all to one recipient. */
export class LettersLoad implements Load {
  readonly count: number;
  readonly #messages: readonly Outgoing[];

  constructor(run: number, count: number, letters: readonly Letter[], to: string) {
    this.count = count;
    this.#messages = letters.map(({ from, text }) => outgoing(run, 0, { from, to: [to] }, text));
  }

  at(index: number): Outgoing {
    return { ...this.#messages[index % this.#messages.length]!, number: index };
  }
}

const DRAWN = /%\{(\d+)\}/;
const DRAWN_ALL = new RegExp(DRAWN, 'g');
const EIGHT_BIT = 'BODY=8BITMIME';

function envelopeOf(run: number, { from, to, recipients }: Addressing, number: number): Envelope {
  const chance = random(run * 1_000_003 + number);
  const fill = (text: string, recipient: number): string =>
    text
      .replaceAll('%n', `${number}`)
      .replaceAll('%r', `${recipient}`)
      .replaceAll(DRAWN_ALL, (_, bound: string) => `${chance.below(Number(bound))}`);
  return { from: fill(from, 0), to: Array.from({ length: recipients }, (_, i) => fill(to, i)) };
}
