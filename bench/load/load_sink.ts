/** The sink: takes all mail, checks stamped messages, counts. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Arrivals, type RunCounts, type SinkStats } from './arrivals.ts';
import { ArrivalsFile } from './arrivals_file.ts';
import type { Bitmap } from './bitmap.ts';
import { KeptMail } from './kept_mail.ts';
import {
  type Behaviour,
  type Delay,
  type Delivered,
  EXTENSIONS,
  type Extension,
  REFUSABLE,
  type Refusable,
  type Refusal,
  type Stage,
  Turns,
} from './sink_behaviour.ts';
import { SinkSession } from './sink_session.ts';

export type SinkOptions = {
  readonly host?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly lmtp?: boolean;
  readonly without?: readonly Extension[];
  readonly delays?: Readonly<Partial<Record<Stage, Delay>>>;
  readonly refuse?: Readonly<Partial<Record<Refusable, readonly Refusal[]>>>;
  /** 552 above it; what SIZE says is believed where this is given. */
  readonly messageBytesMax?: number;
  readonly recipientsMax?: number;
  readonly messagesPerConnectionMax?: number;
  readonly connectionsMax?: number;
  /** Of all connections; 452 then. */
  readonly messagesMax?: number;
  /** PEM texts; without them STARTTLS is not offered. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly implicitTls?: boolean;
  readonly onMessage?: (message: Delivered) => void;
  /** Each message is a line in this file before its 250 leaves (arrivals_file.ts). */
  readonly arrivalsFile?: string;
  /** kept_mail.ts. */
  readonly storeFolder?: string;
  readonly checksumsFile?: string;
};

const MESSAGE_BYTES_MAX = 100 << 20;

export class Sink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #behaviour: Behaviour;
  #arrivals = new Arrivals();

  private constructor(options: SinkOptions) {
    this.#behaviour = behaviourOf(options);
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      new SinkSession(socket, this.#behaviour, this.#arrivals);
    });
  }

  /** Rejects where the address is taken. */
  static async listen(options: SinkOptions = {}): Promise<Sink> {
    const sink = new Sink(options);
    await new Promise<void>((resolve, reject) => {
      sink.#server.once('error', reject);
      sink.#server.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0, backlog: 4096 }, resolve);
    });
    return sink;
  }

  get host(): string {
    return (this.#server.address() as AddressInfo).address;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stats(): SinkStats {
    return this.#arrivals.stats();
  }

  counts(run: number): RunCounts {
    return this.#arrivals.counts(run);
  }

  /** The numbers of a run that came intact. */
  seen(run: number): Bitmap {
    return this.#arrivals.seen(run);
  }

  /** Cuts all connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

function behaviourOf(options: SinkOptions): Behaviour {
  const extensions = new Set<Extension>(EXTENSIONS);
  for (const extension of options.without ?? []) extensions.delete(extension);
  const implicitTls = options.implicitTls ?? false;
  if (options.tls === undefined || implicitTls) extensions.delete('STARTTLS');
  const { refuse = {} } = options;
  return {
    hostname: options.hostname ?? 'sink.example',
    lmtp: options.lmtp ?? false,
    extensions,
    messageBytesMax: options.messageBytesMax ?? MESSAGE_BYTES_MAX,
    checksSize: options.messageBytesMax !== undefined,
    recipientsMax: options.recipientsMax ?? Number.POSITIVE_INFINITY,
    messagesPerConnectionMax: options.messagesPerConnectionMax ?? Number.POSITIVE_INFINITY,
    connectionsMax: options.connectionsMax ?? Number.POSITIVE_INFINITY,
    messagesMax: options.messagesMax ?? Number.POSITIVE_INFINITY,
    delays: options.delays,
    refuse: Object.fromEntries(REFUSABLE.map((stage) => [stage, new Turns(refuse[stage])])) as Record<Refusable, Turns>,
    tls: options.tls === undefined ? undefined : createSecureContext(options.tls),
    implicitTls,
    onMessage: keepersOf(options),
  };
}

/** All who want each message, or undefined: then none is kept in memory. */
function keepersOf(options: SinkOptions): ((message: Delivered) => void) | undefined {
  const { onMessage, arrivalsFile, storeFolder, checksumsFile } = options;
  const keepers = onMessage === undefined ? [] : [onMessage];
  if (arrivalsFile !== undefined) {
    const file = new ArrivalsFile(arrivalsFile);
    keepers.push((message) => file.add(message));
  }
  if (storeFolder !== undefined || checksumsFile !== undefined) {
    const kept = new KeptMail(storeFolder, checksumsFile);
    keepers.push((message) => kept.add(message));
  }
  if (keepers.length === 0) return undefined;
  return (message) => {
    for (const keep of keepers) keep(message);
  };
}
