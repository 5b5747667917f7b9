/** The options of the source program, and what they ask of a `Source`. */
import { readFileSync } from 'node:fs';
import {
  decimal,
  file,
  flag,
  line,
  listOf,
  oneOf,
  option,
  optional,
  type Program,
  type Reader,
  type Values,
  whole,
} from '../arguments.ts';
import { emlNames } from './eml_folder.ts';
import type { Credentials } from './lane_opening.ts';
import { isLoopback } from './loopback.ts';
import type { SourceOptions } from './source_settings.ts';
import { bytesOf, type LogNormal, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN, TEXTS_BYTES_MAX } from './text_sizes.ts';

const MESSAGES = 1000;
const SECONDS = 3600;
const SECONDS_MAX = 86_400;
const COUNT_MAX = 1e9;
const RATE_MAX = 1e6;

const sizes: Reader<LogNormal> = {
  right: 'MEDIAN:SIGMA or MEDIAN:SIGMA:MAX, in bytes and of the logarithm, as 20000:1.5:10000000',
  read: (given) => {
    const [median = '', sigma = '', most = `${MESSAGE_BYTES_MAX}`, ...more] = given.split(':');
    const bytes = whole(MESSAGE_BYTES_MIN, MESSAGE_BYTES_MAX);
    const distribution = {
      medianBytes: bytes.read(median),
      sigma: decimal(0, 5).read(sigma),
      bytesMax: bytes.read(most),
    };
    const good = more.length === 0 && Object.values(distribution).every((value) => value !== undefined);
    return good ? (distribution as LogNormal) : undefined;
  },
};

/** Between angle brackets. */
const address: Reader<string> = {
  right: 'an address or a pattern of one, with %n, %r or %{K} in it, where K is at least 1',
  read: (given) => (/^[^\p{Cc}<>]*$/u.test(given) && !/%\{(?![1-9]\d{0,8}\})/.test(given) ? given : undefined),
};

const emlFiles: Reader<string> = {
  right: 'a folder with .eml files in it',
  read: (given) => {
    try {
      return emlNames(given).length > 0 ? given : undefined;
    } catch {
      return undefined;
    }
  },
};

const TABLE = {
  host: option('NAME', line, 'the server', '127.0.0.1'),
  port: option('N', whole(1, 65_535), 'its port', '2525'),
  'yes-i-may-load-this-host': flag('without it, hosts other than this machine are refused'),
  'local-addresses': optional('LIST', listOf(line), 'connections come from these in turn'),
  lmtp: flag('speak LMTP: a reply for each recipient at the end'),
  hello: option('NAME', line, 'said in EHLO or LHLO', 'source.example'),

  connections: option('N', whole(1, 60_000), 'at once', '1'),
  messages: optional('N', whole(1, COUNT_MAX), `ends after so many; ${MESSAGES} where no --seconds are given`),
  seconds: optional('S', decimal(0.001, SECONDS_MAX), `ends after so long; ${SECONDS} where they are not given`),
  rate: optional('R', decimal(0.001, RATE_MAX), 'messages a second (open loop), however slow the server'),
  'sessions-per-second': optional('R', decimal(0.001, RATE_MAX), 'connections a second (open loop)'),
  ramp: option('S', decimal(0, SECONDS_MAX), 'the rate, or the number of connections, grows for so long', '0'),
  'messages-per-connection': optional('N', whole(1, COUNT_MAX), 'then QUIT; all, or 1 with --sessions-per-second'),
  'think-ms': option('MS', decimal(0, 3_600_000), 'between the answer to a message and the next', '0'),
  'silence-seconds': option('S', decimal(0.1, SECONDS_MAX), 'a connection that hears nothing for so long is cut', '60'),
  'give-up-seconds': option('S', decimal(0.1, SECONDS_MAX), 'ends when no connection works for so long', '30'),

  pipelining: flag('envelope in one write, where the server offers it'),
  ahead: flag("with --pipelining: the next message's envelope leaves with the content before it"),
  bdat: flag('BDAT instead of DATA, where the server offers it'),
  'chunk-bytes': optional('N', whole(128, MESSAGE_BYTES_MAX), 'of a BDAT chunk; a message is one without it'),
  starttls: flag('TLS after STARTTLS; certificates are not checked'),
  tls: flag('TLS from the first byte'),
  resume: flag('later connections take up the TLS session of the one before'),
  auth: optional('HOW', oneOf('PLAIN', 'LOGIN'), 'log in: PLAIN or LOGIN'),
  user: optional('NAME', line, 'for --auth'),
  'password-file': optional('FILE', file, 'for --auth; its first line'),

  from: option('ADDRESS', address, 'sender: %n is the number of the message', 'bench@source.example'),
  to: option('ADDRESS', address, 'recipient: %r is its number, %{K} a drawn one below K', 'user%r@example.org'),
  recipients: option('N', whole(1, 10_000), 'of a message', '1'),
  bytes: optional('N', whole(MESSAGE_BYTES_MIN, MESSAGE_BYTES_MAX), 'of a message, with its header; 4096 unless said'),
  sizes: optional('M:S[:MAX]', sizes, 'log-normal sizes: median bytes, sigma, most bytes'),
  eml: optional('FOLDER', emlFiles, 'its .eml files in turn, a stamp on top of each'),

  'slow-share': option('SHARE', decimal(0, 0.99), 'of the connections dribble a byte at a time', '0'),
  'slow-byte-ms': optional('MS', whole(1, 60_000), 'between those bytes; 1000 unless said'),
  'misbehaving-share': option('SHARE', decimal(0, 0.99), 'of the connections break the protocol in turn', '0'),

  quiet: flag('no progress on standard error'),
  json: flag('one line of JSON at the end'),
};

export type SourceValues = Values<typeof TABLE>;

export const SOURCE_PROGRAM: Program<typeof TABLE> = {
  name: 'bench:source',
  purpose: 'Sends mail to an SMTP or LMTP server, and tells how long that took.',
  table: TABLE,
  faults: (values) => {
    const { tls, starttls, resume, auth, user, pipelining, ahead, bdat, rate, eml } = values;
    const contradictions: readonly (readonly [wrong: boolean, fault: string])[] = [
      [tls && starttls, '--tls and --starttls: one of them is right'],
      [resume && !tls && !starttls, '--resume needs --starttls or --tls'],
      [ahead && (!pipelining || bdat), '--ahead needs --pipelining, and no --bdat'],
      [ahead && values['think-ms'] > 0, '--ahead with --think-ms: who thinks does not send ahead'],
      [values['chunk-bytes'] !== undefined && !bdat, '--chunk-bytes needs --bdat'],
      [
        (auth !== undefined || user !== undefined || values['password-file'] !== undefined) &&
          (auth === undefined || user === undefined || values['password-file'] === undefined),
        '--auth, --user and --password-file: all of them or none',
      ],
      [
        rate !== undefined && values['sessions-per-second'] !== undefined,
        '--rate and --sessions-per-second: one of them is right',
      ],
      [rate !== undefined && values['think-ms'] > 0, '--think-ms with --rate: messages are due when they are due'],
      [
        [eml, values.sizes, values.bytes].filter((value) => value !== undefined).length > 1,
        '--bytes, --sizes and --eml: one of them is right',
      ],
      [
        values.sizes !== undefined && bytesOf(values.sizes) > TEXTS_BYTES_MAX,
        `--sizes: the texts would need more than ${TEXTS_BYTES_MAX} bytes; a smaller MAX is right`,
      ],
      [values['slow-byte-ms'] !== undefined && values['slow-share'] === 0, '--slow-byte-ms needs --slow-share'],
      [crowdOf(values).good < 1, '--slow-share and --misbehaving-share leave no connection for mail'],
      [
        !isLoopback(values.host) && !values['yes-i-may-load-this-host'],
        `--host ${values.host} is not this machine: --yes-i-may-load-this-host is right if you may`,
      ],
    ];
    return contradictions.filter(([wrong]) => wrong).map(([, fault]) => fault);
  },
};

/** A share above nothing is one connection at least. */
function crowdOf(values: SourceValues): { readonly good: number; readonly slow: number; readonly misbehaving: number } {
  const slow = Math.ceil(values.connections * values['slow-share']);
  const misbehaving = Math.ceil(values.connections * values['misbehaving-share']);
  return { good: values.connections - slow - misbehaving, slow, misbehaving };
}

/** Throws what the system says where the password's file cannot be read. */
export function sourceOptionsOf(values: SourceValues): SourceOptions {
  const { good, slow, misbehaving } = crowdOf(values);
  const auth = credentialsOf(values);
  const given = {
    messages: values.messages ?? (values.seconds === undefined ? MESSAGES : undefined),
    messagesPerConnection: values['messages-per-connection'],
    rate: values.rate,
    sessionsPerSecond: values['sessions-per-second'],
    chunkBytes: values['chunk-bytes'],
    localAddresses: values['local-addresses'],
    bytes: values.bytes,
    slowByteMs: values['slow-byte-ms'],
    sizes: values.sizes,
    emlFolder: values.eml,
    auth,
  };
  return {
    host: values.host,
    port: values.port,
    lmtp: values.lmtp,
    hello: values.hello,
    connections: good,
    seconds: values.seconds ?? SECONDS,
    rampSeconds: values.ramp,
    thinkMs: values['think-ms'],
    silenceSecondsMax: values['silence-seconds'],
    giveUpSeconds: values['give-up-seconds'],
    pipelining: values.pipelining,
    ahead: values.ahead,
    bdat: values.bdat,
    starttls: values.starttls,
    implicitTls: values.tls,
    resumeTls: values.resume,
    from: values.from,
    to: values.to,
    recipients: values.recipients,
    slow,
    misbehaving,
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<SourceOptions>),
  };
}

function credentialsOf(values: SourceValues): Credentials | undefined {
  const { auth, user } = values;
  const file = values['password-file'];
  if (auth === undefined || user === undefined || file === undefined) return undefined;
  const [password = ''] = readFileSync(file, 'utf8').split(/\r?\n/, 1);
  return { mechanism: auth, user, password };
}
