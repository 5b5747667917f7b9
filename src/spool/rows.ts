/**
 * The index: every live message as numbers, so that a million of them rest in little memory and no garbage collector
 * walks over them. A message is a row, its recipients are neighbouring slots; columns are typed arrays.
 *
 *   row    key │ segment, at, bytes of its record │ accepted │ content bytes │ hashes: id, sender │ slots │ waiting
 *   slot   due │ claimed, warned, attempts │ destination │ hash of the address │ site │ detail
 *
 * 52 bytes a row and 28 a slot, or up to twice as many slots, since a message's are a power of two. Rows and slots are
 * used again once their message is gone.
 */
import { assert } from '../base/assert.ts';
import { hashOf } from '../base/hash.ts';
import { destinationOf, splitDestination } from '../message/destination.ts';
import { copyEntry, RowColumns, type RowsView, SlotColumns } from './columns.ts';
import { Interned } from './interned.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { ContentFile, Place } from './message.ts';
import type { Change, Envelope, Index, RecipientState, Row } from './spool.ts';

const NONE = -1;

const HELD = Number.POSITIVE_INFINITY;
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

export class Rows implements Index {
  messages = 0;
  recipientsWaiting = 0;
  recipientsClaimed = 0;
  recipientsHeld = 0;
  readonly #destinations = new Interned();
  readonly #sites = new Interned();
  readonly #details = new Interned();
  /** Large contents, few and of their own. */
  readonly #files = new Map<Row, ContentFile>();

  #rowsUsed = 0;
  #rowFree = NONE;
  readonly #row = new RowColumns();
  #slotsUsed = 0;
  /** By the logarithm of its length, the first run of slots that is not used. */
  readonly #runFree = new Int32Array(32).fill(NONE);
  readonly #slot = new SlotColumns();

  // --- Index ---

  *rows(): Generator<Row> {
    for (let row = 0; row < this.#rowsUsed; row++) if (this.#row.waiting[row]! > 0) yield row;
  }

  has(row: Row): boolean {
    return row < this.#rowsUsed && this.#row.waiting[row]! > 0;
  }

  key(row: Row): number {
    return this.#row.key[row]!;
  }

  acceptedMs(row: Row): number {
    return this.#row.accepted[row]! * 1000;
  }

  contentBytes(row: Row): number {
    return this.#row.contentBytes[row]!;
  }

  recipients(row: Row): number {
    return this.#row.count[row]!;
  }

  idHash(row: Row): number {
    return this.#row.idHash[row]!;
  }

  senderHash(row: Row): number {
    return this.#row.senderHash[row]!;
  }

  addressHash(row: Row, recipient: number): number {
    return this.#slot.addressHash[this.#slotOf(row, recipient)]!;
  }

  domain(row: Row, recipient: number): string {
    return splitDestination(this.destination(row, recipient)).domain;
  }

  destination(row: Row, recipient: number): string {
    return this.#destinations.at(this.#slot.destination[this.#slotOf(row, recipient)]!);
  }

  site(row: Row, recipient: number): string {
    return this.#sites.at(this.#slot.site[this.#slotOf(row, recipient)]!);
  }

  state(row: Row, recipient: number): RecipientState {
    const slot = this.#slotOf(row, recipient);
    const nextMs = this.#slot.due[slot]!;
    if (nextMs < 0) return FINAL[nextMs]!;
    const word = this.#slot.word[slot]!;
    return {
      tag: 'waiting',
      attempts: word >>> ATTEMPTS_SHIFT,
      nextMs,
      site: this.#sites.at(this.#slot.site[slot]!),
      detail: this.#details.at(this.#slot.detail[slot]!),
      warned: (word & WARNED) !== 0,
    };
  }

  tried(row: Row, recipient: number): boolean {
    const slot = this.#slotOf(row, recipient);
    return this.#slot.due[slot]! >= 0 && this.#slot.word[slot]! >>> ATTEMPTS_SHIFT > 0;
  }

  dueMs(row: Row, recipient: number): number | null {
    const due = this.#slot.due[this.#slotOf(row, recipient)]!;
    return due < 0 ? null : due;
  }

  claimed(row: Row, recipient: number): boolean {
    return (this.#slot.word[this.#slotOf(row, recipient)]! & CLAIMED) !== 0;
  }

  claim(row: Row, recipient: number): void {
    const slot = this.#slotOf(row, recipient);
    assert((this.#slot.word[slot]! & CLAIMED) === 0, 'a recipient has one claim');
    this.#slot.word[slot]! |= CLAIMED;
    this.#row.claims[row]!++;
    this.recipientsClaimed++;
  }

  unclaim(row: Row, recipient: number): void {
    const slot = this.#slotOf(row, recipient);
    if ((this.#slot.word[slot]! & CLAIMED) === 0) return;
    this.#slot.word[slot]! &= ~CLAIMED;
    this.#row.claims[row]!--;
    this.recipientsClaimed--;
    if (this.#row.claims[row] === ENDED) this.#free(row);
  }

  // --- of the spool ---

  /** A new row, `states` null: all recipients wait for their first attempt. */
  add(key: number, envelope: Envelope, states: readonly RecipientState[] | null, file: ContentFile | null): Row {
    const { recipients } = envelope;
    assert(recipients.length > 0, 'a message has a recipient');
    const row = this.#takeRow();
    const slot = this.#takeRun(recipients.length);
    this.#row.key[row] = key;
    this.#row.generation[row] = 0;
    this.#row.accepted[row] = Math.max(0, Math.floor(envelope.acceptedMs / 1000));
    this.#row.contentBytes[row] = envelope.content.bytes;
    this.#row.idHash[row] = hashOf(envelope.id);
    this.#row.senderHash[row] = hashOf(envelope.sender);
    this.#row.slot[row] = slot;
    this.#row.count[row] = recipients.length;
    this.#row.waiting[row] = recipients.length;
    this.messages++;
    this.recipientsWaiting += recipients.length;
    if (file !== null) this.#files.set(row, file);
    for (let at = 0; at < recipients.length; at++) {
      const recipient = recipients[at]!;
      this.#slot.due[slot + at] = 0;
      this.#slot.word[slot + at] = 0;
      this.#slot.destination[slot + at] = this.#destinations.hold(destinationOf(recipient));
      this.#slot.addressHash[slot + at] = hashOf(recipient.address);
      this.#slot.site[slot + at] = 0;
      this.#slot.detail[slot + at] = 0;
    }
    if (states !== null) this.restate(row, states);
    return row;
  }

  /** Every recipient's state anew, as a later record of the message has them. */
  restate(row: Row, states: readonly RecipientState[]): void {
    assert(states.length === this.#row.count[row], 'a state for each recipient');
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
    for (let at = 0; at < this.#row.count[row]!; at++) this.#change(row, at, { tag: 'failed' });
  }

  /** It has ended, and claims alone keep its row. */
  ended(row: Row): boolean {
    return this.#row.claims[row]! < 0;
  }

  /** The message is gone, and its row as soon as nobody claims a recipient of it. */
  end(row: Row): void {
    assert(this.#row.count[row]! > 0 && this.#row.claims[row]! >= 0, 'a message ends once');
    this.#row.claims[row]! += ENDED;
    if (this.#row.claims[row] === ENDED) this.#free(row);
  }

  final(row: Row): boolean {
    return this.#row.waiting[row] === 0;
  }

  /** Every recipient waits for its first attempt. */
  fresh(row: Row): boolean {
    const slot = this.#row.slot[row]!;
    for (let at = slot; at < slot + this.#row.count[row]!; at++) {
      if (this.#slot.due[at] !== 0 || this.#slot.word[at]! > CLAIMED) return false;
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
    return { generation: this.#row.generation[row]!, at: this.#row.at[row]!, frameBytes: this.#row.frameBytes[row]! };
  }

  /** Of its place. */
  generation(row: Row): number {
    return this.#row.generation[row]!;
  }

  frameBytes(row: Row): number {
    return this.#row.frameBytes[row]!;
  }

  setPlace(row: Row, { generation, at, frameBytes }: Place): void {
    this.#row.generation[row] = generation;
    this.#row.at[row] = at;
    this.#row.frameBytes[row] = frameBytes;
  }

  /** Those whose record is in this segment, in its order. */
  rowsIn(generation: number): Row[] {
    const found: Row[] = [];
    for (let row = 0; row < this.#rowsUsed; row++) {
      if (this.#row.generation[row] === generation && this.#row.count[row]! > 0) found.push(row);
    }
    return found.sort((one, other) => this.#row.at[one]! - this.#row.at[other]!);
  }

  /** For a checkpoint. */
  view(): RowsView {
    const [rows, slots, files] = [this.#row, this.#slot, this.#files];
    return {
      rowsUsed: this.#rowsUsed,
      rows,
      slots,
      files,
      destinations: this.#destinations,
      sites: this.#sites,
      details: this.#details,
    };
  }

  /** A message that is at `from` in another index. */
  addFrom(view: RowsView, from: Row): Row {
    const { rows, slots } = view;
    const count = rows.count[from]!;
    const row = this.#takeRow();
    const slot = this.#takeRun(count);
    const first = rows.slot[from]!;
    copyEntry(rows, from, this.#row, row);
    this.#row.slot[row] = slot;
    this.#row.claims[row] = 0;
    this.messages++;
    this.recipientsWaiting += rows.waiting[from]!;
    const file = view.files.get(from);
    if (file !== undefined) this.#files.set(row, file);
    for (let at = 0; at < count; at++) {
      this.#slot.due[slot + at] = slots.due[first + at]!;
      if (slots.due[first + at] === HELD) this.recipientsHeld++;
      this.#slot.word[slot + at] = slots.word[first + at]! & ~CLAIMED;
      this.#slot.addressHash[slot + at] = slots.addressHash[first + at]!;
      this.#slot.destination[slot + at] = this.#destinations.hold(
        view.destinations.at(slots.destination[first + at]!)!,
      );
      this.#slot.site[slot + at] = this.#sites.hold(view.sites.at(slots.site[first + at]!)!);
      this.#slot.detail[slot + at] = this.#details.hold(view.details.at(slots.detail[first + at]!)!);
    }
    return row;
  }

  // --- rooms ---

  #slotOf(row: Row, recipient: number): number {
    assert(recipient >= 0 && recipient < this.#row.count[row]!, 'a recipient of the message');
    return this.#row.slot[row]! + recipient;
  }

  #change(row: Row, recipient: number, state: RecipientState): void {
    const slot = this.#slotOf(row, recipient);
    // Final is final: a late outcome of a second attempt changes nothing.
    if (this.#slot.due[slot]! < 0) return;
    if (this.#slot.due[slot] === HELD) this.recipientsHeld--;
    const claimed = this.#slot.word[slot]! & CLAIMED;
    this.#sites.drop(this.#slot.site[slot]!);
    this.#details.drop(this.#slot.detail[slot]!);
    this.#slot.site[slot] = 0;
    this.#slot.detail[slot] = 0;
    if (state.tag !== 'waiting') {
      this.#slot.due[slot] = state.tag === 'delivered' ? DELIVERED : FAILED;
      this.#slot.word[slot] = claimed;
      this.recipientsWaiting--;
      this.#row.waiting[row]!--;
      if (this.#row.waiting[row] === 0) this.messages--;
      return;
    }
    this.#slot.due[slot] = Math.max(0, state.nextMs);
    if (this.#slot.due[slot] === HELD) this.recipientsHeld++;
    this.#slot.word[slot] =
      claimed | (state.warned ? WARNED : 0) | (Math.min(state.attempts, ATTEMPTS_MAX) << ATTEMPTS_SHIFT);
    this.#slot.site[slot] = this.#sites.hold(state.site);
    this.#slot.detail[slot] = this.#details.hold(this.#bounded(state.detail));
  }

  /** Servers that put a number of their own into each answer must not fill memory: then only codes are kept. */
  #bounded(detail: string): string {
    if (this.#details.size < SPOOL_LIMITS.detailTextsMax || this.#details.has(detail)) return detail;
    return CODES.exec(detail)?.[0] ?? '';
  }

  #free(row: Row): void {
    const count = this.#row.count[row]!;
    const slot = this.#row.slot[row]!;
    if (this.#row.waiting[row]! > 0) this.messages--;
    this.recipientsWaiting -= this.#row.waiting[row]!;
    for (let at = slot; at < slot + count; at++) {
      if (this.#slot.due[at] === HELD) this.recipientsHeld--;
      this.#destinations.drop(this.#slot.destination[at]!);
      this.#sites.drop(this.#slot.site[at]!);
      this.#details.drop(this.#slot.detail[at]!);
    }
    const size = sizeOf(count);
    this.#slot.addressHash[slot] = this.#runFree[size]!;
    this.#runFree[size] = slot;
    this.#files.delete(row);
    this.#row.count[row] = 0;
    this.#row.waiting[row] = 0;
    this.#row.claims[row] = 0;
    this.#row.key[row] = 0;
    this.#row.slot[row] = this.#rowFree;
    this.#rowFree = row;
  }

  #takeRow(): Row {
    const row = this.#rowFree;
    if (row !== NONE) {
      this.#rowFree = this.#row.slot[row]!;
      return row;
    }
    if (this.#rowsUsed === this.#row.room) this.#row.grow();
    return this.#rowsUsed++;
  }

  #takeRun(count: number): number {
    const size = sizeOf(count);
    const slot = this.#runFree[size]!;
    if (slot !== NONE) {
      this.#runFree[size] = this.#slot.addressHash[slot]! | 0;
      return slot;
    }
    while (this.#slotsUsed + (1 << size) > this.#slot.room) this.#slot.grow();
    const first = this.#slotsUsed;
    this.#slotsUsed += 1 << size;
    return first;
  }
}

/** The logarithm of the smallest power of two that has room for `count`. */
const sizeOf = (count: number): number => 32 - Math.clz32(count - 1);
