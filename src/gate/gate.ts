/**
 * What becomes of a connection before a shard has it, one decision a step:
 *
 *   accept ─► whose side? ─► stopping? ─► pressed? ─► admission (total, client, rate) ─► least loaded shard
 *               │ stranger on an inside listener            │ no                     │ none ready
 *               └─────────────────► one last line, and the connection is closed ◄────┘
 *
 * A balancer that is to say whom it speaks for passes for its door's side, and as often as it likes: the shard reads
 * its word, and judges the client (relay/front_door.ts).
 *
 * Nothing is read here: that is for who has the connection in the end.
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Config } from '../config/options.ts';
import type { Side } from '../message/envelope.ts';
import type { Accepted } from '../net/accepted.ts';
import { socketOf } from '../net/accepted.ts';
import { clientKey, NetworkSet, normaliseAddress } from '../net/addresses.ts';
import { Admission } from '../policy/admission.ts';
import type { Deferral } from '../policy/pressure.ts';
import { judgeSide } from '../policy/side.ts';
import type { PressureWord } from '../relay/pressure_word.ts';
import { REPLIES, replyLine } from '../smtp/replies.ts';
import type { Logger } from '../telemetry/log.ts';
import type { CounterId, Metrics } from '../telemetry/metrics.ts';
import type { Listen } from './acceptor.ts';
import type { Listening } from './listeners.ts';
import { Listeners } from './listeners.ts';
import { Refusals } from './refusal.ts';
import type { Visitor } from './supervisor.ts';

/** Keys of the reply table. */
type GateReply =
  | 'insideOnly'
  | 'shuttingDown'
  | Deferral['connection']
  | 'tooManyConnections'
  | 'tooManyFromClient'
  | 'tooFastFromClient'
  | 'noShard'
  | 'shardBroken';

const COUNTED = {
  insideOnly: 'network',
  shuttingDown: 'stopping',
  closedForSpool: 'spool',
  closedForQueue: 'queue',
  closedForMemory: 'memory',
  tooManyConnections: 'total',
  tooManyFromClient: 'client',
  tooFastFromClient: 'rate',
  noShard: 'shard',
  shardBroken: 'shard',
} as const satisfies Record<GateReply, string>;

/** What the gate needs of the supervisor. */
export interface Dispatcher {
  dispatch(visitor: Visitor): boolean;
  /** Counts the sessions that shards have closed until now as ended. */
  hearClosings(): void;
  /** A shard is on its way; else all of them are broken. */
  readonly recovering: boolean;
}

export type GateSettings = {
  readonly config: Config;
  readonly dispatcher: Dispatcher;
  readonly pressure: Pick<PressureWord, 'deferral'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly listen: Listen;
};

export class Gate {
  readonly #config: Config;
  readonly #dispatcher: Dispatcher;
  readonly #pressure: GateSettings['pressure'];
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #admission: Admission;
  readonly #insideNetworks: NetworkSet;
  readonly #balancers: NetworkSet;
  readonly #refusals = new Refusals();
  readonly #listeners: Listeners;
  #stopping = false;

  constructor({ config, dispatcher, pressure, metrics, logger, listen }: GateSettings) {
    this.#config = config;
    this.#dispatcher = dispatcher;
    this.#pressure = pressure;
    this.#metrics = metrics;
    this.#logger = logger;
    this.#admission = new Admission({ ...config, clientsTrackedMax: LIMITS.clientsTrackedMax });
    this.#insideNetworks = new NetworkSet(config.insideNetworks);
    this.#balancers = new NetworkSet(config.proxyNetworks);
    this.#listeners = new Listeners(
      listen,
      (accepted, address, side, local) => this.#accept(accepted, normaliseAddress(address), side, local),
      (local, detail) => logger.log('listener-failed', { local, detail }),
    );
  }

  get clients(): number {
    return this.#admission.clients;
  }

  /** Rejects with StartFailure. */
  listen(): Promise<Listening> {
    const { outsideListen: outside, insideListen: inside } = this.#config;
    return this.#listeners.listen({ outside, inside });
  }

  sessionEnded(key: string): void {
    this.#admission.release(key, monotonicMs());
  }

  /** No address is held any more; who was accepted in this very moment is told so. */
  stop(): void {
    this.#stopping = true;
    this.#listeners.close();
  }

  /** Ends what still lingers. */
  close(): void {
    this.#refusals.destroy();
  }

  #accept(accepted: Accepted, address: string, door: Side, local: string): void {
    const key = clientKey(address);
    const refusal = this.#place(accepted, address, door, local, key);
    if (refusal === null) return;
    this.#metrics.count(counterOf(door, refusal));
    const reason: string = refusal;
    this.#logger.log('connection-refused', { side: door, client: address, code: REPLIES[refusal][0], reason });
    this.#refusals.refuse(socketOf(accepted), replyLine(refusal, this.#config.hostname));
  }

  /** Null: a shard has it. */
  #place(accepted: Accepted, address: string, door: Side, local: string, key: string): GateReply | null {
    const balanced = this.#balancers.contains(address);
    const isInside = this.#insideNetworks.contains(address);
    const side = balanced ? door : judgeSide({ door, isInside, insideOnOutside: this.#config.insideOnOutside });
    if (side === null) return 'insideOnly';
    if (this.#stopping) return 'shuttingDown';
    const deferral = this.#pressure.deferral(side);
    if (deferral !== null) return deferral.connection;
    this.#dispatcher.hearClosings();
    const refusal = this.#admission.admit(key, monotonicMs(), balanced);
    if (refusal !== null) return refusal;
    if (!this.#dispatcher.dispatch({ accepted, door: { address, door, side, balanced, local }, clientKey: key })) {
      this.#admission.release(key, monotonicMs());
      return this.#dispatcher.recovering ? 'noShard' : 'shardBroken';
    }
    this.#metrics.count(side === 'outside' ? 'connections_accepted_outside' : 'connections_accepted_inside');
    return null;
  }
}

function counterOf(door: Side, refusal: GateReply): CounterId {
  const counted = COUNTED[refusal];
  return counted === 'network' ? 'connections_refused_inside_network' : `connections_refused_${door}_${counted}`;
}
