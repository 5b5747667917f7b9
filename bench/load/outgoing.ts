/** Messages as the source sends them: everything that does not change from one to the next is prepared once. */
import { withStamp } from './stamp.ts';

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

/** One text for all messages. In the patterns `%n` stands for the message's number and `%r` for the recipient's. */
export class SameLoad implements Load {
  readonly count: number;
  readonly #message: Outgoing;
  readonly #pattern: { readonly from: string; readonly to: string; readonly recipients: number } | undefined;

  constructor(
    run: number,
    load: { readonly count: number; readonly from: string; readonly to: string; readonly recipients: number },
    text: Buffer,
  ) {
    this.count = load.count;
    this.#message = outgoing(run, 0, envelopeOf(load, 0), text);
    this.#pattern = load.from.includes('%n') || load.to.includes('%n') ? load : undefined;
  }

  at(index: number): Outgoing {
    if (this.#pattern === undefined) return { ...this.#message, number: index };
    return addressed(index, envelopeOf(this.#pattern, index), this.#message.content, this.#message.stuffed);
  }
}

function envelopeOf(pattern: { from: string; to: string; recipients: number }, number: number): Envelope {
  const fill = (text: string, recipient: number): string =>
    text.replaceAll('%n', `${number}`).replaceAll('%r', `${recipient}`);
  const to = Array.from({ length: pattern.recipients }, (_, i) => fill(pattern.to, i));
  return { from: fill(pattern.from, 0), to };
}
