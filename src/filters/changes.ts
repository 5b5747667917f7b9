/** What a filter asks for in one message, gathered piece by piece, each checked and all of them bounded. */
import { LIMITS } from '../config/limits.ts';
import type { HeaderChange } from '../message/header_changes.ts';
import { checkedFieldName, checkedFieldValue, checkedRecipient, checkedSender } from './checks.ts';
import type { Findings } from './filter.ts';
import { FilterFailure, malformed } from './filter.ts';

const NUMBER_MAX = 100_000;

/** The replaced bodies of all messages at one filter. */
export class BodyBudget {
  bytes = 0;
}

export class Changes {
  readonly #headers: HeaderChange[] = [];
  readonly #add = new Set<string>();
  readonly #remove = new Set<string>();
  readonly #budget: BodyBudget;
  #sender: string | undefined;
  #body: Buffer[] | null = null;
  #bodyBytes = 0;
  #count = 0;
  #bytes = 0;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /** `value` is what follows the colon. */
  addHeader(before: number | 'end', name: string, value: string): void {
    this.#header({ tag: 'add', before: before === 'end' ? before : numbered(before, 0), name, value });
  }

  changeHeader(name: string, nth: number, value: string): void {
    this.#header({ tag: 'change', name, nth: nth < 0 ? -numbered(-nth, 1) : numbered(nth, 1), value });
  }

  removeHeader(name: string, nth: number | 'all'): void {
    const which = nth === 'all' ? nth : nth < 0 ? -numbered(-nth, 1) : numbered(nth, 1);
    this.#count1(name.length);
    this.#headers.push({ tag: 'remove', name: checkedFieldName(name), nth: which });
  }

  #header(change: Extract<HeaderChange, { value: string }>): void {
    this.#count1(change.name.length + change.value.length);
    const name = checkedFieldName(change.name);
    this.#headers.push({ ...change, name, value: checkedFieldValue(name, change.value) });
  }

  addRecipient(text: string): void {
    this.#count1(text.length);
    const address = checkedRecipient(text);
    this.#remove.delete(address);
    this.#add.add(address);
  }

  removeRecipient(text: string): void {
    this.#count1(text.length);
    const address = checkedRecipient(text);
    if (!this.#add.delete(address)) this.#remove.add(address);
  }

  set sender(text: string) {
    this.#count1(text.length);
    this.#sender = checkedSender(text);
  }

  /** A piece of the new body, which is held until all of it is there. */
  appendBody(piece: Buffer): void {
    this.#bodyBytes += piece.length;
    this.#budget.bytes += piece.length;
    if (this.#bodyBytes > LIMITS.filterBodyBytesMax || this.#budget.bytes > LIMITS.filterBodiesBytesMax)
      throw new FilterFailure('bounds', 'it replaces the body with too much');
    this.#body ??= [];
    this.#body.push(piece);
  }

  #count1(bytes: number): void {
    this.#count++;
    this.#bytes += bytes;
    if (this.#count > LIMITS.filterChangesMax || this.#bytes > LIMITS.filterChangeBytesMax)
      throw new FilterFailure('bounds', 'it asks for too many changes');
  }

  /** What the budget lent; once, whatever became of the message. */
  release(): void {
    this.#budget.bytes -= this.#bodyBytes;
    this.#bodyBytes = 0;
  }

  get found(): Omit<Findings, 'verdict'> {
    const touched = this.#add.size + this.#remove.size > 0;
    return {
      headers: this.#headers,
      ...(this.#sender === undefined ? {} : { sender: this.#sender }),
      ...(touched ? { recipients: { add: [...this.#add], remove: [...this.#remove] } } : {}),
      ...(this.#body === null ? {} : { body: normalised(Buffer.concat(this.#body)) }),
    };
  }
}

function numbered(number: number, min: number): number {
  if (!Number.isInteger(number) || number < min || number > NUMBER_MAX) throw malformed('a field number that is none');
  return number;
}

/** Content has CRLF and nothing else (RFC 5321 §2.3.8): a filter must not smuggle what a client may not. */
function normalised(body: Buffer): Buffer {
  const text = body.toString('latin1');
  if (!/[^\r]\n|^\n|\r(?!\n)/.test(text)) return body;
  return Buffer.from(text.replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');
}
