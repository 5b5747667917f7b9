/**
 * The queue of the whole process, or of a whole spool: every shard is asked at once, and their answers become one.
 *
 *   list         a step of a merge at a time, by time of acceptance, then id
 *   show, cat    as they come
 *   stats        groups of the same name are added up
 *   the others   tallies are added up
 *
 * A shard that is not there is a fault in the answer, not the end of it: the operator sees what is missing.
 */
import { assert } from '../base/assert.ts';
import { LIMITS } from '../config/limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type {
  ListRequest,
  QueueChunk,
  QueueGroup,
  QueueRequest,
  QueueRow,
  QueueSource,
  StatsRequest,
  SteerRequest,
  Tally,
} from './queue_requests.ts';
import { addTallies, NOTHING_DONE, QueueFailure, TOTAL } from './queue_requests.ts';

/** One of those that are asked. */
export type AskedShard = {
  readonly shard: number | string;
  readonly queue: QueueSource;
  /** Why it cannot be asked now, in a few words; null: it can. */
  readonly missing: string | null;
};

export class QueueDesk implements QueueSource {
  readonly #shards: readonly AskedShard[];
  readonly #logger: Logger;
  #underWay = 0;

  constructor(shards: readonly AskedShard[], logger: Logger) {
    this.#shards = shards;
    this.#logger = logger;
  }

  async *ask(request: QueueRequest): AsyncGenerator<QueueChunk> {
    if (this.#underWay >= LIMITS.operatorRequestsMax) {
      throw new QueueFailure('refused', `${this.#underWay} queue commands are under way already; ask again`);
    }
    this.#underWay++;
    try {
      yield* this.#answer(request);
    } finally {
      this.#underWay--;
    }
  }

  #answer(request: QueueRequest): AsyncGenerator<QueueChunk> {
    switch (request.action) {
      case 'list':
        return this.#list(request);
      case 'show':
      case 'cat':
        return this.#pass(request);
      case 'stats':
        return this.#stats(request);
      default:
        return this.#steer(request);
    }
  }

  /** Each shard's answer without its faults, which are collected here: they come last. */
  #asked(request: QueueRequest, faults: QueueChunk[]): AsyncGenerator<QueueChunk>[] {
    return this.#shards.map((shard) => answerOf(shard, request, faults));
  }

  async *#list(request: ListRequest): AsyncGenerator<QueueChunk> {
    const faults: QueueChunk[] = [];
    const lanes = this.#asked(request, faults).map((chunks) => new Lane(chunks));
    try {
      await Promise.all(lanes.map((lane) => lane.advance()));
      let left = request.rowsMax;
      while (left > 0) {
        const rows = await nextRows(lanes, Math.min(left, LIMITS.operatorRowsPerChunk));
        if (rows.length === 0) break;
        left -= rows.length;
        yield { tag: 'rows', rows };
      }
    } finally {
      await Promise.all(lanes.map((lane) => lane.close()));
    }
    yield* faults;
  }

  async *#pass(request: QueueRequest): AsyncGenerator<QueueChunk> {
    const faults: QueueChunk[] = [];
    const asked = this.#asked(request, faults).map((chunks) => ({ chunks, first: chunks.next() }));
    try {
      for (const { chunks, first } of asked) {
        for (let next = await first; next.done !== true; next = await chunks.next()) yield next.value;
      }
    } finally {
      await Promise.all(asked.map(({ chunks }) => chunks.return(undefined)));
    }
    yield* faults;
  }

  async *#stats(request: StatsRequest): AsyncGenerator<QueueChunk> {
    const faults: QueueChunk[] = [];
    const sums = new Map<string, QueueGroup>();
    await Promise.all(
      this.#asked(request, faults).map(async (chunks) => {
        for await (const chunk of chunks) {
          assert(chunk.tag === 'groups', 'stats are answered by groups');
          for (const group of chunk.groups) sums.set(group.name, addGroups(sums.get(group.name), group));
        }
      }),
    );
    yield { tag: 'groups', groups: inOrder(sums) };
    yield* faults;
  }

  async *#steer(request: SteerRequest): AsyncGenerator<QueueChunk> {
    const faults: QueueChunk[] = [];
    const tallies: Tally[] = this.#shards.map(() => NOTHING_DONE);
    const sum = (): Tally => tallies.reduce(addTallies, NOTHING_DONE);
    const steps = this.#asked(request, faults);
    try {
      // One step of all shards at a time, so that whoever asked hears something and can still hang up.
      const open = new Set(steps.keys());
      while (open.size > 0) {
        await Promise.all(
          [...open].map(async (at) => {
            const { done, value } = await steps[at]!.next();
            if (done === true) open.delete(at);
            else if (value.tag === 'tally') tallies[at] = value.tally;
          }),
        );
        if (open.size > 0) yield { tag: 'tally', tally: sum() };
      }
    } finally {
      await Promise.all(steps.map((each) => each.return(undefined)));
      this.#logger.log('operator', { ...request, ...sum() });
    }
    yield { tag: 'tally', tally: sum() };
    yield* faults;
  }
}

async function* answerOf(
  { shard, queue, missing: away }: AskedShard,
  request: QueueRequest,
  faults: QueueChunk[],
): AsyncGenerator<QueueChunk> {
  const missing = (why: string): void => {
    faults.push({ tag: 'fault', detail: `shard ${shard}: ${why}; its messages are not in this answer` });
  };
  if (away !== null) return missing(away);
  try {
    for await (const chunk of queue.ask(request)) {
      if (chunk.tag === 'fault') faults.push(chunk);
      else yield chunk;
    }
  } catch (error) {
    if (!(error instanceof QueueFailure)) throw error;
    missing(error.message);
  }
}

/** One shard's rows, of which the first is looked at. */
class Lane {
  readonly #chunks: AsyncGenerator<QueueChunk>;
  #rows: readonly QueueRow[] = [];
  #at = 0;

  constructor(chunks: AsyncGenerator<QueueChunk>) {
    this.#chunks = chunks;
  }

  /** Undefined: no more. */
  get first(): QueueRow | undefined {
    return this.#rows[this.#at];
  }

  /** A promise only where the next chunk must be fetched. */
  take(): Promise<void> | undefined {
    this.#at++;
    return this.#at < this.#rows.length ? undefined : this.advance();
  }

  async advance(): Promise<void> {
    const { done, value } = await this.#chunks.next();
    assert(done === true || value.tag === 'rows', 'a list is answered by rows');
    this.#rows = done === true ? [] : (value as { rows: readonly QueueRow[] }).rows;
    this.#at = 0;
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }
}

/** Shards are few: the smallest of their first rows is found by looking at each. */
async function nextRows(lanes: readonly Lane[], rowsMax: number): Promise<QueueRow[]> {
  const rows: QueueRow[] = [];
  while (rows.length < rowsMax) {
    let best: Lane | null = null;
    for (const lane of lanes) {
      if (lane.first !== undefined && (best === null || isBefore(lane.first, best.first!))) best = lane;
    }
    if (best === null) break;
    rows.push(best.first!);
    const fetched = best.take();
    if (fetched !== undefined) await fetched;
  }
  return rows;
}

const isBefore = (one: QueueRow, other: QueueRow): boolean =>
  one.acceptedMs < other.acceptedMs || (one.acceptedMs === other.acceptedMs && one.id < other.id);

function addGroups(sum: QueueGroup | undefined, group: QueueGroup): QueueGroup {
  if (sum === undefined) return group;
  return {
    name: sum.name,
    messages: sum.messages + group.messages,
    recipients: sum.recipients + group.recipients,
    due: sum.due + group.due,
    waiting: sum.waiting + group.waiting,
    held: sum.held + group.held,
    active: sum.active + group.active,
    bytes: sum.bytes + group.bytes,
    oldestMs: Math.min(sum.oldestMs, group.oldestMs),
  };
}

/** The largest first, the total at the end. */
function inOrder(sums: ReadonlyMap<string, QueueGroup>): QueueGroup[] {
  const named = [...sums.values()].filter(({ name }) => name !== TOTAL);
  named.sort((one, other) => other.recipients - one.recipients || (one.name < other.name ? -1 : 1));
  const total = sums.get(TOTAL);
  return total === undefined ? named : [...named, total];
}
