/**
 * How long a process works before it is measured. One that has just been started spends a quarter of its CPU time on
 * compiling itself: V8's compiler threads take Postern's two shards 1.6 to 1.8 s in the first 40,000 messages, which
 * cost 0.175 ms of CPU each; the next 80,000 cost 0.126. Haraka's Node does the same. Mail servers run for months, so
 * it is the warm state that is compared: all who are compared have the same time of the same load.
 */
import type { Settings } from '../bench.ts';
import type { SourceOptions } from '../load/source.ts';
import { type Carried, carried, type Ends } from './carried.ts';

/** Right before what is measured first of a kind of load. */
const SECONDS = 5;
/** Before the same again: others have had the machine meanwhile. */
const AGAIN_SECONDS = 0.3;
const QUICK_SECONDS = 0.2;

export const WARMING =
  `Each process has ${SECONDS} s of the same load to warm up before what is measured first of a kind of load, and ` +
  `${AGAIN_SECONDS} s before each later turn; all that are compared have the same (${QUICK_SECONDS} s with --quick).`;

export function warmSeconds({ quick }: Settings, round: number): number {
  if (quick) return QUICK_SECONDS;
  return round === 1 ? SECONDS : AGAIN_SECONDS;
}

/** What went wrong meanwhile is wrong, too. */
export async function warmUp(
  name: string,
  ends: Ends,
  { messages: _, ...load }: SourceOptions,
  seconds: number,
): Promise<Carried['faults']> {
  const { faults } = await carried(`${name}, warming up`, ends, 0, { ...load, seconds });
  return faults;
}
