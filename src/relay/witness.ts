/** Whoever looks on while a client is judged: he changes nothing of it. */
import type { Asked } from '../facts/gather.ts';
import type { Facts, Stage } from '../policy/facts.ts';
import type { Trial } from '../policy/rules.ts';

/** Who wants to know how it all came about: `postern check`. */
export interface Witness {
  learned(asked: Asked): void;
  judged(stage: Stage, trials: readonly Trial[], facts: Facts): void;
  /** In place of a wait before the reply. */
  delayed(ms: number): void;
}

/** The answer later; at once where somebody only wants to know how much later. */
export function delayed<T>(witness: Witness | null, answer: T, ms: number): T | Promise<T> {
  if (witness === null) return new Promise((resolve) => setTimeout(() => resolve(answer), ms).unref());
  witness.delayed(ms);
  return answer;
}
