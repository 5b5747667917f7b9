/**
 * A connection of a balancer until it has said whom it speaks for; then it is a session like any other. What comes
 * behind the header in the same read is the client's, and early talk where it would be (RFC 5321 §4.3.1).
 *
 *   reading ─► header ─► front_door.ts: who is it? ─► session
 *      │ garbage, too long, none in time    │ a stranger on an inside door, too many
 *      └────────────► one last line, and the connection is closed
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { CloseReason, ConnectionHandler } from '../net/connection.ts';
import { Connection } from '../net/connection.ts';
import type { Announced } from '../net/proxy_protocol.ts';
import { readProxyHeader } from '../net/proxy_protocol.ts';
import type { ReplyKey } from '../smtp/replies.ts';
import { REPLIES, replyLine } from '../smtp/replies.ts';
import type { Peer } from './front_door.ts';
import type { Relay } from './relay.ts';
import { InboundSession } from './session.ts';

export class BalancedConnection implements ConnectionHandler {
  readonly #relay: Relay;
  readonly #peer: Peer;
  readonly #connection: Connection;
  /** Less than a header, and one read. */
  #bytes: Buffer = Buffer.alloc(0);

  constructor(relay: Relay, socket: ConstructorParameters<typeof Connection>[0], peer: Peer) {
    this.#relay = relay;
    this.#peer = peer;
    this.#connection = new Connection(socket, relay.deadlines, this);
    this.#connection.setDeadline(LIMITS.proxyHeaderSeconds);
  }

  drain(): void {
    this.#refuse('shuttingDown');
  }

  destroy(): void {
    this.#connection.destroy();
  }

  onBytes(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const header = readProxyHeader(this.#bytes);
    if (header.tag === 'header') this.#admit(header.announced, this.#bytes.subarray(header.bytes));
    else if (header.tag === 'garbage') this.#refuse('badProxyHeader');
  }

  onDeadline(): void {
    this.#refuse('noProxyHeader');
  }

  onSlow(): void {}

  onTls(): void {}

  onClose(reason: CloseReason): void {
    this.#relay.sessionClosed(this, { ...this.#peer, countedKey: null }, reason);
  }

  #admit(announced: Announced, rest: Buffer): void {
    const relay = this.#relay;
    const caller = relay.frontDoor.behindBalancer(this.#peer, announced, monotonicMs());
    if (typeof caller === 'string') return this.#refuse(caller, announced);
    relay.sessions.delete(this);
    this.#connection.setDeadline(0);
    const session = new InboundSession(relay, this.#connection, caller);
    relay.sessions.add(session);
    if (rest.length > 0) session.onBytes(rest);
  }

  #refuse(key: ReplyKey, announced?: Announced): void {
    if (!this.#connection.open) return;
    const { address, door } = this.#peer;
    const client = announced?.tag === 'client' ? announced.address : address;
    this.#relay.metrics.refused(key);
    this.#relay.logger.log('connection-refused', {
      side: door,
      client,
      proxy: address,
      code: REPLIES[key][0],
      reason: key,
    });
    this.#connection.finish(replyLine(key, this.#relay.config.hostname));
  }
}
