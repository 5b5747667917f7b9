/**
 * The index: every live message as numbers, so that a million of them rest in little memory and no garbage collector
 * walks over them. A message is a row, its recipients are neighbouring slots; columns are typed arrays.
 *
 *   row    key │ segment, at, bytes of its record │ accepted │ content bytes │ hashes of id and sender │ slots │ waiting
 *   slot   due │ word │ domain │ hash of the address │ site │ detail                    due: ms since 1970, Infinity:
 *   word   bit 0 claimed │ bit 1 warned │ attempts from bit 2 on                        held; DELIVERED, FAILED: final
 *
 * 52 bytes a row and 28 a slot, twice that at worst, since columns double when they are full and a message's slots are
 * a power of two. Rows and slots are used again once their message is gone.
 */
import { assert } from '../base/assert.ts';
import { hashOf } from '../base/hash.ts';
import { Interned } from './interned.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { ContentFile, Place } from './message.ts';
import type { Change, Envelope, Index, RecipientState, Row } from './spool.ts';

const ROWS_FIRST = 1024;
const NONE = -1;

const DELIVERED = -1;
const FAILED = -2;
const FINAL: Readonly<Record<number, RecipientState>> = {
  [DELIVERED]: { tag: 'delivered' },
  [FAILED]: { tag: 'failed' },
};

const CLAIMED = 1;
const WARNED = 2;
const ATTEMPTS_SHIFT = 2;
const ATTEMPTS_MAX = 2 ** 29 - 1;

const ENDED = -(2 ** 30);

/** Code and status of an answer, without its words. */
const CODES = /^(?:\d{3}\b)? ?(?:[245]\.\d{1,3}\.\d{1,3}\b)?/;

type Column = Float64Array | Uint32Array | Int32Array;

function grown<Kind extends Column>(column: Kind): Kind {
  const larger = new (column.constructor as new (length: number) => Kind)(column.length * 2);
  larger.set(column);
  return larger;
}

export class Rows implements Index {
  messages = 0;
  recipientsWaiting = 0;
  readonly #domains = new Interned();
  readonly #sites = new Interned();
  readonly #details = new Interned();
  /** Large contents, few and of their own. */
  readonly #files = new Map<Row, ContentFile>();

  #rowsUsed = 0;
  #rowFree = NONE;
  #key = new Float64Array(ROWS_FIRST);
  #generation = new Uint32Array(ROWS_FIRST);
  #at = new Uint32Array(ROWS_FIRST);
  #frameBytes = new Uint32Array(ROWS_FIRST);
  #contentBytes = new Uint32Array(ROWS_FIRST);
  #accepted = new Uint32Array(ROWS_FIRST);
  #idHash = new Uint32Array(ROWS_FIRST);
  #senderHash = new Uint32Array(ROWS_FIRST);
  /** First slot; of a row that is not used, the next such row. */
  #slot = new Int32Array(ROWS_FIRST);
  /** Recipients; 0: the row is not used. */
  #count = new Int32Array(ROWS_FIRST);
  /** Recipients that are not final. */
  #waiting = new Int32Array(ROWS_FIRST);
  /** Claimed recipients; ENDED is added when nothing but these keeps the row. */
  #claims = new Int32Array(ROWS_FIRST);

  #slotsUsed = 0;
  /** By the logarithm of its length, the first run of slots that is not used; `#addressHash` has the next one. */
  readonly #runFree = new Int32Array(32).fill(NONE);
  #due = new Float64Array(ROWS_FIRST);
  #word = new Uint32Array(ROWS_FIRST);
  #domain = new Uint32Array(ROWS_FIRST);
  #addressHash = new Uint32Array(ROWS_FIRST);
  #site = new Uint32Array(ROWS_FIRST);
  #detail = new Uint32Array(ROWS_FIRST);

  // --- Index ---

  *rows(): Generator<Row> {
    for (let row = 0; row < this.#rowsUsed; row++) if (this.#waiting[row]! > 0) yield row;
  }

  has(row: Row): boolean {
    return row < this.#rowsUsed && this.#waiting[row]! > 0;
  }

  key(row: Row): number {
    return this.#key[row]!;
  }

  acceptedMs(row: Row): number {
    return this.#accepted[row]! * 1000;
  }

  contentBytes(row: Row): number {
    return this.#contentBytes[row]!;
  }

  recipients(row: Row): number {
    return this.#count[row]!;
  }

  idHash(row: Row): number {
    return this.#idHash[row]!;
  }

  senderHash(row: Row): number {
    return this.#senderHash[row]!;
  }

  addressHash(row: Row, recipient: number): number {
    return this.#addressHash[this.#slotOf(row, recipient)]!;
  }

  domain(row: Row, recipient: number): string {
    return this.#domains.at(this.domainId(row, recipient));
  }

  domainId(row: Row, recipient: number): number {
    return this.#domain[this.#slotOf(row, recipient)]!;
  }

  site(row: Row, recipient: number): string {
    return this.#sites.at(this.#site[this.#slotOf(row, recipient)]!);
  }

  state(row: Row, recipient: number): RecipientState {
    const slot = this.#slotOf(row, recipient);
    const nextMs = this.#due[slot]!;
    if (nextMs < 0) return FINAL[nextMs]!;
    const word = this.#word[slot]!;
    return {
      tag: 'waiting',
      attempts: word >>> ATTEMPTS_SHIFT,
      nextMs,
      site: this.#sites.at(this.#site[slot]!),
      detail: this.#details.at(this.#detail[slot]!),
      warned: (word & WARNED) !== 0,
    };
  }

  dueMs(row: Row, recipient: number): number | null {
    const due = this.#due[this.#slotOf(row, recipient)]!;
    return due < 0 ? null : due;
  }

  claimed(row: Row, recipient: number): boolean {
    return (this.#word[this.#slotOf(row, recipient)]! & CLAIMED) !== 0;
  }

  claim(row: Row, recipient: number): void {
    const slot = this.#slotOf(row, recipient);
    assert((this.#word[slot]! & CLAIMED) === 0, 'a recipient has one claim');
    this.#word[slot]! |= CLAIMED;
    this.#claims[row]!++;
  }

  unclaim(row: Row, recipient: number): void {
    const slot = this.#slotOf(row, recipient);
    if ((this.#word[slot]! & CLAIMED) === 0) return;
    this.#word[slot]! &= ~CLAIMED;
    this.#claims[row]!--;
    if (this.#claims[row] === ENDED) this.#free(row);
  }

  // --- of the spool ---

  /** A new row, `states` null: all recipients wait for their first attempt. */
  add(key: number, envelope: Envelope, states: readonly RecipientState[] | null, file: ContentFile | null): Row {
    const { recipients } = envelope;
    assert(recipients.length > 0, 'a message has a recipient');
    const row = this.#takeRow();
    const slot = this.#takeRun(recipients.length);
    this.#key[row] = key;
    this.#generation[row] = 0;
    this.#accepted[row] = Math.max(0, Math.floor(envelope.acceptedMs / 1000));
    this.#contentBytes[row] = envelope.content.bytes;
    this.#idHash[row] = hashOf(envelope.id);
    this.#senderHash[row] = hashOf(envelope.sender);
    this.#slot[row] = slot;
    this.#count[row] = recipients.length;
    this.#waiting[row] = recipients.length;
    this.messages++;
    this.recipientsWaiting += recipients.length;
    if (file !== null) this.#files.set(row, file);
    for (let at = 0; at < recipients.length; at++) {
      const { address } = recipients[at]!;
      this.#due[slot + at] = 0;
      this.#word[slot + at] = 0;
      this.#domain[slot + at] = this.#domains.hold(address.slice(address.lastIndexOf('@') + 1));
      this.#addressHash[slot + at] = hashOf(address);
      this.#site[slot + at] = 0;
      this.#detail[slot + at] = 0;
    }
    if (states !== null) this.restate(row, states);
    return row;
  }

  /** Every recipient's state anew, as a later record of the message has them. */
  restate(row: Row, states: readonly RecipientState[]): void {
    assert(states.length === this.#count[row], 'a state for each recipient');
    for (let recipient = 0; recipient < states.length; recipient++) this.#change(row, recipient, states[recipient]!);
  }

  /** A claim ends with a final state. */
  apply(row: Row, changes: readonly Change[]): void {
    for (const { recipient, state } of changes) {
      this.#change(row, recipient, state);
      if (state.tag !== 'waiting') this.unclaim(row, recipient);
    }
  }

  /** The disk has lost the message: every recipient is final, and claims stand. */
  lose(row: Row): void {
    for (let at = 0; at < this.#count[row]!; at++) this.#change(row, at, { tag: 'failed' });
  }

  /** It has ended, and claims alone keep its row. */
  ended(row: Row): boolean {
    return this.#claims[row]! < 0;
  }

  /** The message is gone, and its row as soon as nobody claims a recipient of it. */
  end(row: Row): void {
    assert(this.#count[row]! > 0 && this.#claims[row]! >= 0, 'a message ends once');
    this.#claims[row]! += ENDED;
    if (this.#claims[row] === ENDED) this.#free(row);
  }

  final(row: Row): boolean {
    return this.#waiting[row] === 0;
  }

  /** Every recipient waits for its first attempt. */
  fresh(row: Row): boolean {
    const slot = this.#slot[row]!;
    for (let at = slot; at < slot + this.#count[row]!; at++) {
      if (this.#due[at] !== 0 || this.#word[at]! > CLAIMED) return false;
    }
    return true;
  }

  file(row: Row): ContentFile | null {
    return this.#files.get(row) ?? null;
  }

  /** Large contents in files. */
  files(): IterableIterator<[Row, ContentFile]> {
    return this.#files.entries();
  }

  /** Its newest durable record; generation 0: none. */
  place(row: Row): Place {
    return { generation: this.#generation[row]!, at: this.#at[row]!, frameBytes: this.#frameBytes[row]! };
  }

  setPlace(row: Row, { generation, at, frameBytes }: Place): void {
    this.#generation[row] = generation;
    this.#at[row] = at;
    this.#frameBytes[row] = frameBytes;
  }

  /** Those whose record is in this segment, in its order. */
  rowsIn(generation: number): Row[] {
    const found: Row[] = [];
    for (let row = 0; row < this.#rowsUsed; row++) {
      if (this.#generation[row] === generation && this.#count[row]! > 0) found.push(row);
    }
    return found.sort((one, other) => this.#at[one]! - this.#at[other]!);
  }

  // --- rooms ---

  #slotOf(row: Row, recipient: number): number {
    assert(recipient >= 0 && recipient < this.#count[row]!, 'a recipient of the message');
    return this.#slot[row]! + recipient;
  }

  #change(row: Row, recipient: number, state: RecipientState): void {
    const slot = this.#slotOf(row, recipient);
    // Final is final: a late outcome of a second attempt changes nothing.
    if (this.#due[slot]! < 0) return;
    const claimed = this.#word[slot]! & CLAIMED;
    this.#sites.drop(this.#site[slot]!);
    this.#details.drop(this.#detail[slot]!);
    this.#site[slot] = 0;
    this.#detail[slot] = 0;
    if (state.tag !== 'waiting') {
      this.#due[slot] = state.tag === 'delivered' ? DELIVERED : FAILED;
      this.#word[slot] = claimed;
      this.recipientsWaiting--;
      this.#waiting[row]!--;
      if (this.#waiting[row] === 0) this.messages--;
      return;
    }
    this.#due[slot] = Math.max(0, state.nextMs);
    this.#word[slot] =
      claimed | (state.warned ? WARNED : 0) | (Math.min(state.attempts, ATTEMPTS_MAX) << ATTEMPTS_SHIFT);
    this.#site[slot] = this.#sites.hold(state.site);
    this.#detail[slot] = this.#details.hold(this.#bounded(state.detail));
  }

  /** Servers that put a number of their own into each answer must not fill memory: then only codes are kept. */
  #bounded(detail: string): string {
    if (this.#details.size < SPOOL_LIMITS.detailTextsMax || this.#details.has(detail)) return detail;
    return CODES.exec(detail)?.[0] ?? '';
  }

  #free(row: Row): void {
    const count = this.#count[row]!;
    const slot = this.#slot[row]!;
    if (this.#waiting[row]! > 0) this.messages--;
    this.recipientsWaiting -= this.#waiting[row]!;
    for (let at = slot; at < slot + count; at++) {
      this.#domains.drop(this.#domain[at]!);
      this.#sites.drop(this.#site[at]!);
      this.#details.drop(this.#detail[at]!);
    }
    const size = sizeOf(count);
    this.#addressHash[slot] = this.#runFree[size]!;
    this.#runFree[size] = slot;
    this.#files.delete(row);
    this.#count[row] = 0;
    this.#waiting[row] = 0;
    this.#claims[row] = 0;
    this.#key[row] = 0;
    this.#slot[row] = this.#rowFree;
    this.#rowFree = row;
  }

  #takeRow(): Row {
    const row = this.#rowFree;
    if (row !== NONE) {
      this.#rowFree = this.#slot[row]!;
      return row;
    }
    if (this.#rowsUsed === this.#key.length) this.#growRows();
    return this.#rowsUsed++;
  }

  #takeRun(count: number): number {
    const size = sizeOf(count);
    const slot = this.#runFree[size]!;
    if (slot !== NONE) {
      this.#runFree[size] = this.#addressHash[slot]! | 0;
      return slot;
    }
    while (this.#slotsUsed + (1 << size) > this.#due.length) this.#growSlots();
    const first = this.#slotsUsed;
    this.#slotsUsed += 1 << size;
    return first;
  }

  #growRows(): void {
    this.#key = grown(this.#key);
    this.#generation = grown(this.#generation);
    this.#at = grown(this.#at);
    this.#frameBytes = grown(this.#frameBytes);
    this.#contentBytes = grown(this.#contentBytes);
    this.#accepted = grown(this.#accepted);
    this.#idHash = grown(this.#idHash);
    this.#senderHash = grown(this.#senderHash);
    this.#slot = grown(this.#slot);
    this.#count = grown(this.#count);
    this.#waiting = grown(this.#waiting);
    this.#claims = grown(this.#claims);
  }

  #growSlots(): void {
    this.#due = grown(this.#due);
    this.#word = grown(this.#word);
    this.#domain = grown(this.#domain);
    this.#addressHash = grown(this.#addressHash);
    this.#site = grown(this.#site);
    this.#detail = grown(this.#detail);
  }
}

/** The logarithm of the smallest power of two that has room for `count`. */
const sizeOf = (count: number): number => 32 - Math.clz32(count - 1);
