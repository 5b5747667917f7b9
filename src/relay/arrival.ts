/**
 * One message while it arrives, by DATA or by one or more BDAT: wire bytes to content in the spool's draft, without
 * ever holding more of it than the draft does.
 *
 *   feed(chunk) ─► scanner ─► spans that are content ─► draft          at the end: facts ─► verdict ─► inbound.ts
 *
 * What is too large, or not wanted any more (a rule over its header section), is read to its end and dropped, so that
 * the client and we stay in step (RFC 5321 §4.5.3.1.9).
 */
import type { ContentFacts } from '../message/envelope.ts';
import type { ContentToJudge } from '../policy/content.ts';
import type { ContentSink } from '../scanner/decode.ts';
import { applyCuts } from '../scanner/decode.ts';
import type { Scanner } from '../scanner/scanner.ts';
import { CUT_SLOTS, CUTS_MAX, FLAGS, INSERTS, MODE_BDAT, MODE_DATA, STATE, STATE_SLOTS } from '../scanner/scanner.ts';
import type { Draft } from '../spool/spool.ts';
import type { ContentTap } from './tee.ts';
import { Tee } from './tee.ts';

/** Shared by all arrivals of a shard: it is written and read within one call. */
const cuts = new Int32Array(CUTS_MAX * CUT_SLOTS);

export class Arrival {
  readonly draft: Draft;
  readonly #sink: ContentSink;
  readonly #taps: readonly ContentTap[];
  readonly #scanner: Scanner;
  readonly #state = new Int32Array(STATE_SLOTS);
  readonly #bytesMax: number;
  #dropped = false;
  #tooLarge = false;
  /** The last content byte, to know whether the content ends in CRLF: only a BDAT message may not. */
  #tail = 0;
  readonly #bdat: boolean;

  constructor(
    scanner: Scanner,
    draft: Draft,
    kind: 'data' | 'bdat',
    bytesMax: number,
    taps: readonly ContentTap[] = [],
  ) {
    this.#scanner = scanner;
    this.draft = draft;
    this.#taps = taps;
    this.#sink = taps.length === 0 ? draft : new Tee(draft, taps);
    this.#bdat = kind === 'bdat';
    this.#state[STATE.mode] = this.#bdat ? MODE_BDAT : MODE_DATA;
    this.#bytesMax = bytesMax;
  }

  /** Where feed stopped, as an offset in the chunk. */
  end = 0;

  /** CRLF . CRLF has been read. */
  get ended(): boolean {
    return (this.#state[STATE.flags]! & FLAGS.endOfData) !== 0;
  }

  /**
   * Reads chunk[from, to) up to the end of data; `end` says how far. A promise means: read no more until it resolves.
   */
  feed(chunk: Buffer, from: number, to: number): Promise<void> | undefined {
    let wait: Promise<void> | undefined;
    let at = from;
    while (at < to && !this.ended) {
      const next = this.#scanner.scan(chunk, at, to, this.#state, cuts);
      if (!this.#dropped) wait = applyCuts(chunk, at, next, this.#state, cuts, this.#sink) ?? wait;
      if (this.#unwanted) this.discard();
      at = next;
    }
    this.end = at;
    if (this.#bdat && at > from) this.#tail = chunk[at - 1]!;
    if (!this.#tooLarge && this.#state[STATE.contentBytes]! > this.#bytesMax) {
      this.#tooLarge = true; // for good: the scanner's counter of an endless message wraps
      this.discard();
    }
    return this.#dropped ? undefined : wait;
  }

  get #unwanted(): boolean {
    return !this.#dropped && this.#taps.length > 0 && this.#taps.some(({ over }) => over);
  }

  /** The end of the last BDAT chunk (RFC 3030 §2). */
  finish(): void {
    const insert = INSERTS[this.#scanner.finish(this.#state)]!;
    if (insert === '') return;
    this.#tail = 10;
    if (!this.#dropped) this.#sink.writeText(insert);
  }

  discard(): void {
    this.#dropped = true;
    this.draft.discard();
    for (const tap of this.#taps) tap.abort();
  }

  get toJudge(): ContentToJudge {
    const state = this.#state;
    return {
      bytes: this.#tooLarge ? Number.POSITIVE_INFINITY : state[STATE.contentBytes]!,
      receivedFields: state[STATE.receivedFields]!,
      bareLineEnds: (state[STATE.flags]! & (FLAGS.bareCr | FLAGS.bareLf)) !== 0,
    };
  }

  get facts(): ContentFacts {
    const state = this.#state;
    const bytes = state[STATE.contentBytes]!;
    const flags = state[STATE.flags]!;
    return {
      bytes,
      dotted: state[STATE.dottedLines]! > 0,
      eightBit: (flags & FLAGS.eightBit) !== 0,
      // Line ends are normalised: content whose last byte on the wire was LF ends in CRLF.
      endsInCrlf: !this.#bdat || this.#tail === 10 || bytes === 0,
      headerBytes: state[STATE.headerBytes]! || bytes,
    };
  }
}
