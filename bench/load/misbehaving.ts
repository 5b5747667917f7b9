/**
 * Connections that do what a good client never does, beside the load and without any part in its figures: a server is
 * to bear them, and the good ones are to notice nothing. Each connection plays one part of the table after the other.
 *
 *   connect ─► [banner] ─► the part's bytes, at once or one at a time ─► hangs up, or waits for the server to
 */
import { connect, type Socket } from 'node:net';

export type PartName = keyof typeof PARTS;
export type PartCounts = {
  /** Connections that were made. */
  readonly connections: number;
  readonly bytes: number;
  /** The server ended it. */
  readonly cut: number;
  readonly replies: Readonly<Record<string, number>>;
};

type Part = {
  /** Talks before the banner has come. */
  readonly early: boolean;
  /** A byte now and then instead of all at once. */
  readonly dribbles: boolean;
  /** Hangs up when this reply has come; 0: the server is to end it. */
  readonly hangsUpAt: number;
  readonly bytes: Buffer;
};

const ENVELOPE = 'EHLO misbehaving.example\r\nMAIL FROM:<rogue@source.example>\r\nRCPT TO:<user0@example.org>\r\n';
const part = (text: string, how: Partial<Omit<Part, 'bytes'>> = {}): Part => ({
  early: false,
  dribbles: false,
  hangsUpAt: 0,
  bytes: Buffer.from(text, 'latin1'),
  ...how,
});

/** Long enough for hours of a byte a second. */
const SLOW_CONTENT = 'Subject: slowly\r\n\r\n'.padEnd(65_536, 'slow loris\r\n');

const PARTS = {
  slow: part(`${ENVELOPE}DATA\r\n${SLOW_CONTENT}`, { dribbles: true }),
  'talks before the banner': part(`${ENVELOPE}QUIT\r\n`, { early: true }),
  'hangs up within content': part(`${ENVELOPE}DATA\r\nSubject: half\r\n\r\nhalf a li`, { hangsUpAt: 354 }),
  'commands out of order': part(
    `RCPT TO:<user0@example.org>\r\nDATA\r\n${ENVELOPE}MAIL FROM:<>\r\nEHLO again\r\nDATA\r\nQUIT\r\n`,
  ),
  'unknown commands': part(`EHLO misbehaving.example\r\n${'XYZZY plugh\r\n'.repeat(30)}QUIT\r\n`),
  'a line without an end': part(`EHLO ${'x'.repeat(70_000)}`),
  'bare line ends': part(
    `${ENVELOPE}DATA\r\nSubject: smuggled\n\nbody\n.\nMAIL FROM:<smuggled@source.example>\n\r\n.\r\nQUIT\r\n`,
  ),
  'bytes at random': part(
    String.fromCharCode(...Array.from({ length: 4096 }, (_, i) => ((i * i * 7919 + i * 104_729) >>> 5) & 255)),
  ),
  'TLS on a plain port': part('\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03'.padEnd(52, '\x00')),
  HTTP: part('GET / HTTP/1.1\r\nHost: mail.example\r\n\r\n', { early: true }),
} as const satisfies Record<string, Part>;

const ROGUE_PARTS = (Object.keys(PARTS) as PartName[]).filter((name) => name !== 'slow');

export type MisbehavingSettings = {
  readonly host: string;
  readonly port: number;
  /** How many of either kind. */
  readonly slow: number;
  readonly rogue: number;
  readonly slowByteMs: number;
};

/** A connection that waits for the server to end it is ended all the same after so long. */
const PATIENCE_MS = 5_000;
/** A rogue that came back at once would be a flood, and measure nothing but itself. */
const BETWEEN_MS = 50;
const CODES_MAX = 1_000;

export class Misbehaving {
  readonly #settings: MisbehavingSettings;
  readonly #counts = new Map<
    PartName,
    { connections: number; bytes: number; cut: number; replies: Record<string, number> }
  >();
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(settings: MisbehavingSettings) {
    this.#settings = settings;
  }

  start(): void {
    for (let i = 0; i < this.#settings.slow; i++) this.#play(['slow'], 0);
    for (let i = 0; i < this.#settings.rogue; i++) this.#play(ROGUE_PARTS, i);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  counts(): Readonly<Record<string, PartCounts>> {
    return Object.fromEntries([...this.#counts].map(([name, counts]) => [name, structuredClone(counts)]));
  }

  /** One connection of the part whose turn it is, and the next when it is over. */
  #play(names: readonly PartName[], turn: number): void {
    const name = names[turn % names.length] ?? 'slow';
    const { early, dribbles, hangsUpAt, bytes }: Part = PARTS[name];
    const counts = this.#countsOf(name);
    const { host, port, slowByteMs } = this.#settings;
    const socket = connect({ host, port, noDelay: true });
    this.#sockets.add(socket);
    let sent = 0;
    let timer: NodeJS.Timeout | undefined;
    let over = true; // until it is connected: what could not be made was not cut
    const send = (count: number): void => {
      counts.bytes += Math.min(count, bytes.length - sent);
      socket.write(bytes.subarray(sent, sent + count));
      sent += count;
      if (sent < bytes.length) timer = this.#later(slowByteMs, () => send(1));
      else timer = this.#later(PATIENCE_MS, finish);
    };
    const begin = (): void => send(dribbles ? 1 : bytes.length);
    const finish = (): void => {
      over = true;
      socket.destroy();
    };
    socket.once('connect', () => {
      counts.connections++;
      over = false;
      if (early) begin();
      else timer = this.#later(PATIENCE_MS, finish);
    });
    let greeted = early;
    socket.on('data', (chunk: Buffer) => {
      for (const [, code] of chunk.toString('latin1').matchAll(/(?:^|\n)(\d{3}) /g)) {
        this.#replied(counts.replies, code);
        if (Number(code) === hangsUpAt) finish();
      }
      if (greeted) return;
      greeted = true;
      this.#cancel(timer);
      begin();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#cancel(timer);
      this.#sockets.delete(socket);
      if (this.#stopped) return;
      if (!over) counts.cut++;
      this.#later(BETWEEN_MS, () => this.#play(names, turn + 1));
    });
  }

  #replied(replies: Record<string, number>, code = ''): void {
    if (code in replies || Object.keys(replies).length < CODES_MAX) replies[code] = (replies[code] ?? 0) + 1;
  }

  #countsOf(name: PartName): { connections: number; bytes: number; cut: number; replies: Record<string, number> } {
    const counts = this.#counts.get(name) ?? { connections: 0, bytes: 0, cut: 0, replies: {} };
    this.#counts.set(name, counts);
    return counts;
  }

  #cancel(timer: NodeJS.Timeout | undefined): void {
    if (timer === undefined) return;
    clearTimeout(timer);
    this.#timers.delete(timer);
  }

  #later(ms: number, then: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }
}
