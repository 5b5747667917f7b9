/**
 * The operator's hand on one shard's queue: what QueueReader answers, and
 *
 *   retry    what waits for its time is due now          hold     nothing is tried until it is released
 *   release  a hold ends, and it is due now              bounce   recipients fail, and the sender is told
 *                                                        delete   recipients fail, nobody is told, the log knows
 *
 * All of them are marks in the journal, some hundred to a sync, and a restart remembers them. A recipient that is being
 * delivered in this moment is left alone, and counted as busy. What takes time (a message must be read) has claimed its
 * recipients before, so that nobody delivers them meanwhile.
 */
import { wallMs } from '../base/clock.ts';
import { hashOf } from '../base/hash.ts';
import { LIMITS } from '../config/limits.ts';
import type { Change, RecipientState, Row, SpoolFailure, Stored } from '../spool/spool.ts';
import type { Matcher } from './queue_filter.ts';
import { matcherOf } from './queue_filter.ts';
import { matchingAwake, QueueReader, Unreadable } from './queue_reader.ts';
import type { QueueChunk, QueueRequest, QueueSource, SteerRequest, Tally } from './queue_requests.ts';
import { addTallies, NOTHING_DONE, QueueFailure } from './queue_requests.ts';
import { batchesOf, Gathered, mapBounded, matching } from './queue_scan.ts';
import type { Relay } from './relay.ts';

/** RFC 3463 §3.1: nothing more is known than that the operator said so. */
const ENHANCED = '5.0.0';

export class Operator implements QueueSource {
  readonly #relay: Relay;
  readonly #reader: QueueReader;
  readonly #underWay = new Set<Promise<void>>();
  #stopped = false;

  constructor(relay: Relay) {
    this.#relay = relay;
    this.#reader = new QueueReader(relay.spool);
  }

  ask(request: QueueRequest): AsyncIterable<QueueChunk> {
    switch (request.action) {
      case 'list':
      case 'show':
      case 'cat':
      case 'stats':
        return this.#reader.ask(request);
      default:
        return this.#steer(request);
    }
  }

  /** Nothing more is begun; resolves when what was begun is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#underWay);
  }

  async *#steer(request: SteerRequest): AsyncGenerator<QueueChunk> {
    const command = new Command(this.#relay, request);
    const goOn = (): boolean => !this.#stopped;
    const found = await Gathered.from(this.#relay.spool.index, command.matcher, goOn);
    for (const batch of batchesOf(found.live(), LIMITS.operatorMarksMax)) {
      if (!goOn()) throw new QueueFailure('refused', 'Postern is stopping; the rest is as it was');
      const step = command.run(batch);
      this.#underWay.add(step);
      await step.finally(() => this.#underWay.delete(step));
      yield { tag: 'tally', tally: command.tally };
      if (command.failure !== null) break;
    }
    yield { tag: 'tally', tally: command.tally };
    if (command.failure !== null) yield { tag: 'fault', detail: command.failure };
    yield* command.unreadable.faults();
  }
}

/** One command while it works through what it found. */
class Command {
  readonly matcher: Matcher;
  readonly unreadable = new Unreadable();
  tally: Tally = NOTHING_DONE;
  /** The journal takes no more marks. */
  failure: string | null = null;
  readonly #relay: Relay;
  readonly #request: SteerRequest;
  #marks: Promise<void>[] = [];

  constructor(relay: Relay, request: SteerRequest) {
    this.#relay = relay;
    this.#request = request;
    this.matcher = matcherOf(request.filter, hashOf, wallMs());
  }

  /** Resolves when what it changed is durable. */
  async run(rows: readonly Row[]): Promise<void> {
    const { action, dryRun } = this.#request;
    const mustRead = this.matcher.needsTexts || (!dryRun && (action === 'bounce' || action === 'delete'));
    if (mustRead) await mapBounded(rows, LIMITS.operatorWakesMax, (row) => this.#read(row));
    else for (const row of rows) this.#atRest(row);
    const marks = this.#marks;
    this.#marks = [];
    await Promise.all(marks);
  }

  /** The index knows all that is needed. */
  #atRest(row: Row): void {
    const { index } = this.#relay.spool;
    if (!index.has(row)) return;
    const matched = matching(index, row, this.matcher);
    this.#restate(row, this.#free(row, matched));
  }

  /** Claims what may match before it waits for the disk, and lets go of what does not. */
  async #read(row: Row): Promise<void> {
    const { spool } = this.#relay;
    const { index } = spool;
    if (!index.has(row)) return;
    const key = index.key(row);
    const candidates = matching(index, row, this.matcher);
    const claimed = candidates.filter((at) => !index.claimed(row, at));
    for (const at of claimed) index.claim(row, at);
    let message: Stored;
    try {
      message = await spool.wake(row);
    } catch (error) {
      this.unreadable.note(error);
      for (const at of claimed) index.unclaim(row, at);
      return this.#passedOver(row);
    }
    await this.#awake(message, key, claimed, candidates);
    this.#passedOver(row);
  }

  /** Whose time came while they were claimed was let be by the schedule, which does not come again by itself. */
  #passedOver(row: Row): void {
    this.#relay.outbound.schedule(row, wallMs());
  }

  async #awake(message: Stored, key: number, claimed: readonly number[], candidates: readonly number[]): Promise<void> {
    const { spool } = this.#relay;
    const { index } = spool;
    const { row } = message;
    // Our claims would make every candidate an active one.
    for (const at of claimed) index.unclaim(row, at);
    const there = index.key(row) === key && index.has(row);
    const sure = there ? matchingAwake(spool, message, this.matcher) : [];
    const free = this.#free(
      row,
      candidates.filter((at) => sure.includes(at)),
    );
    const { action, dryRun } = this.#request;
    if (dryRun || free.length === 0 || (action !== 'bounce' && action !== 'delete')) {
      this.#restate(row, free);
      spool.rest(message);
    } else if (action === 'delete') {
      this.#delete(message, free);
      spool.rest(message);
    } else {
      for (const at of free) index.claim(row, at);
      await this.#bounce(message, free);
    }
  }

  /** Counts what matched and what is busy; returns the rest, on which the action has an effect. */
  #free(row: Row, matched: readonly number[]): number[] {
    const { index } = this.#relay.spool;
    const { action } = this.#request;
    const free: number[] = [];
    let busy = 0;
    for (const at of matched) {
      const dueMs = index.dueMs(row, at);
      if (dueMs === null) continue;
      const held = dueMs === Number.POSITIVE_INFINITY;
      // What is being tried needs no retry, and is not held.
      if (index.claimed(row, at)) busy += action === 'retry' || action === 'release' ? 0 : 1;
      else if (action === 'retry' ? !held : action === 'hold' ? !held : action === 'release' ? held : true)
        free.push(at);
    }
    this.#count({ matched: matched.length, messages: free.length > 0 ? 1 : 0, recipients: free.length, busy });
    return free;
  }

  #count(more: Tally): void {
    this.tally = addTallies(this.tally, more);
  }

  /** retry, hold, release: another time for the next attempt. */
  #restate(row: Row, recipients: readonly number[]): void {
    const { action, dryRun } = this.#request;
    if (dryRun || recipients.length === 0) return;
    const { index } = this.#relay.spool;
    const nextMs = action === 'hold' ? Number.POSITIVE_INFINITY : 0;
    const changes = recipients.flatMap((recipient): Change[] => {
      const state: RecipientState = index.state(row, recipient);
      return state.tag === 'waiting' ? [{ recipient, state: { ...state, nextMs } }] : [];
    });
    this.#mark(row, changes);
    this.#relay.outbound.look(row);
  }

  #delete(message: Stored, recipients: readonly number[]): void {
    const { envelope, row } = message;
    const [first] = recipients;
    this.#relay.logger.log('removed', {
      id: envelope.id,
      from: envelope.sender,
      to: recipients.length === 1 && first !== undefined ? envelope.recipients[first]!.address : '',
      recipients: recipients.length,
      bytes: envelope.content.bytes,
    });
    const failed = { tag: 'failed' } as const;
    this.#mark(
      row,
      recipients.map((recipient) => ({ recipient, state: failed })),
    );
  }

  /** The hold on the message is handed over. */
  async #bounce(message: Stored, recipients: readonly number[]): Promise<void> {
    const { reason } = this.#request;
    const outcome = { tag: 'failed', code: 0, enhanced: ENHANCED, text: reason } as const;
    const done = await this.#relay.outbound.giveUp(message, recipients, outcome);
    if (!done) this.failure = 'the spool took no notice to the sender; what is left waits as before';
  }

  #mark(row: Row, changes: readonly Change[]): void {
    const mark = this.#relay.spool.mark(row, changes).catch((error: unknown) => {
      this.#relay.spoolFailed(error);
      this.failure = `the journal took no mark: ${(error as SpoolFailure).message}`;
    });
    this.#marks.push(mark);
  }
}
