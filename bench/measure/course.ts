/**
 * The course of a long load: how far it was when, and what the relay's process had used by then; and its tenths, in
 * which one sees whether it slows down as it goes.
 */
import { rssBytes, treeCpuMs } from './processes.ts';

export type Moment = {
  readonly ms: number;
  /** Messages so far. */
  readonly done: number;
  readonly cpuMs: number;
  readonly rssBytes: number;
};

export type Tenth = {
  readonly perSecond: number;
  readonly cpuMsPerMessage: number;
  /** Highest that was seen in it. */
  readonly rssBytes: number;
};

/** Looking costs the machine some ms of CPU; where a tenth begins and ends is interpolated. */
const LOOK_MS = 200;

/** Looks at `done` and at the process until `over`, and once more then. */
export async function courseOf(pid: number, done: () => Promise<number>, over: Promise<unknown>): Promise<Moment[]> {
  const moments: Moment[] = [];
  const look = async (): Promise<void> => {
    const count = await done();
    moments.push({ ms: performance.now(), done: count, cpuMs: treeCpuMs(pid), rssBytes: rssBytes(pid) });
  };
  const ended = over.then(() => true);
  ended.catch(() => undefined); // the race below, or the next one, rejects
  do await look();
  while (!(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, LOOK_MS))])));
  await look();
  return moments;
}

/** Ten of equal numbers of messages, from the last moment with none to the first with all. */
export function tenthsOf(moments: readonly Moment[]): Tenth[] {
  const total = moments.at(-1)?.done ?? 0;
  if (total === 0) return [];
  const begin = moments.findLastIndex(({ done }) => done === 0);
  const course = moments.slice(Math.max(begin, 0));
  return Array.from({ length: 10 }, (_, tenth) => {
    const from = crossing(course, (total * tenth) / 10);
    const to = crossing(course, (total * (tenth + 1)) / 10);
    const within = course.slice(from.before, to.before + 2);
    return {
      perSecond: total / 10 / ((to.ms - from.ms) / 1000),
      cpuMsPerMessage: (to.cpuMs - from.cpuMs) / (total / 10),
      rssBytes: Math.max(...within.map((moment) => moment.rssBytes)),
    };
  });
}

type Crossing = { readonly before: number; readonly ms: number; readonly cpuMs: number };

/** Where the course reaches `done`, on the straight line between the moments before and after. */
function crossing(course: readonly Moment[], done: number): Crossing {
  const after = Math.max(
    course.findIndex((moment) => moment.done >= done),
    1,
  );
  const from = course[after - 1]!;
  const to = course[after] ?? from;
  const share = to.done === from.done ? 1 : (done - from.done) / (to.done - from.done);
  return {
    before: after - 1,
    ms: from.ms + share * (to.ms - from.ms),
    cpuMs: from.cpuMs + share * (to.cpuMs - from.cpuMs),
  };
}
