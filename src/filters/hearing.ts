/**
 * A message's envelope on its way to a filter that hears of it as the client says it: the sender first, then one
 * recipient after the other; the filter's word on each goes into our reply.
 *
 *   session   sender() ─── word ◄─┐  recipient(address) ─── word ◄─┐  …  over()
 *   protocol  begun, told ── next(null) ─► address ── told ── next(word) ─► address … ─► null
 *
 * To ask for the next one is to have answered the one before. Whoever has spoken of the whole message asks no more.
 */
import type { Word } from './filter.ts';
import type { PassageListener } from './passage.ts';

export class Hearing {
  readonly #listener: PassageListener;
  readonly #sender = Promise.withResolvers<Word>();
  /** Of whoever the filter is being asked about. */
  #answer: (word: Word) => void = this.#sender.resolve;
  #asked: string | null = null;
  #over = false;
  #reader: (() => void) | null = null;
  /** Something beyond the sender has been told: it cannot be told again. */
  begun = false;

  constructor(listener: PassageListener) {
    this.#listener = listener;
  }

  /** Both may never resolve: the filter has then spoken of the whole message. */
  sender(): Promise<Word> {
    return this.#sender.promise;
  }

  /** Behind the word on the one before. */
  recipient(address: string): Promise<Word> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#asked = address;
      this.#wake();
    });
  }

  /** There are no others: content comes, or the end of all. */
  over(): void {
    if (this.#over) return;
    this.#over = true;
    this.#wake();
  }

  /** `word`: on the one before. Resolves with the next recipient, or null where there is none. */
  async next(word: Word): Promise<string | null> {
    this.#answer(word);
    if (this.#asked === null && !this.#over) {
      this.#listener.onThirst();
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
      this.#listener.onContent();
    }
    this.begun = true;
    const address = this.#asked;
    this.#asked = null;
    return address;
  }

  #wake(): void {
    this.#reader?.();
    this.#reader = null;
  }
}
