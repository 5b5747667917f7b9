/**
 * POST to a filter that speaks HTTP, by a pool of undici: a small message in one piece with its length, a larger one
 * streams out in chunks as it arrives. The answer is read whole and bounded; one that comes before the end of the
 * content counts, and the connection then ends.
 */
import type * as Undici from 'undici';
import type { Dispatcher } from 'undici';
import { lazily } from '../base/lazy.ts';
import { utf8Octets } from '../base/text.ts';
import type { FilterConfigOf, HttpTarget } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import { FilterFailure } from './filter.ts';
import type { Gathered, Passage } from './passage.ts';
import type { Subject } from './protocol.ts';
import type { FilterNet } from './wire.ts';

const UNDICI = lazily<typeof Undici>('undici');

/** Below Node's own 5 s, so that a server does not close a connection just when it is used again. */
const KEEP_ALIVE_MS = 4000;
const ANSWER_HEADERS_BYTES_MAX = 16_384;

/**
 * A write in clear is then taken only when all of it has left, so that undici asks for the next piece when the memory
 * of the one before is free. TLS has a buffer all the same.
 */
const NO_BUFFER = { highWaterMark: undefined, writableHighWaterMark: 0 };

type HttpConfig = Pick<FilterConfigOf<'http'>, 'connectionsMax' | 'connectMs'> & { readonly at: HttpTarget };

export type Frame = { readonly before: Uint8Array; readonly behind: Uint8Array };
export type Answer = { readonly status: number; readonly answer: string };

type Found = (error: Error | null, addresses: { readonly address: string; readonly family: number }[]) => void;

export class HttpClient {
  readonly #config: HttpConfig;
  readonly #lookUp: FilterNet['lookUp'];
  #pool: Undici.Pool | null = null;

  constructor(config: HttpConfig, { lookUp }: FilterNet) {
    this.#config = config;
    this.#lookUp = lookUp;
  }

  #newPool(): Undici.Pool {
    const { at, connectionsMax, connectMs } = this.#config;
    const lookup = (host: string, _options: unknown, done: Found): void => {
      this.#lookUp(host).then((found) => {
        const addresses = found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        done(addresses.length === 0 ? new Error(`${host} has no address`) : null, addresses);
      });
    };
    return new (UNDICI().Pool)(at.origin, {
      connections: connectionsMax,
      connect: { timeout: connectMs, lookup: lookup as never, autoSelectFamily: true, ...NO_BUFFER },
      allowH2: false,
      ...(at.socketPath === undefined ? {} : { socketPath: at.socketPath }),
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: ANSWER_HEADERS_BYTES_MAX,
      headersTimeout: 0, // these two are the examination's matter
      bodyTimeout: 0,
    });
  }

  /** `headers` in pairs, texts of any kind; `before` and `behind` go round the content. */
  async post(
    { content, patience, onCut }: Subject,
    headers: readonly string[],
    frame: Frame | null,
    answerBytesMax: number = LIMITS.filterAnswerBytesMax,
  ): Promise<Answer> {
    const answer = new AnswerReader(answerBytesMax, () => patience.owe());
    const gathered = await content.gather(LIMITS.filterWholeBytes);
    const lent = this.#config.at.origin.startsWith('http:');
    const body = gathered.whole ? wholeBody(gathered, frame) : new Body(gathered.pieces, content, frame, lent);
    onCut(() => answer.abort());
    try {
      const options = {
        method: 'POST' as const,
        path: this.#config.at.path,
        headers: headers.map(headerText),
        body: body as never,
      };
      this.#pool ??= this.#newPool();
      this.#pool.dispatch(options, answer);
      return await answer.whole;
    } catch (error) {
      throw error instanceof FilterFailure ? error : failureOf(error as NodeJS.ErrnoException, answer.begun);
    } finally {
      content.drop();
    }
  }

  /** Who comes later gets a new pool, whose connections end by themselves when they are idle. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    await pool?.close();
  }
}

function wholeBody({ pieces, bytes }: Gathered, frame: Frame | null): Uint8Array {
  if (frame === null) return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, bytes);
  return Buffer.concat([frame.before, ...pieces, frame.behind]);
}

/** The content in its frame, as undici asks for it: once there is a connection, and as fast as that takes it. */
class Body implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  /** Of the content, what has been read before. */
  readonly #pieces: Uint8Array[];
  readonly #content: Passage;
  readonly #frame: Frame | null;
  readonly #lent: boolean;
  #state: 'before' | 'within' | 'over' = 'before';

  /** `lent`: with the next one asked for, a piece is needed no more. */
  constructor(pieces: Uint8Array[], content: Passage, frame: Frame | null, lent: boolean) {
    this.#pieces = pieces;
    this.#content = content;
    this.#frame = frame;
    this.#lent = lent;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#state === 'over') return { done: true, value: undefined };
    const before = this.#state === 'before' ? this.#frame?.before : undefined;
    this.#state = 'within';
    if (before !== undefined) return { done: false, value: before };
    if (this.#pieces.length === 0) this.#content.done();
    const chunk = this.#pieces.shift() ?? (await this.#content.read());
    if (chunk !== null) return { done: false, value: this.#lent ? chunk : Buffer.from(chunk) };
    this.#state = 'over';
    return this.#frame === null ? { done: true, value: undefined } : { done: false, value: this.#frame.behind };
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#state = 'over';
    return { done: true, value: undefined };
  }
}

/** Each piece of an answer is a sign of life. */
class AnswerReader implements Dispatcher.DispatchHandler {
  readonly #bytesMax: number;
  readonly #onLife: () => void;
  readonly #whole = Promise.withResolvers<Answer>();
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted = false;

  constructor(bytesMax: number, onLife: () => void) {
    this.#bytesMax = bytesMax;
    this.#onLife = onLife;
  }

  /** There is a connection, and the request on it. */
  get begun(): boolean {
    return this.#controller !== null;
  }

  get whole(): Promise<Answer> {
    return this.#whole.promise;
  }

  abort(failure = new FilterFailure('died', 'it was cut')): void {
    this.#aborted = true;
    this.#controller?.abort(failure);
    this.#whole.reject(failure);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(new FilterFailure('died', 'it was cut'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
    this.#onLife();
  }

  onResponseData(_controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes > this.#bytesMax) return this.abort(new FilterFailure('bounds', 'an answer that is too long'));
    this.#pieces.push(Buffer.from(piece)); // undici uses its memory again
    this.#onLife();
  }

  onResponseEnd(): void {
    const answer = Buffer.concat(this.#pieces, this.#bytes).toString('utf8');
    this.#whole.resolve({ status: this.#status, answer });
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#whole.reject(error);
  }
}

/** Octets of UTF-8, as one header line can carry them. */
const headerText = (text: string): string => utf8Octets(text.replace(/[\x00-\x1f\x7f]/g, '')).trim();

function failureOf(error: NodeJS.ErrnoException, begun: boolean): FilterFailure {
  const detail = error.code ?? error.message;
  if (!begun) return new FilterFailure('unreachable', detail);
  return new FilterFailure(/^HPE_|OVERFLOW/.test(error.code ?? '') ? 'malformed' : 'died', detail);
}
