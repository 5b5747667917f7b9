/**
 * A negotiated connection to a milter, and the few that wait for their next message.
 *
 *   open ─► negotiate ─► message ─► its end was answered with `continue`: idle ─┬─► MAIL, of the same session …
 *                          │                                                    └─► QUIT_NC, CONNECT: of another one …
 *                          └─► any other end: QUIT, closed
 *
 * libmilter takes a new connection (CONNECT after QUIT_NC) in that one state; after an `accept` it would ignore us.
 */
import type { FilterConfigOf } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import type { FilteredEnvelope } from './filter.ts';
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
export const QUIT_NEW_CONNECTION: Buffer = packet('quitNewConnection');
/** The version that has QUIT_NC for certain. */
const VERSION_TO_REUSE = 6;

export class MilterLink {
  readonly wire: Wire;
  readonly #packets = new PacketReader();
  #progress = 0;
  options!: MilterOptions;
  /** Of the last message that it has carried. */
  #last: FilteredEnvelope | null = null;

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

  /** What CONNECT and HELO have told: nothing, the same as they would of this message, or of somebody else. */
  told({ id, client, helo, tls, user }: FilteredEnvelope): 'nothing' | 'same' | 'other' {
    const last = this.#last;
    if (last === null) return 'nothing';
    const said = id === last.id && helo === last.helo && tls === last.tls && user === last.user;
    const { address, port, name, pointer } = last.client;
    const same = said && client.address === address && client.port === port;
    return same && client.name === name && client.pointer === pointer ? 'same' : 'other';
  }

  carried(envelope: FilteredEnvelope): void {
    this.#last = envelope;
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

  idleLink(envelope: FilteredEnvelope): MilterLink | null {
    return this.#idle.take((link) => link.told(envelope) === 'same');
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
  release(link: MilterLink, envelope: FilteredEnvelope, inStep: boolean): void {
    const kept = inStep && this.#reuse && link.clean && link.options.version >= VERSION_TO_REUSE;
    if (!kept || this.#idle.full) {
      link.wire.leave(inStep ? QUIT : ABORT_AND_QUIT);
      return;
    }
    link.carried(envelope);
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
