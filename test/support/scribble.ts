/**
 * Loaded before a Postern under test: what a connection lends to its owner is overwritten when the owner has had it, as
 * the next read would, so that whoever kept it instead of a copy is found out.
 */
import { isMainThread } from 'node:worker_threads';
import type { ConnectionHandler } from '../../src/net/connection.ts';

const FILLER = 0x2a;

export function scribbleOver(owner: Pick<ConnectionHandler, 'onBytes'>): void {
  const { onBytes } = owner;
  owner.onBytes = function (this: ConnectionHandler, chunk: Buffer) {
    const lent = Buffer.from(chunk);
    onBytes.call(this, lent);
    lent.fill(FILLER);
  };
}

if (!isMainThread) {
  const { InboundSession } = await import('../../src/relay/session.ts');
  const { BalancedConnection } = await import('../../src/relay/balanced.ts');
  const { DeliveryConnection } = await import('../../src/relay/delivery.ts');
  const { CalloutSession } = await import('../../src/facts/callout_session.ts');
  const { Wire } = await import('../../src/filters/wire.ts');
  for (const each of [InboundSession, BalancedConnection, DeliveryConnection, CalloutSession, Wire])
    scribbleOver(each.prototype);
}
