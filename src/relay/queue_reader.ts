/**
 * What can be asked of one shard's queue without changing it: list, show, cat, stats. The spool may be a live one or
 * one that is only read (spool/offline.ts); messages are woken for what the index does not know, and rest again.
 */
import { wallMs } from '../base/clock.ts';
import { hashOf } from '../base/hash.ts';
import { LIMITS } from '../config/limits.ts';
import { Editor } from '../message/edits.ts';
import type { RecipientState, Row, Spool, Stored } from '../spool/spool.ts';
import { SpoolFailure } from '../spool/spool.ts';
import type { Matcher, QueueFilter } from './queue_filter.ts';
import { EVERYTHING, matcherOf, queueStateOf } from './queue_filter.ts';
import { GroupCounts } from './queue_groups.ts';
import type {
  CatRequest,
  ListRequest,
  QueueChunk,
  QueueMessage,
  QueueRequest,
  QueueRow,
  QueueSource,
  ShownRecipient,
  ShowRequest,
  StatsRequest,
} from './queue_requests.ts';
import { QueueFailure } from './queue_requests.ts';
import { batchesOf, Gathered, mapBounded, matching } from './queue_scan.ts';

export type ReadableSpool = Pick<Spool, 'index' | 'wake' | 'rest' | 'read'>;

export class QueueReader implements QueueSource {
  readonly #spool: ReadableSpool;

  constructor(spool: ReadableSpool) {
    this.#spool = spool;
  }

  ask(request: QueueRequest): AsyncIterable<QueueChunk> {
    switch (request.action) {
      case 'list':
        return this.#list(request);
      case 'show':
        return this.#show(request);
      case 'cat':
        return this.#cat(request);
      case 'stats':
        return this.#stats(request);
      default:
        throw new QueueFailure('refused', `${request.action} needs the running process`);
    }
  }

  async *#list({ filter, rowsMax }: ListRequest): AsyncGenerator<QueueChunk> {
    const unreadable = new Unreadable();
    const search = await this.#search(filter);
    let rows: QueueRow[] = [];
    let left = rowsMax;
    for (const batch of batchesOf(search.found.live(), LIMITS.operatorWakesMax)) {
      const woken = await this.#each(batch, search.matcher, unreadable, rowsOf);
      rows.push(...woken.flat().slice(0, left - rows.length));
      while (rows.length >= LIMITS.operatorRowsPerChunk || rows.length >= left) {
        const full = rows.slice(0, LIMITS.operatorRowsPerChunk);
        rows = rows.slice(full.length);
        left -= full.length;
        yield { tag: 'rows', rows: full };
        if (left === 0) return;
      }
    }
    if (rows.length > 0) yield { tag: 'rows', rows };
    yield* unreadable.faults();
  }

  async *#show({ filter }: ShowRequest): AsyncGenerator<QueueChunk> {
    const unreadable = new Unreadable();
    const { found, matcher } = await this.#search(filter);
    for (const row of found.live()) {
      const messages = await this.#each([row], matcher, unreadable, (message) => messageOf(this.#spool, message));
      if (messages.length > 0) yield { tag: 'messages', messages };
    }
    yield* unreadable.faults();
  }

  async *#cat({ id, raw }: CatRequest): AsyncGenerator<QueueChunk> {
    const { found, matcher } = await this.#search({ ...EVERYTHING, ids: [id] });
    for (const row of found.live()) {
      const message = await this.#wake(row).catch((error: unknown) => {
        throw refused(error);
      });
      try {
        if (!matcher.texts(message.envelope)) continue;
        // So that an empty message is not taken for none.
        yield { tag: 'content', bytes: new Uint8Array() };
        for await (const bytes of this.#bytes(message, raw)) yield { tag: 'content', bytes };
      } catch (error) {
        throw refused(error);
      } finally {
        this.#spool.rest(message);
      }
      return;
    }
  }

  async *#bytes(message: Stored, raw: boolean): AsyncGenerator<Uint8Array> {
    const { edits, content } = message.envelope;
    const editor = new Editor(raw ? [] : edits, content.bytes);
    for await (const chunk of this.#spool.read(message)) {
      // Copies: an answer is read whenever its reader likes, and on its way between threads takes all memory it is in.
      for (const view of editor.apply(chunk)) yield new Uint8Array(view);
    }
    yield* editor.end();
  }

  async *#stats({ filter, by }: StatsRequest): AsyncGenerator<QueueChunk> {
    const { index } = this.#spool;
    const unreadable = new Unreadable();
    const { found, matcher } = await this.#search(filter);
    const counts = new GroupCounts(index, by);
    for (const batch of batchesOf(found.live(), LIMITS.operatorRowsPerTurn)) {
      if (matcher.needsTexts)
        await this.#each(batch, matcher, unreadable, (message, at) => counts.add(message.row, at));
      else for (const row of batch) if (index.has(row)) counts.add(row, matching(index, row, matcher));
      // Nothing yet, and time for others.
      yield { tag: 'groups', groups: [] };
    }
    yield { tag: 'groups', groups: counts.groups() };
    yield* unreadable.faults();
  }

  async #search(filter: QueueFilter): Promise<{ found: Gathered; matcher: Matcher }> {
    const matcher = matcherOf(filter, hashOf, wallMs());
    return { found: await Gathered.from(this.#spool.index, matcher, () => true), matcher };
  }

  /** What `make` says of each message, awake, and its recipients that match; nothing where none does, or it is gone. */
  async #each<Made>(
    rows: readonly Row[],
    matcher: Matcher,
    unreadable: Unreadable,
    make: (message: Stored, recipients: readonly number[], spool: ReadableSpool) => Made,
  ): Promise<Made[]> {
    const made = await mapBounded(rows, LIMITS.operatorWakesMax, async (row): Promise<Made[]> => {
      const { index } = this.#spool;
      const key = index.key(row);
      let message: Stored;
      try {
        message = await this.#wake(row);
      } catch (error) {
        if (index.key(row) === key) unreadable.note(error);
        return [];
      }
      try {
        const recipients = index.key(row) === key ? matchingAwake(this.#spool, message, matcher) : [];
        return recipients.length > 0 ? [make(message, recipients, this.#spool)] : [];
      } finally {
        this.#spool.rest(message);
      }
    });
    return made.flat();
  }

  async #wake(row: Row): Promise<Stored> {
    return await this.#spool.wake(row);
  }
}

/** The recipients that match for certain. */
export function matchingAwake({ index }: ReadableSpool, message: Stored, matcher: Matcher): number[] {
  const { row, envelope } = message;
  const found = matching(index, row, matcher);
  if (!matcher.needsTexts) return found;
  if (!matcher.texts(envelope)) return [];
  return found.filter((at) => matcher.address(envelope.recipients[at]!.address));
}

/** Messages that could not be read: a fault in the answer, the same for one and for a million. */
export class Unreadable {
  #count = 0;
  #first = '';

  /** Throws what is no failure of the spool. */
  note(error: unknown): void {
    if (!(error instanceof SpoolFailure)) throw error;
    if (this.#count++ === 0) this.#first = error.message;
  }

  *faults(): Generator<QueueChunk> {
    if (this.#count > 0)
      yield { tag: 'fault', detail: `${this.#count} messages cannot be read; the first: ${this.#first}` };
  }
}

function refused(error: unknown): unknown {
  return error instanceof SpoolFailure ? new QueueFailure('refused', error.message, { cause: error }) : error;
}

/** Null for what JSON has no number for: held. */
const finite = (nextMs: number): number | null => (Number.isFinite(nextMs) ? nextMs : null);

function rowsOf(message: Stored, recipients: readonly number[], { index }: ReadableSpool): QueueRow[] {
  const { row, envelope } = message;
  const nowMs = wallMs();
  return recipients.flatMap((at) => {
    const state = message.state(at);
    if (state.tag !== 'waiting') return [];
    const { attempts, nextMs, site, detail } = state;
    return {
      id: envelope.id,
      acceptedMs: envelope.acceptedMs,
      bytes: envelope.content.bytes,
      state: queueStateOf(nextMs, index.claimed(row, at), nowMs),
      attempts,
      nextMs: finite(nextMs),
      sender: envelope.sender,
      recipient: envelope.recipients[at]!.address,
      site,
      detail,
    };
  });
}

function messageOf({ index }: ReadableSpool, message: Stored): QueueMessage {
  const { id, origin, acceptedMs, sender, smtpUtf8, ret, envid, content, recipients } = message.envelope;
  const nowMs = wallMs();
  return {
    id,
    origin,
    acceptedMs,
    bytes: content.bytes,
    sender,
    smtpUtf8,
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    recipients: recipients.map((recipient, at) => ({
      ...recipient,
      ...shownState(message.state(at), index.claimed(message.row, at), nowMs),
    })),
  };
}

type ShownState = Pick<ShownRecipient, 'state' | 'attempts' | 'nextMs' | 'site' | 'detail'>;

function shownState(state: RecipientState, claimed: boolean, nowMs: number): ShownState {
  if (state.tag !== 'waiting') return { state: state.tag, attempts: 0, nextMs: null, site: '', detail: '' };
  const { attempts, nextMs, site, detail } = state;
  return { state: queueStateOf(nextMs, claimed, nowMs), attempts, nextMs: finite(nextMs), site, detail };
}
