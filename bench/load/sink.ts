/**
 * The SMTP (or LMTP) sink: takes all mail, checks stamped messages, counts. A module (`Sink.listen`), and a program:
 *
 *   node bench/load/sink.ts --port 2600 [--host 127.0.0.1] [--lmtp] [--without CHUNKING,DSN] [--end-delay-ms 5]
 *        [--refuse-mail 451:0.1] [--refuse-rcpt 550:0.01] [--refuse-end 452:1]
 *        [--tls-cert FILE --tls-key FILE] [--json]
 *
 * The program prints its counts at SIGUSR2, and at SIGTERM or SIGINT before it ends. As a forked child it takes
 * calls of `SinkApi` instead (see child.ts).
 */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { parseArgs } from 'node:util';
import { Arrivals, type RunCounts, type SinkStats } from './arrivals.ts';
import { ArrivalsFile } from './arrivals_file.ts';
import type { Bitmap } from './bitmap.ts';
import { CHILD_FLAG, serve } from './child.ts';
import { type Behaviour, type Delivered, type Extension, type Refusal, SinkSession, Turns } from './sink_session.ts';

export type { RunCounts, SinkStats } from './arrivals.ts';
export type { Delivered, Extension, Refusal } from './sink_session.ts';

export type SinkOptions = {
  readonly host?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly lmtp?: boolean;
  readonly without?: readonly Extension[];
  readonly messageBytesMax?: number;
  readonly endDelayMs?: number;
  readonly refuseMail?: Refusal;
  readonly refuseRcpt?: Refusal;
  readonly refuseEnd?: Refusal;
  /** PEM texts; without them STARTTLS is not offered. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly onMessage?: (message: Delivered) => void;
  /** Each message is a line in this file before its 250 leaves (arrivals_file.ts); replaces `onMessage`. */
  readonly arrivalsFile?: string;
};

const EXTENSIONS: readonly Extension[] = [
  'PIPELINING',
  'SIZE',
  '8BITMIME',
  'SMTPUTF8',
  'CHUNKING',
  'DSN',
  'ENHANCEDSTATUSCODES',
];

export class Sink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #behaviour: Behaviour;
  #arrivals = new Arrivals();

  private constructor(options: SinkOptions) {
    const extensions = new Set<Extension>(options.tls === undefined ? EXTENSIONS : [...EXTENSIONS, 'STARTTLS']);
    for (const extension of options.without ?? []) extensions.delete(extension);
    this.#behaviour = {
      hostname: options.hostname ?? 'sink.example',
      lmtp: options.lmtp ?? false,
      extensions,
      messageBytesMax: options.messageBytesMax ?? 100 * 1_048_576,
      endDelayMs: options.endDelayMs ?? 0,
      refuseMail: new Turns(options.refuseMail),
      refuseRcpt: new Turns(options.refuseRcpt),
      refuseEnd: new Turns(options.refuseEnd),
      tls: options.tls === undefined ? undefined : createSecureContext(options.tls),
      onMessage: options.arrivalsFile === undefined ? options.onMessage : intoFile(options.arrivalsFile),
    };
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

function intoFile(path: string): (message: Delivered) => void {
  const file = new ArrivalsFile(path);
  return (message) => file.add(message);
}

/** `451:0.25`: refuse a quarter with 451. */
function refusal(name: string, text: string | undefined): Refusal | undefined {
  if (text === undefined) return undefined;
  const match = /^([45]\d\d)(?::(\d*\.?\d+))?$/.exec(text);
  if (match === null) throw new Error(`--${name}: CODE:SHARE expected, as 451:0.25`);
  return { code: Number(match[1]), share: Number(match[2] ?? 1) };
}

function optionsFromArguments(args: string[]): { options: SinkOptions; json: boolean } {
  const { values } = parseArgs({
    args,
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '2600' },
      hostname: { type: 'string', default: 'sink.example' },
      lmtp: { type: 'boolean', default: false },
      without: { type: 'string', default: '' },
      'end-delay-ms': { type: 'string', default: '0' },
      'refuse-mail': { type: 'string' },
      'refuse-rcpt': { type: 'string' },
      'refuse-end': { type: 'string' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const refuseMail = refusal('refuse-mail', values['refuse-mail']);
  const refuseRcpt = refusal('refuse-rcpt', values['refuse-rcpt']);
  const refuseEnd = refusal('refuse-end', values['refuse-end']);
  const cert = values['tls-cert'];
  const key = values['tls-key'];
  const options: SinkOptions = {
    host: values.host,
    port: Number(values.port),
    hostname: values.hostname,
    lmtp: values.lmtp,
    without: values.without.split(',').filter((name) => name !== '') as Extension[],
    endDelayMs: Number(values['end-delay-ms']),
    ...(refuseMail && { refuseMail }),
    ...(refuseRcpt && { refuseRcpt }),
    ...(refuseEnd && { refuseEnd }),
    ...(cert && key && { tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') } }),
  };
  return { options, json: values.json };
}

function summaryOf(stats: SinkStats): string {
  const lines = [
    `${stats.messages} messages, ${stats.recipients} recipients, ${stats.bytes} bytes, ` +
      `${stats.connections} connections, ${stats.unstamped} without a stamp`,
  ];
  for (const run of stats.runs) {
    const id = run.run.toString(16).padStart(8, '0');
    const p99Ms = (run.endToEnd.p99Us / 1000).toFixed(1);
    lines.push(`run ${id}: ${run.distinct} distinct, ${run.duplicates} twice, ${run.altered} altered, p99 ${p99Ms} ms`);
  }
  return `${lines.join('\n')}\n`;
}

async function program(): Promise<void> {
  const { options, json } = optionsFromArguments(process.argv.slice(2));
  const sink = await Sink.listen(options);
  const print = (): void => {
    process.stdout.write(json ? `${JSON.stringify(sink.stats())}\n` : summaryOf(sink.stats()));
  };
  process.on('SIGUSR2', print);
  const end = (): void => {
    print();
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.stdout.write(json ? `${JSON.stringify({ port: sink.port })}\n` : `listening on ${sink.host}:${sink.port}\n`);
}

/** What the program answers as a forked child. */
export type SinkApi = {
  readonly listen: (options: SinkOptions) => Promise<{ readonly host: string; readonly port: number }>;
  readonly stats: (nothing: undefined) => SinkStats;
  readonly counts: (run: number) => RunCounts;
  /** The bits of a run's numbers that came intact: `new Bitmap(bytes)`. */
  readonly seen: (run: number) => Uint8Array;
};

function childApi(): SinkApi {
  let sink: Sink | undefined;
  const listening = (): Sink => {
    if (sink === undefined) throw new Error('the sink does not listen yet');
    return sink;
  };
  return {
    listen: async (options) => {
      sink = await Sink.listen(options);
      return { host: sink.host, port: sink.port };
    },
    stats: () => listening().stats(),
    counts: (run) => listening().counts(run),
    seen: (run) => listening().seen(run).bytes(),
  };
}

if (import.meta.main) {
  if (process.argv[2] === CHILD_FLAG) serve(childApi());
  else await program();
}
