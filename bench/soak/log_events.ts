/** How often Postern logged what, in all its lives, and how many recipients it had to put off. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

export type LogEvents = { readonly counts: ReadonlyMap<string, number>; readonly deferred: number };

/** A line that a kill has cut is left out. */
export async function logEvents(path: string): Promise<LogEvents> {
  const counts = new Map<string, number>();
  let deferred = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const event = /"event":"([a-z-]+)"/.exec(line)?.[1];
    if (event === undefined) continue;
    counts.set(event, (counts.get(event) ?? 0) + 1);
    if (event === 'delivery') deferred += Number(/"deferred":(\d+)/.exec(line)?.[1] ?? 0);
  }
  return { counts, deferred };
}
