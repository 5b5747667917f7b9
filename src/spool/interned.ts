/**
 * Texts that many messages share (destinations, sites, answers of servers), each once, under a small number that is
 * counted like a reference: a million messages to a site that is down say the same.
 */
import { assert } from '../base/assert.ts';

/** The number of '', which is never counted. */
const NO_TEXT = 0;

export class Interned {
  readonly #texts: string[] = [''];
  readonly #counts: number[] = [0];
  readonly #numbers = new Map<string, number>();
  readonly #free: number[] = [];

  /** Texts in use. */
  get size(): number {
    return this.#numbers.size;
  }

  at(number: number): string {
    return this.#texts[number]!;
  }

  has(text: string): boolean {
    return this.#numbers.has(text);
  }

  /** One more reference to the text; `drop` ends it. */
  hold(text: string): number {
    if (text === '') return NO_TEXT;
    const known = this.#numbers.get(text);
    if (known !== undefined) {
      this.#counts[known]!++;
      return known;
    }
    const number = this.#free.pop() ?? this.#texts.length;
    this.#texts[number] = text;
    this.#counts[number] = 1;
    this.#numbers.set(text, number);
    return number;
  }

  drop(number: number): void {
    if (number === NO_TEXT) return;
    assert(this.#counts[number]! > 0, 'a reference is dropped once');
    if (--this.#counts[number]! > 0) return;
    this.#numbers.delete(this.#texts[number]!);
    this.#texts[number] = '';
    this.#free.push(number);
  }
}
