/**
 * Log lines: JSON, one event a line (events.ts).
 *
 *   shard: log ─► pino ─► batch (64 KiB, or 50 ms) ──post──► main: LogSink ─► standard output, in the background
 *   main:  log ─► pino ─────────────────────────────────────────┘  what it does not take in time is dropped and counted
 *
 * Never in a line: passwords (keys that name one are hidden) and message content (nobody passes it). Texts from the
 * network are cut.
 *
 * A line of ten fields costs about 2 µs in the shard (measured); three a message at 5,000 messages a second are 3 %
 * of a core.
 */

import pino from 'pino';
import type { EventName, Level } from './events.ts';
import { EVENTS, LEVELS } from './events.ts';

/** Plain values; a text is cut at `valueCharsMax`, in lists and objects, too. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  log(event: EventName, fields?: Fields): void;
}

export type LogLimits = {
  readonly batchBytes: number;
  readonly batchMs: number;
  readonly valueCharsMax: number;
  readonly bufferBytesMax: number;
};

const SECRET_KEYS = ['password', 'credentials', 'authorization', 'secret', 'key', 'pem'];
const REDACT = { paths: SECRET_KEYS, censor: '(hidden)' };

class PinoLogger implements Logger {
  readonly #pino: pino.Logger;
  readonly #threshold: number;
  readonly #charsMax: number;

  constructor(level: Level, charsMax: number, base: Fields, destination: pino.DestinationStream) {
    this.#threshold = LEVELS[level];
    this.#charsMax = charsMax;
    const formatters = { level: (label: string) => ({ level: label }) };
    const timestamp = pino.stdTimeFunctions.isoTime;
    this.#pino = pino({ level, base, formatters, timestamp, redact: REDACT }, destination);
  }

  log(event: EventName, fields: Fields = {}): void {
    const [level] = EVENTS[event];
    if (LEVELS[level] < this.#threshold) return;
    const line: Record<string, unknown> = { event };
    for (const key in fields) line[key] = this.#cut(fields[key]);
    this.#pino[level](line);
  }

  #cut(value: unknown): unknown {
    if (typeof value === 'string') return value.length > this.#charsMax ? `${value.slice(0, this.#charsMax)}…` : value;
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((each) => this.#cut(each));
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, SECRET_KEYS.includes(key) ? REDACT.censor : this.#cut(each)]),
    );
  }
}

/** A shard's logger: lines leave by `post`, many at once, each with its line end. */
export class BatchingLogger implements Logger {
  readonly #logger: PinoLogger;
  readonly #post: (lines: string) => void;
  readonly #limits: LogLimits;
  #batch = '';
  #timer: NodeJS.Timeout | null = null;

  constructor(level: Level, base: Fields, limits: LogLimits, post: (lines: string) => void) {
    this.#post = post;
    this.#limits = limits;
    this.#logger = new PinoLogger(level, limits.valueCharsMax, base, { write: (line) => this.#add(line) });
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

/** The main thread's logger and the only writer of standard output. */
export class LogSink implements Logger {
  readonly #destination: ReturnType<typeof pino.destination>;
  readonly #logger: PinoLogger;
  #dropped = 0;
  #ended = false;

  /** `dest` is a descriptor or, in tests, a path. `onDrop` gets the number of lines each time. */
  constructor(level: Level, limits: LogLimits, onDrop: (lines: number) => void, dest: number | string = 1) {
    this.#destination = pino.destination({ dest, sync: false, minLength: 0, maxLength: limits.bufferBytesMax });
    this.#destination.on('drop', (lines: string) => {
      const count = lines.split('\n').length - 1;
      this.#dropped += count;
      onDrop(count);
    });
    // A reader that has gone (EPIPE) must not end a mail server; its lines are lost, and counted.
    this.#destination.on('error', () => onDrop(1));
    this.#logger = new PinoLogger(level, limits.valueCharsMax, {}, { write: (line) => this.write(line) });
  }

  log(event: EventName, fields?: Fields): void {
    if (this.#dropped > 0) {
      const lines = this.#dropped;
      this.#dropped = 0;
      this.#logger.log('log-dropped', { lines });
    }
    this.#logger.log(event, fields);
  }

  /** Whole lines of a shard. */
  write(lines: string): void {
    if (!this.#ended) this.#destination.write(lines);
  }

  /** What is waiting leaves now, if it can; for the last words before an exit. */
  flush(): void {
    try {
      this.#destination.flushSync();
    } catch {
      // Standard output is gone, or not open yet; there is nobody to tell.
    }
  }

  /** Resolves when all is written, or cannot be. No line follows. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await new Promise<void>((resolve) => {
      this.#destination.once('close', resolve);
      this.#destination.once('error', () => resolve());
      this.#destination.end();
    });
  }
}
