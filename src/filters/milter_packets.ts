/**
 * Milter packets, bytes to values and back; knows no order and waits for nothing.
 *
 *   │ length, 4 bytes │ command or reply, 1 byte │ its data, length - 1 bytes │
 */
import { LIMITS } from '../config/limits.ts';
import { FilterFailure, malformed } from './filter.ts';

/** What an MTA says (SMFIC_…). */
const COMMANDS = {
  abort: 'A',
  body: 'B',
  connect: 'C',
  macro: 'D',
  endOfBody: 'E',
  helo: 'H',
  quitNewConnection: 'K',
  header: 'L',
  mail: 'M',
  endOfHeaders: 'N',
  negotiate: 'O',
  quit: 'Q',
  rcpt: 'R',
  data: 'T',
} as const;
export type Command = keyof typeof COMMANDS;

/** What a filter says (SMFIR_…). */
const REPLY_LETTERS = {
  '+': 'addRecipient',
  '2': 'addRecipientWithParameters',
  '-': 'removeRecipient',
  '4': 'shutdown',
  a: 'accept',
  b: 'replaceBody',
  c: 'continue',
  d: 'discard',
  e: 'changeSender',
  f: 'connectionFailure',
  h: 'addHeader',
  i: 'insertHeader',
  m: 'changeHeader',
  O: 'negotiate',
  p: 'progress',
  q: 'quarantine',
  r: 'reject',
  s: 'skip',
  t: 'defer',
  y: 'replyCode',
} as const;
export type ReplyTag = (typeof REPLY_LETTERS)[keyof typeof REPLY_LETTERS];

export type Packet = { readonly tag: ReplyTag; readonly fields: Buffer };

export type Text = { readonly text: string; readonly encoding: 'utf8' | 'latin1' };

/** The packet up to where `bytesBehind` more bytes of its data follow. */
export function packet(command: Command, data: Buffer | Text | null = null, bytesBehind = 0): Buffer {
  const here = data === null ? 0 : 'text' in data ? Buffer.byteLength(data.text, data.encoding) : data.length;
  const bytes = Buffer.allocUnsafe(5 + here);
  bytes.writeUInt32BE(1 + here + bytesBehind, 0);
  bytes[4] = COMMANDS[command].charCodeAt(0);
  if (data === null) return bytes;
  if ('text' in data) bytes.write(data.text, 5, data.encoding);
  else data.copy(bytes, 5);
  return bytes;
}

/** A NUL in a text would end it early for the filter, and what comes behind be another text. */
const withoutNul = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '') : text);

/** Texts, each with its NUL. */
export function texts(...values: readonly string[]): Text {
  let text = '';
  for (const value of values) text += `${withoutNul(value)}\0`;
  return { text, encoding: 'utf8' };
}

/** A name and a value with one char per byte. */
export const octets = (name: string, value: string): Text => ({
  text: `${withoutNul(name)}\0${withoutNul(value)}\0`,
  encoding: 'latin1',
});

/** The macros of a command, which stand before it: `j`, or `{client_addr}` where a name has several letters. */
export function macroPacket(command: Command, namesAndValues: readonly string[]): Buffer {
  const { text, encoding } = texts(...namesAndValues);
  return packet('macro', { text: `${COMMANDS[command]}${text}`, encoding });
}

/** Most replies by far: they need no memory. */
const CONTINUE: Packet = { tag: 'continue', fields: Buffer.alloc(0) };
const CONTINUE_CODE = 'c'.charCodeAt(0);

/** Reads packets out of a stream that is cut anywhere. */
export class PacketReader {
  #pieces: Buffer[] = [];
  /** In the first of them: what is before it has been read. */
  #at = 0;
  /** Behind that. */
  #bytes = 0;
  /** So many bytes must be there before it pays to look again: a filter that sends bytes one by one costs no more. */
  #needs = 5;

  feed(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next whole packet, or null. */
  next(): Packet | null {
    if (this.#bytes < this.#needs) return null;
    if (this.#pieces.length > 1) this.#join();
    const bytes = this.#pieces[0]!;
    const from = this.#at;
    const length = bytes.readUInt32BE(from);
    if (length < 1 || length > LIMITS.milterPacketBytesMax) throw malformed(`a packet of ${length} bytes`);
    const code = bytes[from + 4]!;
    const letter = String.fromCharCode(code);
    if (!Object.hasOwn(REPLY_LETTERS, letter)) throw malformed('a reply that is not known');
    this.#needs = 4 + length;
    if (this.#bytes < this.#needs) return null;
    this.#needs = 5;
    this.#at = from + 4 + length;
    this.#bytes -= 4 + length;
    if (this.#bytes === 0) {
      this.#pieces = [];
      this.#at = 0;
    }
    if (code === CONTINUE_CODE && length === 1) return CONTINUE;
    const tag = REPLY_LETTERS[letter as keyof typeof REPLY_LETTERS];
    return { tag, fields: bytes.subarray(from + 5, from + 4 + length) };
  }

  #join(): void {
    const [first, ...more] = this.#pieces;
    this.#pieces = [Buffer.concat([first!.subarray(this.#at), ...more], this.#bytes)];
    this.#at = 0;
  }

  /** Bytes that are no whole packet yet. */
  get pending(): number {
    return this.#bytes;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The NUL-ended texts of a reply, which are UTF-8; of the last one the NUL may be missing, as some filters do. */
export function textsOf(fields: Buffer, countMin: number, countMax: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < fields.length; ) {
    const nul = fields.indexOf(0, at);
    const end = nul === -1 ? fields.length : nul;
    if (parts.length === countMax) throw malformed('more fields than its reply has');
    try {
      parts.push(decoder.decode(fields.subarray(at, end)));
    } catch {
      throw malformed('text that is not UTF-8');
    }
    at = end + 1;
  }
  if (parts.length < countMin) throw malformed('fewer fields than its reply has');
  return parts;
}

/** A number of four bytes, and what follows it. */
export function numberAndRest(fields: Buffer): { number: number; rest: Buffer } {
  if (fields.length < 4) throw new FilterFailure('malformed', 'fewer fields than its reply has');
  return { number: fields.readUInt32BE(0), rest: fields.subarray(4) };
}
