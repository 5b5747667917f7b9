/** What one session came to, for its log line when it is over. */
import { monotonicMs } from '../base/clock.ts';
import type { CloseReason, Connection } from '../net/connection.ts';
import type { ReplyKey } from '../smtp/replies.ts';
import type { Hello } from '../smtp/session.ts';
import type { Caller } from './front_door.ts';
import { loggedCaller } from './front_door.ts';
import type { Relay } from './relay.ts';

export class SessionAccount {
  readonly startedMs = monotonicMs();
  bytes = 0;
  messages = 0;
  /** Why we ended it; '' where the client did. */
  ending: ReplyKey | '' = '';
  #refusals = 0;
  #lastRefusal: ReplyKey | '' = '';

  refused(key: ReplyKey): void {
    this.#refusals++;
    this.#lastRefusal = key;
  }

  log(
    relay: Relay,
    session: string,
    caller: Caller,
    hello: Hello | null,
    connection: Connection,
    close: { readonly reason: CloseReason; readonly detail: string },
  ): void {
    const { reason, detail } = close;
    relay.logger.log('session', {
      session,
      ...loggedCaller(caller),
      helo: hello?.client ?? '',
      tls: connection.secure !== null,
      messages: this.messages,
      refusals: this.#refusals,
      ...(this.#lastRefusal === '' ? {} : { lastRefusal: this.#lastRefusal }),
      bytes: this.bytes,
      end: this.ending === '' ? reason : this.ending,
      ...(detail === '' || this.ending !== '' ? {} : { detail }),
      ms: Math.round(monotonicMs() - this.startedMs),
    });
  }
}
