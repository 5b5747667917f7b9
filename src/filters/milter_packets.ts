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

/** The packet up to where `dataBytes` more bytes of its data follow. */
export function packet(command: Command, data: Buffer | null = null, dataBytes = 0): Buffer {
  const here = data?.length ?? 0;
  const bytes = Buffer.allocUnsafe(5 + here);
  bytes.writeUInt32BE(1 + here + dataBytes, 0);
  bytes.write(COMMANDS[command], 4, 'latin1');
  data?.copy(bytes, 5);
  return bytes;
}

/** A NUL in a text would end it early for the filter, and what comes behind be another text. */
const withoutNul = (text: string): string => text.replaceAll('\0', '');

/** Texts, each with its NUL. */
export function texts(...values: readonly string[]): Buffer {
  return Buffer.from(values.map((value) => `${withoutNul(value)}\0`).join(''), 'utf8');
}

/** The macros of a command, which stand before it: `j`, or `{client_addr}` where a name has several letters. */
export function macroPacket(command: Command, macros: readonly (readonly [name: string, value: string])[]): Buffer {
  return packet('macro', Buffer.concat([Buffer.from(COMMANDS[command], 'latin1'), texts(...macros.flat())]));
}

/** Reads packets out of a stream that is cut anywhere. */
export class PacketReader {
  #pieces: Buffer[] = [];
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
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#bytes);
    this.#pieces = [bytes];
    const length = bytes.readUInt32BE(0);
    if (length < 1 || length > LIMITS.milterPacketBytesMax) throw malformed(`a packet of ${length} bytes`);
    const letter = String.fromCharCode(bytes[4]!);
    if (!Object.hasOwn(REPLY_LETTERS, letter)) throw malformed('a reply that is not known');
    this.#needs = 4 + length;
    if (bytes.length < this.#needs) return null;
    this.#needs = 5;
    this.#pieces = bytes.length === 4 + length ? [] : [bytes.subarray(4 + length)];
    this.#bytes = bytes.length - 4 - length;
    return { tag: REPLY_LETTERS[letter as keyof typeof REPLY_LETTERS], fields: bytes.subarray(5, 4 + length) };
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
