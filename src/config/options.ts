// Large: one row an option, and the table is read as a whole.
/**
 * Every option of Postern: one row each, and nowhere else. The environment variable is POSTERN_ and the key in capitals
 * (`outsideListen` is POSTERN_OUTSIDE_LISTEN). A text is read by the row's schema (parsers.ts); `type Config` follows
 * from
 * the rows. Where a default depends on the machine or on other options, `words` describes it and load.ts fills it in.
 *
 * The README's table is printed from here (print.ts).
 */
import type { z } from 'zod';
import type { Route } from './parsers.ts';
import {
  choice,
  dnsServers,
  domain,
  domains,
  flag,
  listeners,
  mailbox,
  mxOrRoutes,
  networks,
  optionalListener,
  path,
  paths,
  routes,
  whole,
  wholeNumbers,
} from './parsers.ts';

export type Option = {
  readonly schema: z.ZodType<unknown, string>;
  /** Read by the schema like a text from outside. */
  readonly default: string;
  /** What the default is where its text does not say it. */
  readonly words?: string;
  readonly unit: '' | 'bytes' | 'seconds' | 'milliseconds' | 'bytes per second';
  /** An empty text is a value of its own (none) rather than "not set". */
  readonly emptyIsNone?: true;
  /** The text may hold a password: it is never printed. */
  readonly secret?: true;
  /** What it does, and the reason for its default. */
  readonly why: string;
};

const MIB = 1_048_576;
const DAY = 86_400;
/** Bounds that load.ts keeps to as well: 16 TiB, 64 TiB. */
export const MEMORY_BYTES_MOST = 16_777_216 * MIB;
export const SPOOL_FREE_BYTES_MOST = 67_108_864 * MIB;

export const OPTIONS = {
  // Who we are, and where we listen.
  hostname: {
    schema: domain(),
    default: '',
    words: "the system's",
    unit: '',
    why: 'name in banner, EHLO and Received; peers look it up, so it should have an address record and a matching PTR',
  },
  outsideListen: {
    schema: listeners(),
    default: '127.0.0.1:2525',
    unit: '',
    why: 'where the Internet connects; loopback until told otherwise, so that a trial is no open door',
  },
  insideListen: {
    schema: listeners(),
    default: '127.0.0.1:2526',
    unit: '',
    emptyIsNone: true,
    why: 'where inside servers hand over outbound mail; empty: none',
  },
  insideNetworks: {
    schema: networks(),
    default: '127.0.0.0/8,::1/128',
    unit: '',
    why: 'who may use the inside listeners; everybody else gets 554 there',
  },
  insideOnOutside: {
    schema: flag(),
    default: '0',
    unit: '',
    why: 'a client of the inside networks is treated as inside on the outside listeners, too; off, since a proxy in front that is not listed would make everybody inside',
  },
  proxyNetworks: {
    schema: networks(),
    default: '',
    unit: '',
    emptyIsNone: true,
    why: 'balancers that begin each connection with a PROXY header (version 1 or 2), on any mail listener; without one they are cut off, and from everybody else it is garbage; the client that they name is inside by its own address only',
  },
  xclientNetworks: {
    schema: networks(),
    default: '',
    unit: '',
    emptyIsNone: true,
    why: 'peers that may say by XCLIENT whom they speak for; it is offered to them only, and from everybody else an unknown command',
  },
  adminListen: {
    schema: optionalListener(),
    default: '127.0.0.1:8025',
    unit: '',
    emptyIsNone: true,
    why: 'health, metrics and dashboard, read without authentication, so keep it on loopback or a network of your own; empty: none',
  },
  adminTls: {
    schema: flag(),
    default: '0',
    unit: '',
    why: 'the admin address speaks TLS only (HTTPS), with the certificate of POSTERN_TLS_CERT',
  },
  adminTokenFile: {
    schema: path(),
    default: '',
    words: 'none',
    unit: '',
    why: 'a file with a token of at least 32 characters, which lets the inside push recipients there (PUT /api/recipients, Authorization: Bearer); read again on SIGHUP; none: they are pushed on admin.sock only',
  },

  // What is accepted, and where it goes.
  domains: {
    schema: domains(),
    default: '',
    words: 'none (required)',
    unit: '',
    why: 'domains accepted from outside, and routed inside from both sides',
  },
  subdomains: { schema: flag(), default: '0', unit: '', why: 'subdomains of these domains are accepted as well' },
  insideRoute: {
    schema: routes(),
    default: '',
    words: 'none (required)',
    unit: '',
    secret: true,
    why: 'inside servers, tried in order: smtp://host:port or lmtp://host:port',
  },
  outsideRoute: {
    schema: mxOrRoutes(),
    default: 'mx',
    unit: '',
    secret: true,
    why: 'mx, or smart hosts as smtp://user:password@host:587',
  },
  outsidePort: { schema: whole(1, 65_535), default: '25', unit: '', why: 'port of MX hosts; only tests set another' },
  allowPrivateMx: {
    schema: flag(),
    default: '0',
    unit: '',
    why: 'an MX may resolve to a loopback or private address; off, since a stranger chooses the domain and would reach the inside through us',
  },
  postmaster: {
    schema: mailbox(),
    default: '',
    words: 'postmaster@ the first domain',
    unit: '',
    why: 'who receives mail to <Postmaster> (RFC 5321 §4.5.1) and signs delivery status notifications',
  },
  dnsServers: {
    schema: dnsServers(),
    default: '',
    words: 'those of /etc/resolv.conf',
    unit: '',
    why: 'resolvers, tried in order; for DANE a validating one on loopback',
  },
  dnsSecondsMax: {
    schema: whole(1, 300),
    default: '20',
    unit: 'seconds',
    why: 'one look-up with all its tries; four tries of five seconds',
  },

  config: {
    schema: path(),
    default: '',
    words: 'none',
    unit: '',
    why: 'the policy file (YAML): rules and what they ask; read again on SIGHUP and when it or a file it names has changed; none: the built-in rules serve alone',
  },

  // The machine.
  spoolDir: {
    schema: path(),
    default: './var/spool',
    unit: '',
    why: 'journals, created 0700; it belongs to one process and should be on a disk of its own',
  },
  workers: {
    schema: whole(1, 256),
    default: '',
    words: 'cores',
    unit: '',
    why: 'shards: threads with sessions, journal and queue each; may change between starts',
  },
  connectionsMax: {
    schema: whole(1, 1_000_000),
    default: '',
    words: '16000, less where the descriptor limit asks',
    unit: '',
    why: 'sessions at once over all listeners; at 3 KB each when idle; 25 KB each, 400 MB for 16,000, are the safe side; beyond, 421',
  },
  memoryBytesMax: {
    schema: whole(16 * MIB, 65_536 * MIB),
    default: '',
    words: '268435456, or a quarter of the memory where that is less',
    unit: 'bytes',
    why: 'content in memory over all shards; beyond, content is read back from disk for delivery',
  },
  segmentBytes: {
    schema: whole(MIB, 256 * MIB),
    default: String(16 * MIB),
    unit: 'bytes',
    why: 'one journal file; larger ones are created more rarely, smaller ones are freed sooner',
  },
  spoolFreeBytesMin: {
    schema: whole(0, SPOOL_FREE_BYTES_MOST),
    default: '',
    words: '1073741824, or four segments a shard where that is more',
    unit: 'bytes',
    why: 'free on the disk of the spool; below, outside is deferred, below half of it everything new, so that mail accepted already, its marks and its bounces have room; twenty of the largest messages; 0: off',
  },
  spoolFreeInodesMin: {
    schema: whole(0, 1_000_000_000),
    default: '10000',
    unit: '',
    why: 'free inodes there, in the same way; a content above 64 KiB takes one; 0: off',
  },
  queueMessagesMax: {
    schema: whole(0, 100_000_000),
    default: '2000000',
    unit: '',
    why: 'messages waiting over all shards; from nine tenths of it on outside is deferred, from all of it everything new; at 250 bytes of memory a recipient, half a GB; 0: off',
  },
  memoryResidentBytesMax: {
    schema: whole(0, MEMORY_BYTES_MOST),
    default: '',
    words: 'three quarters of the memory of the machine, or of what its control groups leave',
    unit: 'bytes',
    why: 'memory of the process without page cache, in the same way; the rest is for sockets and page cache, and keeps the kernel from ending us; 0: off',
  },
  shutdownSeconds: {
    schema: whole(0, 3600),
    default: '30',
    unit: 'seconds',
    why: 'how long SIGTERM waits for open transactions; below the 90 of systemd',
  },
  logLevel: {
    schema: choice('debug', 'info', 'warn', 'error', 'fatal'),
    default: 'info',
    unit: '',
    why: 'JSON lines on standard output; info has one line per session, message and attempt',
  },

  // Clients.
  clientConnectionsMax: {
    schema: whole(1, 1_000_000),
    default: '100',
    unit: '',
    why: 'sessions at once from one client (/32, /64); beyond, 421. Large providers open some dozens',
  },
  clientConnectionsPerMinuteMax: {
    schema: whole(0, 1_000_000),
    default: '0',
    unit: '',
    why: 'new sessions from one client within a minute; beyond, 421; 0: off, since what is normal differs from site to site',
  },
  messageBytesMax: {
    schema: whole(65_536, 1024 * MIB),
    default: String(50 * MIB),
    unit: 'bytes',
    why: 'SIZE (RFC 1870); beyond, 552. At least 64 KiB (RFC 5321 §4.5.3.1.7)',
  },
  recipientsMax: {
    schema: whole(100, 10_000),
    default: '1000',
    unit: '',
    why: 'recipients of one message; beyond, 452. At least 100 (RFC 5321 §4.5.3.1.8)',
  },
  receivedFieldsMax: {
    schema: whole(10, 1000),
    default: '100',
    unit: '',
    why: 'more Received fields are a loop (RFC 5321 §6.3): 554 5.4.6',
  },
  bareLineEnds: {
    schema: choice('fix', 'refuse'),
    default: 'fix',
    unit: '',
    why: 'a CR or LF alone in content becomes CRLF, or the message is refused with 550 5.6.11; either way none leaves Postern',
  },
  sessionMessagesMax: {
    schema: whole(1, 1_000_000),
    default: '1000',
    unit: '',
    why: 'messages in one session; beyond, 421 (RFC 9422 announces it); a client spreads anew over the shards',
  },
  badCommandsMax: {
    schema: whole(1, 1000),
    default: '20',
    unit: '',
    why: 'commands in error in one session; beyond, 421',
  },
  unknownRecipientsMax: {
    schema: whole(1, 10_000),
    default: '25',
    unit: '',
    why: 'refused recipients in one session; beyond, 421: nobody guesses addresses here',
  },
  idleCommandsMax: {
    schema: whole(1, 10_000),
    default: '100',
    unit: '',
    why: 'RSET, NOOP, VRFY and HELP without a message; beyond, 421',
  },
  greetingDelayMs: {
    schema: whole(0, 60_000),
    default: '0',
    unit: 'milliseconds',
    why: 'outside: the banner waits so long, and who talks first gets 554; 0: only what is there at once counts',
  },
  commandSecondsMax: {
    schema: whole(1, 3600),
    default: '300',
    unit: 'seconds',
    why: 'wait for a command (RFC 5321 §4.5.3.2.7 asks for 5 minutes); then 421',
  },
  dataSecondsMax: {
    schema: whole(1, 3600),
    default: '180',
    unit: 'seconds',
    why: 'silence inside content (RFC 5321 §4.5.3.2.5); then 421',
  },
  dataBytesPerSecondMin: {
    schema: whole(0, MIB),
    default: '100',
    unit: 'bytes per second',
    why: 'slower content, averaged over a minute, is cut off with 421: slow senders must not hold sessions; 0: off',
  },
  sessionSecondsMax: {
    schema: whole(0, DAY),
    default: '7200',
    unit: 'seconds',
    why: 'one session; then 421 at the next command; 0: off',
  },
  tlsCert: {
    schema: paths(),
    default: '',
    words: 'none',
    unit: '',
    why: 'PEM files, leaf first, comma-separated: an ECDSA and an RSA pair serve all clients; with keys, STARTTLS is offered',
  },
  tlsKey: {
    schema: paths(),
    default: '',
    words: 'none',
    unit: '',
    why: 'PEM files, as many as certificates and in their order',
  },

  // Delivery.
  siteConnectionsMax: {
    schema: whole(1, 10_000),
    default: '20',
    unit: '',
    why: 'connections at once to one outside site over all shards; large providers refuse more',
  },
  insideConnectionsMax: {
    schema: whole(1, 10_000),
    default: '50',
    unit: '',
    why: 'connections at once to the inside servers over all shards',
  },
  connectionIdleSecondsMax: {
    schema: whole(0, 300),
    default: '10',
    unit: 'seconds',
    why: 'an idle connection is kept so long for the next message; servers close at 30 or sooner',
  },
  connectionMessagesMax: {
    schema: whole(1, 1_000_000),
    default: '1000',
    unit: '',
    why: 'messages over one connection; then a new one, so that load balancers see us again',
  },
  connectionAgeSecondsMax: {
    schema: whole(1, DAY),
    default: '300',
    unit: 'seconds',
    why: 'age of a connection; then a new one',
  },
  connectSecondsMax: { schema: whole(1, 300), default: '30', unit: 'seconds', why: 'one attempt to connect, TCP only' },
  replySecondsMax: {
    schema: whole(1, 3600),
    default: '300',
    unit: 'seconds',
    why: 'a reply to anything but the end of content (RFC 5321 §4.5.3.2)',
  },
  finalReplySecondsMax: {
    schema: whole(1, 3600),
    default: '600',
    unit: 'seconds',
    why: 'the reply to the end of content (RFC 5321 §4.5.3.2.6: 10 minutes); giving up sooner makes duplicates',
  },
  outsideTls: {
    schema: choice('may', 'require', 'never'),
    default: 'may',
    unit: '',
    why: 'STARTTLS to MX hosts and smart hosts whose URL does not say; with credentials at least require',
  },
  insideTls: {
    schema: choice('may', 'require', 'never'),
    default: 'may',
    unit: '',
    why: 'STARTTLS to inside servers whose URL does not say',
  },
  retrySeconds: {
    schema: wholeNumbers(1, 7 * DAY, 64),
    default: '60,300,900,1800,3600,7200,14400',
    unit: 'seconds',
    why: 'waits between attempts, the last repeats (RFC 5321 §4.5.4.1)',
  },
  queueSecondsMax: {
    schema: whole(1, 30 * DAY),
    default: String(5 * DAY),
    unit: 'seconds',
    why: 'then the message bounces (RFC 5321 §4.5.4.1: 4 to 5 days)',
  },
  delayWarningSeconds: {
    schema: whole(0, 30 * DAY),
    default: '14400',
    unit: 'seconds',
    why: 'a sender is told once that his message still waits; 4 hours are longer than greylisting and most repairs; 0: never',
  },
  bounceBytesMax: {
    schema: whole(1024, MIB),
    default: '50000',
    unit: 'bytes',
    why: 'of a failed message that comes back in its notification: all of it up to here where the sender asked for that (RET=FULL), else its headers, cut here',
  },
  doubleBounces: {
    schema: choice('drop', 'postmaster'),
    default: 'drop',
    unit: '',
    why: 'mail of the null sender that fails is dropped with a log line, or reported to the postmaster; dropped, since most of it answers forged senders, and whoever reads hundreds a day reads none',
  },
} as const satisfies Record<string, Option>;

export type OptionKey = keyof typeof OPTIONS;

/** What the schemas give, before load.ts fills in what depends on the machine and on other options. */
export type Parsed = { readonly [Key in OptionKey]: z.output<(typeof OPTIONS)[Key]['schema']> };

export type Config = Omit<Parsed, 'insideRoute' | 'outsideRoute'> & {
  readonly insideRoute: readonly Route[];
  readonly outsideRoute: 'mx' | readonly Route[];
};

/** `outsideListen` → `POSTERN_OUTSIDE_LISTEN` */
export const variableOf = (key: string): string => `POSTERN_${key.replace(/[A-Z]/g, '_$&').toUpperCase()}`;

export type { Credentials, HostPort, Route, TlsPolicy } from './parsers.ts';
