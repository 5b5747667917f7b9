/**
 * Message ids: unique over all nodes, shards and restarts, so that several Posterns can share a queue.
 *
 *   mib3k2x9-a1b2c3-00-0001     milliseconds since 1970, node, shard, counter; base 36, sortable by time
 *
 * The node part is drawn once a process: two processes never share it but by a chance of one in two billion,
 * and then they would also have to accept in the same millisecond.
 */
import { randomInt } from 'node:crypto';
import { wallMs } from './clock.ts';

const COUNTER_VALUES = 36 ** 4;

export const newNode = (): string =>
  randomInt(36 ** 6)
    .toString(36)
    .padStart(6, '0');

export type NextId = () => string;

/** At most 36^4 ids in one millisecond are distinct; a shard makes a few hundred at the most. */
export function idSource(node: string, shard: number): NextId {
  const middle = `-${node}-${shard.toString(36).padStart(2, '0')}-`;
  let counter = 0;
  let ms = Number.NaN;
  let before = '';
  return () => {
    counter = (counter + 1) % COUNTER_VALUES;
    const nowMs = wallMs();
    if (nowMs !== ms) {
      ms = nowMs;
      before = ms.toString(36).padStart(8, '0') + middle;
    }
    return before + counter.toString(36).padStart(4, '0');
  };
}
