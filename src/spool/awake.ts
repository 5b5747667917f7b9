/**
 * The messages that are in memory, and what they take of the budget.
 *
 *   held (by one or more) ──rest──► gone          held ──keep──► kept for its first attempt, while there is room
 *                                                                 └ wake: held again      └ any mark: gone
 */
import { assert } from '../base/assert.ts';
import type { Message } from './message.ts';
import type { Row } from './spool.ts';

export class Awake {
  bytes = 0;
  readonly #bytesMax: number;
  readonly #messages = new Map<Row, Message>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get crowded(): boolean {
    return this.bytes > this.#bytesMax;
  }

  /** Held once more; undefined: it is not in memory. */
  hold(row: Row): Message | undefined {
    const message = this.#messages.get(row);
    if (message !== undefined) message.wakes++;
    return message;
  }

  /** A message that was just accepted or read, held once. Without room for it, its content stays on disk. */
  add(message: Message): void {
    message.wakes = 1;
    this.#messages.set(message.row, message);
    this.bytes += message.heldBytes;
  }

  rest(message: Message): void {
    if (this.#end(message)) this.#forget(message);
  }

  keep(message: Message): void {
    if (this.#end(message) && this.crowded) this.#forget(message);
  }

  /** Its first attempt is over, or nobody will make one. */
  tried(row: Row): void {
    const message = this.#messages.get(row);
    if (message?.wakes === 0) this.#forget(message);
  }

  dropContent(message: Message): void {
    this.bytes -= message.dropContent();
  }

  #end(message: Message): boolean {
    assert(message.wakes > 0, 'who rests was woken');
    message.wakes--;
    return message.wakes === 0;
  }

  #forget(message: Message): void {
    this.bytes -= message.heldBytes;
    // The row may be another message's by now.
    if (this.#messages.get(message.row) === message) this.#messages.delete(message.row);
  }
}
