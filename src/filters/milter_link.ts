/**
 * A negotiated connection to a milter, and the few that wait for their next message.
 *
 *   open ─► negotiate ─► message ─► its end was answered with `continue`: QUIT_NC, idle ─► message …
 *                          └─► any other end: QUIT, closed
 *
 * libmilter takes a new connection (CONNECT after QUIT_NC) in that one state; after an `accept` it would ignore us.
 */
import type { FilterConfigOf } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import { FilterFailure, malformed } from './filter.ts';
import { IdleLinks } from './idle_links.ts';
import { MilterOptions, OFFER } from './milter_options.ts';
import type { Packet } from './milter_packets.ts';
import { PacketReader, packet } from './milter_packets.ts';
import type { Patience } from './patience.ts';
import type { Subject } from './protocol.ts';
import type { FilterNet, Wire } from './wire.ts';
import { openWire } from './wire.ts';

const QUIT = packet('quit');
const ABORT_AND_QUIT = Buffer.concat([packet('abort'), QUIT]);
const QUIT_NEW_CONNECTION = packet('quitNewConnection');
/** The version that has QUIT_NC for certain. */
const VERSION_TO_REUSE = 6;

export class MilterLink {
  readonly wire: Wire;
  readonly #packets = new PacketReader();
  #progress = 0;
  options!: MilterOptions;
  /** It has carried a message before. */
  used = false;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  /** The next reply that is not about progress; each of those is a sign of life. */
  reply(patience: Patience): Packet | Promise<Packet> {
    return this.#next(patience) ?? this.#awaited(patience);
  }

  #next(patience: Patience): Packet | null {
    for (let next = this.#packets.next(); next !== null; next = this.#packets.next()) {
      patience.owe();
      if (next.tag !== 'progress') return next;
      if (++this.#progress > LIMITS.milterProgressMax) throw malformed('progress without end');
    }
    return null;
  }

  async #awaited(patience: Patience): Promise<Packet> {
    for (;;) {
      const bytes = await this.wire.read();
      if (bytes === null) throw new FilterFailure('died', 'it hung up in the middle');
      this.#packets.feed(bytes);
      const next = this.#next(patience);
      if (next !== null) return next;
    }
  }

  /** Nothing of the filter's is left over: the two are in step. */
  get clean(): boolean {
    return this.#packets.pending === 0 && !this.wire.heard;
  }

  nextMessage(): void {
    this.used = true;
    this.#progress = 0;
  }
}

export class MilterPool {
  readonly #config: FilterConfigOf<'milter'>;
  readonly #net: FilterNet;
  readonly #idle = new IdleLinks<MilterLink>(LIMITS.filterIdleSeconds);
  #reuse = true;

  constructor(config: FilterConfigOf<'milter'>, net: FilterNet) {
    this.#config = config;
    this.#net = net;
  }

  idleLink(): MilterLink | null {
    return this.#idle.take();
  }

  async open({ patience, onCut }: Subject): Promise<MilterLink> {
    const wire = await openWire(this.#config.at, this.#net, (opening) => onCut(() => opening.cut()));
    const link = new MilterLink(wire);
    patience.owe();
    wire.send(OFFER);
    const answer = await link.reply(patience);
    if (answer.tag !== 'negotiate') throw new FilterFailure('error', `it refuses to negotiate: ${answer.tag}`);
    link.options = new MilterOptions(answer.fields);
    return link;
  }

  /** After a message that has ended well; `inStep`: its end was answered with `continue`. */
  release(link: MilterLink, inStep: boolean): void {
    const kept = inStep && this.#reuse && link.clean && link.options.version >= VERSION_TO_REUSE;
    if (!kept || this.#idle.full) {
      link.wire.leave(inStep ? QUIT : ABORT_AND_QUIT);
      return;
    }
    link.wire.send(QUIT_NEW_CONNECTION);
    link.nextMessage();
    this.#idle.put(link);
  }

  abandon(link: MilterLink): void {
    link.wire.leave(ABORT_AND_QUIT);
  }

  /** A filter was silent on a connection that had carried a message: it does not know how to go on. */
  neverAgain(): void {
    this.#reuse = false;
  }

  close(): void {
    this.#reuse = false;
    for (const { wire } of this.#idle.takeAll()) wire.leave(QUIT);
  }
}
