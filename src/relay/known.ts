/** What is known of a session, a transaction or a message so far, and what is being asked about it. */
import type { Asked, Gathered } from '../facts/gather.ts';
import type { Facts } from '../policy/facts.ts';

export class Known {
  facts: Facts;
  asked: readonly Asked[] = [];
  #pending: Promise<Gathered>[] = [];
  /** What was pending when somebody began to wait; null: nothing is left of that. */
  #settling: Promise<void> | null = null;

  constructor(facts: Facts = {}) {
    this.facts = facts;
  }

  /** Nothing is being asked. */
  get settled(): boolean {
    return this.#pending.length === 0 && this.#settling === null;
  }

  expect(answer: Promise<Gathered>): void {
    this.#pending.push(answer);
  }

  /** What is pending, for whoever waits in this one's place. */
  handOver(): Promise<Gathered>[] {
    return this.#pending.splice(0);
  }

  /** Each answer is learned once, in the order of the questions; whoever waits meanwhile waits for the same. */
  settle(learn: (gathered: Gathered) => void): Promise<void> {
    if (this.#pending.length === 0) return this.#settling ?? Promise.resolve();
    const settling = Promise.all([this.#settling, ...this.handOver()]).then(([, ...all]) => {
      for (const gathered of all) learn(gathered);
      if (this.#settling === settling) this.#settling = null;
    });
    this.#settling = settling;
    return settling;
  }
}
