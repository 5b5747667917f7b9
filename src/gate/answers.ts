/**
 * The shard's end of questions.ts: runs each question's iteration a step further when main wants more. A failure that
 * is expected is answered; a defect of ours ends the thread, as everywhere.
 */
import type { QueueChunk, QueueRequest, QueueSource } from '../relay/queue_requests.ts';
import { QueueFailure } from '../relay/queue_requests.ts';
import type { FromShard } from './messages.ts';

export class Answers {
  readonly #queue: QueueSource;
  readonly #post: (message: FromShard) => void;
  readonly #open = new Map<number, AsyncIterator<QueueChunk>>();

  constructor(queue: QueueSource, post: (message: FromShard) => void) {
    this.#queue = queue;
    this.#post = post;
  }

  async ask(question: number, request: QueueRequest): Promise<void> {
    this.#open.set(question, this.#queue.ask(request)[Symbol.asyncIterator]());
    await this.more(question);
  }

  async more(question: number): Promise<void> {
    const iterator = this.#open.get(question);
    if (iterator === undefined) return;
    try {
      const { done, value } = await iterator.next();
      if (done === true) this.#open.delete(question);
      this.#post({ tag: 'answer', question, chunk: done === true ? null : value, failure: '' });
    } catch (error) {
      if (!(error instanceof QueueFailure)) throw error;
      this.#open.delete(question);
      this.#post({ tag: 'answer', question, chunk: null, failure: error.message });
    }
  }

  async cancel(question: number): Promise<void> {
    const iterator = this.#open.get(question);
    this.#open.delete(question);
    await iterator?.return?.();
  }
}
