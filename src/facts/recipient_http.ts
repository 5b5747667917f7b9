/**
 * A web server that knows the recipients: `GET URL?address=…`; the status alone is the answer, a body is not read.
 * undici keeps the connections, asks again for nobody, and follows no redirect: what is elsewhere is not the answer.
 */
import type * as Undici from 'undici';
import { lazily } from '../base/lazy.ts';
import type { HttpText } from '../config/policy/recipients.ts';
import type { Dns } from '../net/dns.ts';
import { lookupBy } from '../net/lookup.ts';
import type { Directory, Knowledge } from './recipients.ts';

const UNDICI = lazily<typeof Undici>('undici');

export class HttpDirectory implements Directory {
  readonly #settings: HttpText;
  readonly #dns: Dns;
  #agent: Undici.Agent | null = null;

  constructor(settings: HttpText, dns: Dns) {
    this.#settings = settings;
    this.#dns = dns;
  }

  #newAgent(): Undici.Agent {
    const { timeoutMs, connectionsMax, ca } = this.#settings;
    return new (UNDICI().Agent)({
      connections: connectionsMax,
      connect: { timeout: timeoutMs, lookup: lookupBy(this.#dns), ...(ca === undefined ? {} : { ca }) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxHeaderSize: 16_384,
    });
  }

  async knows(address: string): Promise<Knowledge> {
    const { url: text, token, timeoutMs } = this.#settings;
    const url = new URL(text);
    url.searchParams.set('address', address);
    const deadline = AbortSignal.timeout(timeoutMs);
    this.#agent ??= this.#newAgent();
    try {
      const { statusCode, body } = await UNDICI().request(url, {
        dispatcher: this.#agent,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        signal: deadline,
      });
      // Small bodies are read away so that the connection can serve again; a large one ends it.
      await body.dump({ limit: 16_384, signal: deadline }).catch(() => {});
      if (statusCode === 200 || statusCode === 204) return { known: true };
      if (statusCode === 404 || statusCode === 410) return { known: false };
      return { trouble: `the server answered ${statusCode}` };
    } catch (error) {
      if (deadline.aborted) return { trouble: 'no answer in time' };
      return { trouble: `the server cannot be asked (${(error as NodeJS.ErrnoException).code ?? 'failed'})` };
    }
  }

  /** Who is being asked answers still, and others may be asked: a transaction keeps the policy that it began with. */
  close(): void {
    this.#agent?.close().catch(() => {});
    this.#agent = null;
  }
}
