/** Answers that are at hand, or come later. */

/** At once where it can be: most of what a session asks for is at hand, and a promise costs more than the answer. */
export function whenKnown<T, U>(answer: T | Promise<T>, next: (answer: T) => U | Promise<U>): U | Promise<U> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
