/** Whose side a client is on: by the door that it came to, and its own address; never that of who speaks for it. */
import type { Side } from '../message/envelope.ts';

export type Arrival = {
  /** The side of the listener. */
  readonly door: Side;
  /** The client's own address is one of the inside networks. */
  readonly isInside: boolean;
  /** Inside clients are inside on the outside door, too. */
  readonly insideOnOutside: boolean;
};

/** Null: a stranger on an inside door. */
export function judgeSide({ door, isInside, insideOnOutside }: Arrival): Side | null {
  if (door === 'inside') return isInside ? 'inside' : null;
  return isInside && insideOnOutside ? 'inside' : 'outside';
}
