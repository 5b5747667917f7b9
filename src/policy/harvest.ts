/** Harvest defence: who tries one address after the other waits longer for each answer. Pure. */

export type HarvestTerms = {
  /** Mistakes that everybody makes: so many unknown recipients of a session cost no wait. */
  readonly free: number;
  readonly stepMs: number;
  readonly waitMsMax: number;
};

/** How long the reply to a session's `unknown`th unknown recipient (from 1) waits: doubled each time, bounded. */
export function unknownRecipientWaitMs(unknown: number, { free, stepMs, waitMsMax }: HarvestTerms): number {
  if (unknown <= free) return 0;
  return Math.min(stepMs * 2 ** (unknown - free - 1), waitMsMax);
}
