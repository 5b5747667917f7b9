/** What a server said, or what happened in its place, in words. */
import type { Outcome } from '../smtp/client.ts';

/** One line for the journal, the log and the DSN. */
export const describe = (outcome: Outcome): string =>
  [outcome.code === 0 ? '' : outcome.code, outcome.enhanced ?? '', outcome.text]
    .filter((part) => part !== '')
    .join(' ');
