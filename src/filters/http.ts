/**
 * POST to a filter that speaks HTTP, by a pool of undici: content streams out in chunks as it arrives, the answer is
 * read whole and bounded. An answer that comes before the end of the content counts, and the connection then ends.
 */
import { Pool } from 'undici';
import type { FilterConfigOf, HttpTarget } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import { utf8Octets } from '../smtp/octets.ts';
import { FilterFailure } from './filter.ts';
import type { Passage } from './passage.ts';
import type { Subject } from './protocol.ts';
import type { FilterNet } from './wire.ts';

/** Below Node's own 5 s, so that a server does not close a connection just when it is used again. */
const KEEP_ALIVE_MS = 4000;
const ANSWER_HEADERS_BYTES_MAX = 16_384;

type HttpConfig = Pick<FilterConfigOf<'http'>, 'connectionsMax' | 'connectMs'> & { readonly at: HttpTarget };

type Found = (error: Error | null, addresses: { readonly address: string; readonly family: number }[]) => void;

export class HttpClient {
  readonly #pool: Pool;
  readonly #path: string;

  constructor({ at, connectionsMax, connectMs }: HttpConfig, { lookUp }: FilterNet) {
    this.#path = at.path;
    const lookup = (host: string, _options: unknown, done: Found): void => {
      lookUp(host).then((found) => {
        const addresses = found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        done(addresses.length === 0 ? new Error(`${host} has no address`) : null, addresses);
      });
    };
    this.#pool = new Pool(at.origin, {
      connections: connectionsMax,
      connect: { timeout: connectMs, lookup: lookup as never, autoSelectFamily: true },
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
    frame: { readonly before: Uint8Array; readonly behind: Uint8Array } | null,
    answerBytesMax: number = LIMITS.filterAnswerBytesMax,
  ): Promise<{ status: number; answer: string }> {
    const controller = new AbortController();
    onCut(() => controller.abort());
    let begun = false;
    async function* body() {
      begun = true;
      yield* framed(content, frame);
    }
    try {
      const response = await this.#pool.request({
        method: 'POST',
        path: this.#path,
        headers: headers.map(headerText),
        body: body() as never,
        signal: controller.signal,
      });
      patience.owe();
      const answer = await wholeText(response.body, answerBytesMax);
      return { status: response.statusCode, answer };
    } catch (error) {
      throw error instanceof FilterFailure ? error : failureOf(error as NodeJS.ErrnoException, begun);
    } finally {
      content.drop();
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

async function* framed(
  content: Passage,
  frame: { readonly before: Uint8Array; readonly behind: Uint8Array } | null,
): AsyncGenerator<Uint8Array> {
  if (frame !== null) yield frame.before;
  for (let chunk = await content.read(); chunk !== null; chunk = await content.read()) yield chunk;
  if (frame !== null) yield frame.behind;
}

async function wholeText(body: AsyncIterable<Buffer>, bytesMax: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new FilterFailure('bounds', 'an answer that is too long'); // undici hangs up
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Octets of UTF-8, as one header line can carry them. */
const headerText = (text: string): string => utf8Octets(text.replace(/[\x00-\x1f\x7f]/g, '')).trim();

/** Content is asked for once there is a connection. */
function failureOf(error: NodeJS.ErrnoException, begun: boolean): FilterFailure {
  const detail = error.code ?? error.message;
  if (!begun) return new FilterFailure('unreachable', detail);
  return new FilterFailure(/^HPE_|OVERFLOW/.test(error.code ?? '') ? 'malformed' : 'died', detail);
}
