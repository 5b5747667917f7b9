/** How `postern` ends, for scripts. */
export const EXIT = {
  ok: [0, 'done'],
  nothing: [1, 'no message matched (list and stats: an empty answer is an answer, and ends with 0); check: refused'],
  usage: [2, 'the command line has a fault; nothing was asked'],
  unreachable: [3, 'neither the process nor its spool can be reached'],
  failed: [4, 'refused, failed, or not done in full; standard error says what'],
} as const satisfies Record<string, readonly [code: number, meaning: string]>;

export type Ending = keyof typeof EXIT;
