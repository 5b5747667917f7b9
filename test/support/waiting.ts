/** The state of a recipient whom nobody has tried yet. */
import type { RecipientState } from '../../src/spool/spool.ts';

export type Waiting = Extract<RecipientState, { tag: 'waiting' }>;

export const waiting = (more: Partial<Waiting> = {}): Waiting => ({
  tag: 'waiting',
  attempts: 0,
  nextMs: 0,
  site: '',
  detail: '',
  warned: false,
  ...more,
});
