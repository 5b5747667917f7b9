/**
 * Connections that wait for their next message, a few of them and for a while. One that hangs up or speaks meanwhile is
 * of no use any more.
 */
import { LIMITS } from '../config/limits.ts';
import type { Wire } from './wire.ts';

type Link = { readonly wire: Wire };

export class IdleLinks<L extends Link> {
  readonly #links: L[] = [];
  readonly #seconds: number;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  get full(): boolean {
    return this.#links.length >= LIMITS.filterIdleConnectionsMax;
  }

  put(link: L): void {
    const { wire } = link;
    wire.idle(this.#seconds);
    wire.onUnasked = () => {
      const at = this.#links.indexOf(link);
      if (at !== -1) this.#links.splice(at, 1);
      wire.cut();
    };
    this.#links.push(link);
  }

  /** One that is just right; else the one that was used last, which has had the least time to die. */
  take(isRight: (link: L) => boolean = () => true): L | null {
    const at = this.#links.findLastIndex(isRight);
    const [link] = this.#links.splice(at === -1 ? this.#links.length - 1 : at, 1);
    if (link === undefined) return null;
    link.wire.onUnasked = null;
    link.wire.idle(0);
    return link;
  }

  takeAll(): L[] {
    const all: L[] = [];
    for (let link = this.take(); link !== null; link = this.take()) all.push(link);
    return all;
  }
}
