/**
 * Lines of recipients at rest: who is due and waits for something (a site, an answer of DNS, a notice).
 *
 *   place    0     1     2     3   …      one pool for all lines of a shard, 14 bytes a place
 *   row      17    17    4     -
 *   recipient 0    1     0     -          line A: 0 ─► 1        (first = 0, last = 1)
 *   since    …     …     …     -          line B: 2
 *   next     1     -1    -1    …          free:   3 ─► …
 *
 * Numbers only: a million waiting recipients are a few arrays, and no work for the garbage collector.
 */
import { assert } from '../base/assert.ts';
import { columnOf, grown, resized } from '../base/column.ts';

const NONE = -1;
const PLACES_MIN = 1024;
/** An envelope has at most 10,000 (POSTERN_RECIPIENTS_MAX). */
const RECIPIENT_MAX = 0xffff;

/** First come, first served. Owned by whoever lets wait; all its steps are methods of `Places`. */
export class Line {
  first = NONE;
  last = NONE;
  size = 0;
}

export class Places {
  #rows = columnOf(Uint32Array, PLACES_MIN);
  #recipients = columnOf(Uint16Array, PLACES_MIN);
  #sinceSeconds = columnOf(Uint32Array, PLACES_MIN);
  #next = columnOf(Int32Array, PLACES_MIN);
  /** Places that were given back; those from `#fresh` on were never in use. */
  #free = NONE;
  #fresh = 0;
  #size = 0;

  /** Recipients in all lines together. */
  get size(): number {
    return this.#size;
  }

  /** Places that there is memory for. */
  get capacity(): number {
    return this.#rows.length;
  }

  push(line: Line, row: number, recipient: number, sinceSeconds: number): void {
    assert(recipient <= RECIPIENT_MAX, 'recipients are counted in 16 bits');
    const place = this.#allot();
    this.#rows[place] = row;
    this.#recipients[place] = recipient;
    this.#sinceSeconds[place] = sinceSeconds;
    this.#next[place] = NONE;
    if (line.first === NONE) line.first = place;
    else this.#next[line.last] = place;
    line.last = place;
    line.size++;
    this.#size++;
  }

  /** Of the first in a line that is not empty. */
  row(line: Line): number {
    return this.#rows[line.first]!;
  }

  /** Of the last one. */
  lastRow(line: Line): number {
    return this.#rows[line.last]!;
  }

  recipient(line: Line): number {
    return this.#recipients[line.first]!;
  }

  /** When it came into a line, seconds since 1970. */
  sinceSeconds(line: Line): number {
    return this.#sinceSeconds[line.first]!;
  }

  /** The first leaves. */
  drop(line: Line): void {
    const place = line.first;
    assert(place !== NONE, 'nobody leaves an empty line');
    line.first = this.#next[place]!;
    if (line.first === NONE) line.last = NONE;
    line.size--;
    this.#size--;
    this.#next[place] = this.#free;
    this.#free = place;
    if (this.#size === 0) this.#forget();
  }

  /** The recipients at the front that are of one row; they leave. */
  takeRow(line: Line): number[] {
    const row = this.row(line);
    const recipients: number[] = [];
    do {
      recipients.push(this.recipient(line));
      this.drop(line);
    } while (line.size > 0 && this.row(line) === row);
    return recipients;
  }

  #allot(): number {
    const place = this.#free;
    if (place !== NONE) {
      this.#free = this.#next[place]!;
      return place;
    }
    if (this.#fresh === this.#rows.length) this.#resize(grown(this.#rows.length));
    return this.#fresh++;
  }

  /** After a wave its memory is given back. */
  #forget(): void {
    this.#free = NONE;
    this.#fresh = 0;
    if (this.#rows.length > 64 * PLACES_MIN) this.#resize(PLACES_MIN);
  }

  #resize(length: number): void {
    assert(this.#fresh <= length, 'no place is lost');
    this.#rows = resized(this.#rows, length);
    this.#recipients = resized(this.#recipients, length);
    this.#sinceSeconds = resized(this.#sinceSeconds, length);
    this.#next = resized(this.#next, length);
  }
}
