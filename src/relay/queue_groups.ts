/** Counts what waits, by site or by domain. */
import { wallMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Index, Row } from '../spool/spool.ts';
import { queueStateOf } from './queue_filter.ts';
import type { Grouping, QueueGroup } from './queue_requests.ts';
import { TOTAL } from './queue_requests.ts';

type Counting = { -readonly [Key in keyof QueueGroup]: QueueGroup[Key] } & { key: number };

/** What there is no more room to count apart. */
const OTHERS = '(others)';

export class GroupCounts {
  readonly #index: Index;
  readonly #by: Grouping;
  readonly #groups = new Map<string, Counting>();
  readonly #total = emptyGroup(TOTAL);

  constructor(index: Index, by: Grouping) {
    this.#index = index;
    this.#by = by;
  }

  /** A message, once, and those of its recipients that count. */
  add(row: Row, recipients: readonly number[]): void {
    const nowMs = wallMs();
    for (const at of recipients) {
      const name = this.#by === 'site' ? this.#index.site(row, at) : this.#index.domain(row, at);
      this.#count(this.#group(name), row, at, nowMs);
      this.#count(this.#total, row, at, nowMs);
    }
  }

  groups(): QueueGroup[] {
    return [...this.#groups.values(), this.#total].map(({ key: _, ...group }) => group);
  }

  #group(name: string): Counting {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    if (this.#groups.size >= LIMITS.operatorGroupsMax && name !== OTHERS) return this.#group(OTHERS);
    const group = emptyGroup(name);
    this.#groups.set(name, group);
    return group;
  }

  #count(group: Counting, row: Row, recipient: number, nowMs: number): void {
    const index = this.#index;
    const dueMs = index.dueMs(row, recipient);
    if (dueMs === null) return;
    group.recipients++;
    group[queueStateOf(dueMs, index.claimed(row, recipient), nowMs)]++;
    const key = index.key(row);
    if (group.key === key) return;
    group.key = key;
    group.messages++;
    group.bytes += index.contentBytes(row);
    group.oldestMs = Math.min(group.oldestMs, index.acceptedMs(row));
  }
}

/** `oldestMs` is a time far away, since JSON has no infinity. */
const emptyGroup = (name: string): Counting => ({
  name,
  messages: 0,
  recipients: 0,
  due: 0,
  waiting: 0,
  held: 0,
  active: 0,
  bytes: 0,
  oldestMs: Number.MAX_SAFE_INTEGER,
  key: 0,
});
