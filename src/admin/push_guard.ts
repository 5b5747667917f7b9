/**
 * Who may push over TCP: whoever has the token of POSTERN_ADMIN_TOKEN_FILE, as a bearer's (RFC 6750 §2.1). Who is wrong
 * too often is not listened to for a while, whatever he brings, so that his guesses are few, and our lines about them.
 *
 *   wrong, wrong, … ─► pushFailuresMax within pushFailuresMs ─► locked, until that time is over
 *   right ─► forgotten
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { AdminToken } from '../config/token_file.ts';
import { clientKey, normaliseAddress } from '../net/addresses.ts';

export type Admission = 'admitted' | 'wrong' | 'locked';

type Failures = { count: number; readonly endMs: number };

const BEARER = /^Bearer +(\S+)$/i;

export class PushGuard {
  /** Asked each time: SIGHUP may bring another one. */
  readonly #token: () => AdminToken;
  readonly #nowMs: () => number;
  /** By client (/32, /64), the one that failed first in front. */
  readonly #failures = new Map<string, Failures>();

  constructor(token: () => AdminToken, nowMs: () => number = monotonicMs) {
    this.#token = token;
    this.#nowMs = nowMs;
  }

  /** `authorization` is the header of that name. */
  admit(address: string, authorization: string | undefined): Admission {
    const client = clientKey(normaliseAddress(address));
    const failures = this.#current(client);
    if (failures !== null && failures.count >= LIMITS.pushFailuresMax) return 'locked';
    const offered = BEARER.exec(authorization ?? '')?.[1];
    if (offered !== undefined && this.#token().matches(offered)) {
      this.#failures.delete(client);
      return 'admitted';
    }
    if (failures === null) this.#begin(client);
    else failures.count++;
    return 'wrong';
  }

  #current(client: string): Failures | null {
    const failures = this.#failures.get(client);
    if (failures === undefined || this.#nowMs() < failures.endMs) return failures ?? null;
    this.#failures.delete(client);
    return null;
  }

  #begin(client: string): void {
    if (this.#failures.size === LIMITS.pushFailingClientsMax) {
      const [first] = this.#failures.keys();
      this.#failures.delete(first!);
    }
    this.#failures.set(client, { count: 1, endMs: this.#nowMs() + LIMITS.pushFailuresMs });
  }
}
