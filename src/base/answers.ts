/**
 * Answers that are mostly at hand, and else come later: a promise for each costs objects and turns of the queue that
 * nobody waits for.
 */

/** `next` of the answer: at once where it is at hand. */
export function whenKnown<T, U>(answer: T | Promise<T>, next: (answer: T) => U | Promise<U>): U | Promise<U> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}

type Known<A extends readonly unknown[]> = { -readonly [K in keyof A]: Awaited<A[K]> };

/** `next` of all of them: at once where none is a promise, else when the last has come. */
export function whenAllKnown<const A extends readonly unknown[], R>(
  answers: A,
  next: (known: Known<A>) => R | Promise<R>,
): R | Promise<R> {
  return answers.some((each) => each instanceof Promise) ? Promise.all(answers).then(next) : next(answers as Known<A>);
}
