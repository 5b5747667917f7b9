/**
 * Log lines: JSON, one event a line (events.ts).
 *
 *   shard: log ─► line ─► batch (64 KiB, or 50 ms) ──post──► main: LogSink ─► standard output, in the background
 *   main:  log ─► line ─────────────────────────────────────────┘  what it does not take in time is dropped and counted
 *
 *   {"level":"info","time":"2026-11-24T12:00:00.000Z","shard":1,"event":"accepted","id":…}
 *
 * Never in a line: passwords (keys that name one are hidden) and message content (nobody passes it). Texts from the
 * network are cut.
 *
 * A line of fourteen fields costs 0.4 µs (bench/micro/log.ts), where pino took 2.4 µs, and 1.7 µs at its best: it asks
 * JSON.stringify for each key and each text, and leaves a rope of fifty pieces to whoever sends the line on.
 */

import { wallMs } from '../base/clock.ts';
import type { EventName, Level } from './events.ts';
import { EVENTS, LEVELS } from './events.ts';

/** What JSON has, so that writing a line cannot fail; a text is cut at `valueCharsMax`, in lists and objects, too. */
type Value = string | number | boolean | null | undefined | readonly Value[] | Fields;
export type Fields = { readonly [key: string]: Value };

export interface Logger {
  log(event: EventName, fields?: Fields): void;
}

export type LogLimits = {
  readonly batchBytes: number;
  readonly batchMs: number;
  readonly valueCharsMax: number;
  readonly bufferBytesMax: number;
};

const SECRET_KEYS: ReadonlySet<string> = new Set(['password', 'credentials', 'authorization', 'secret', 'key', 'pem']);
const HIDDEN = '(hidden)';

/** What stands before and behind the time in each line of an event: with fewer pieces a batch of them is cheaper. */
type Frame = readonly [before: string, behind: string];

const MILLISECONDS = Array.from({ length: 1000 }, (_, ms) => String(ms).padStart(3, '0'));

/** Writes one line, with its end, an event. */
export class LineLogger implements Logger {
  /** Of the events that are said at all. */
  readonly #frames: ReadonlyMap<EventName, Frame>;
  readonly #charsMax: number;
  readonly #write: (line: string) => void;
  #second = Number.NaN;
  #secondText = '';

  /** `base`: what each line says, behind its time. */
  constructor(level: Level, charsMax: number, base: Fields, write: (line: string) => void) {
    this.#frames = framesOf(level, base);
    this.#charsMax = charsMax;
    this.#write = write;
  }

  log(event: EventName, fields: Fields = {}): void {
    const frame = this.#frames.get(event);
    if (frame === undefined) return;
    const json = JSON.stringify(fitting(fields, this.#charsMax)); // a control character is escaped: none ends the line
    const ms = wallMs();
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) this.#turnTo(second);
    const time = this.#secondText + MILLISECONDS[ms - second * 1000]!;
    this.#write(`${frame[0]}${time}${frame[1]}${json === '{}' ? '' : ','}${json.slice(1)}\n`);
  }

  #turnTo(second: number): void {
    this.#second = second;
    this.#secondText = new Date(second * 1000).toISOString().slice(0, -'000Z'.length);
  }
}

function framesOf(threshold: Level, base: Fields): ReadonlyMap<EventName, Frame> {
  const frames = new Map<EventName, Frame>();
  for (const [event, [level]] of Object.entries(EVENTS) as [EventName, readonly [Level, string]][]) {
    if (LEVELS[level] < LEVELS[threshold]) continue;
    const behind = JSON.stringify({ ...base, event }).slice(1, -1);
    frames.set(event, [`{"level":"${level}","time":"`, `Z",${behind}`]);
  }
  return frames;
}

/** `fields` itself where nothing in it is to be hidden or cut, as nearly always. */
function fitting(fields: Fields, charsMax: number): Fields {
  for (const key in fields) {
    const value = fields[key];
    const fits = typeof value === 'string' ? value.length <= charsMax : typeof value !== 'object' || value === null;
    if (!fits || SECRET_KEYS.has(key)) return cutFields(fields, charsMax);
  }
  return fields;
}

function cut(value: Value, charsMax: number): Value {
  if (typeof value === 'string') return value.length > charsMax ? `${value.slice(0, charsMax)}…` : value;
  if (typeof value !== 'object' || value === null) return value;
  return isList(value) ? value.map((each) => cut(each, charsMax)) : cutFields(value, charsMax);
}

const cutFields = (fields: Fields, charsMax: number): Fields =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, SECRET_KEYS.has(key) ? HIDDEN : cut(value, charsMax)]),
  );

const isList = (value: readonly Value[] | Fields): value is readonly Value[] => Array.isArray(value);

/** A shard's logger: lines leave by `post`, many at once, each with its line end. */
export class BatchingLogger implements Logger {
  readonly #logger: LineLogger;
  readonly #post: (lines: string) => void;
  readonly #limits: LogLimits;
  #batch = '';
  #timer: NodeJS.Timeout | null = null;

  constructor(level: Level, base: Fields, limits: LogLimits, post: (lines: string) => void) {
    this.#post = post;
    this.#limits = limits;
    this.#logger = new LineLogger(level, limits.valueCharsMax, base, (line) => this.#add(line));
  }

  log(event: EventName, fields?: Fields): void {
    this.#logger.log(event, fields);
  }

  /** For the end of the thread. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#batch === '') return;
    const lines = this.#batch;
    this.#batch = '';
    this.#post(lines);
  }

  #add(line: string): void {
    this.#batch += line;
    if (this.#batch.length >= this.#limits.batchBytes) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#limits.batchMs).unref();
  }
}
