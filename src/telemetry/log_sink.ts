/**
 * Where all log lines of the process end: standard output, written in the background by pino's destination, so that a
 * reader who is slow, or has gone, stops nobody. It is loaded on the main thread only.
 */
import pino from 'pino';
import type { EventName, Level } from './events.ts';
import type { Fields, Logger, LogLimits } from './log.ts';
import { LineLogger } from './log.ts';

/** The main thread's logger and the only writer of standard output. */
export class LogSink implements Logger {
  readonly #destination: ReturnType<typeof pino.destination>;
  readonly #logger: LineLogger;
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
    this.#logger = new LineLogger(level, limits.valueCharsMax, {}, (line) => this.write(line));
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
