/**
 * A shard's answers as main asks for them: a chunk at a time, so that neither thread holds more than one of an answer,
 * however long it is and however slowly it is read.
 *
 *   main:  ask ──► shard     shard:  chunk ──► main     main: more ──► …     shard: end │ failed ──► main
 *          cancel (whoever asked has enough, or has gone)
 */
import type { QueueChunk, QueueRequest, QueueSource } from '../relay/queue_requests.ts';
import { QueueFailure } from '../relay/queue_requests.ts';
import type { FromShard, ToShard } from './messages.ts';

export type Answer = Extract<FromShard, { readonly tag: 'answer' }>;

type Turn = { resolve(answer: Answer): void; reject(error: Error): void };

export class Questions implements QueueSource {
  readonly #post: (message: ToShard) => void;
  readonly #open = new Map<number, Turn>();
  #last = 0;
  /** Of the shard: a later one knows nothing of what was asked of it before. */
  #lives = 0;

  constructor(post: (message: ToShard) => void) {
    this.#post = post;
  }

  /** Rejects with QueueFailure where the shard cannot answer, or dies. */
  async *ask(request: QueueRequest): AsyncGenerator<QueueChunk> {
    const question = ++this.#last;
    const life = this.#lives;
    let ended = false;
    try {
      for (let first = true; ; first = false) {
        if (life !== this.#lives) throw died();
        const answer = this.#turn(question);
        this.#post(first ? { tag: 'ask', question, request } : { tag: 'more', question });
        const { chunk, failure } = await answer;
        ended = chunk === null;
        if (failure !== '') throw new QueueFailure('refused', failure);
        if (chunk === null) return;
        yield chunk;
      }
    } catch (error) {
      ended = true; // what failed has no more to give
      throw error;
    } finally {
      this.#open.delete(question);
      if (!ended) this.#post({ tag: 'cancel', question });
    }
  }

  heard(answer: Answer): void {
    this.#open.get(answer.question)?.resolve(answer);
  }

  /** Whatever is still asked will not be answered. */
  died(): void {
    this.#lives++;
    for (const turn of this.#open.values()) turn.reject(died());
    this.#open.clear();
  }

  #turn(question: number): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#open.set(question, { resolve, reject });
    return promise;
  }
}

const died = (): QueueFailure => new QueueFailure('refused', 'it died while it was asked');
