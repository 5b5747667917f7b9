/** The options of the sink program, and what they ask of a `Sink`. */
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
  text,
  type Values,
  whole,
} from '../arguments.ts';
import type { SinkOptions } from './load_sink.ts';
import {
  type Delay,
  EXTENSIONS,
  REFUSABLE,
  type Refusable,
  type Refusal,
  STAGES,
  type Stage,
} from './sink_behaviour.ts';

const DELAY_MS_MAX = 3_600_000;
const STORED_MAX = 100_000;
const COUNT_MAX = 1e9;

const path: Reader<string> = { right: 'a path', read: text.read };

const delay: Reader<readonly [Stage, Delay]> = {
  right: `STAGE:MS or STAGE:LEAST-MOST, where STAGE is ${STAGES.join(', ')}`,
  read: (given) => {
    const [, name = '', least = '', most] = /^([a-z]+):([\d.]+)(?:-([\d.]+))?$/i.exec(given) ?? [];
    const stage = oneOf(...STAGES).read(name);
    const leastMs = decimal(0, DELAY_MS_MAX).read(least);
    const mostMs = most === undefined ? leastMs : decimal(leastMs ?? 0, DELAY_MS_MAX).read(most);
    if (stage === undefined || leastMs === undefined || mostMs === undefined) return undefined;
    return [stage, most === undefined ? leastMs : [leastMs, mostMs]];
  },
};

const refusal: Reader<readonly [Refusable, Refusal]> = {
  right: `STAGE:CODE or STAGE:CODE:SHARE, as rcpt:451:0.25, where STAGE is ${REFUSABLE.join(', ')}`,
  read: (given) => {
    const [, name = '', code = '', share = '1'] = /^([a-z]+):([45]\d\d)(?::([\d.]+))?$/i.exec(given) ?? [];
    const stage = oneOf(...REFUSABLE).read(name);
    const part = decimal(0, 1).read(share);
    return stage === undefined || part === undefined ? undefined : [stage, { code: Number(code), share: part }];
  },
};

const TABLE = {
  host: option('NAME', line, 'listens on this address', '127.0.0.1'),
  port: option('N', whole(0, 65_535), 'and this port; 0: any that is free', '2600'),
  hostname: option('NAME', line, 'said in the banner', 'sink.example'),
  lmtp: flag('answer for each recipient at the end'),
  without: option('LIST', listOf(oneOf(...EXTENSIONS)), 'does not offer these extensions', ''),
  'tls-cert': optional('FILE', file, 'PEM; with it and --tls-key STARTTLS is offered'),
  'tls-key': optional('FILE', file, 'PEM'),
  tls: flag('TLS from the first byte, no STARTTLS'),

  delay: option('LIST', listOf(delay), 'replies late: end:20 or mail:1-5, ms; several with commas', ''),
  refuse: option('LIST', listOf(refusal), 'refuses a share: rcpt:451:0.1,rcpt:550:0.02,end:452', ''),
  'message-bytes-max': optional('N', whole(1, COUNT_MAX), '552 above it, by SIZE or by what came; 100 MiB'),
  'recipients-max': optional('N', whole(1, COUNT_MAX), 'of a message; 452 then'),
  'messages-per-connection-max': optional('N', whole(1, COUNT_MAX), '421 then'),
  'connections-max': optional('N', whole(1, COUNT_MAX), 'at once; 421 for more'),
  'messages-max': optional('N', whole(1, COUNT_MAX), `in all; 452 then. ${STORED_MAX} with --store`),
  seconds: option('S', decimal(0.1, 604_800), 'ends after so long', '86400'),

  store: optional('FOLDER', path, 'a file for each message, as it came; the folder has no mail yet'),
  checksums: optional('FILE', path, 'a line of JSON for each message: SHA-256, bytes, envelope, stamp'),
  json: flag('one line of JSON in the end, and at SIGUSR2'),
};

export type SinkValues = Values<typeof TABLE>;

export const SINK_PROGRAM: Program<typeof TABLE> = {
  name: 'bench:sink',
  purpose:
    'Takes mail by SMTP or LMTP, throws it away, and tells what came. With AUTH any password is right.\n' +
    'SIGUSR2 prints the counts, SIGINT and SIGTERM print them and end it.',
  table: TABLE,
  faults: (values) => {
    const { tls } = values;
    const cert = values['tls-cert'];
    const key = values['tls-key'];
    const faults: string[] = [];
    if ((cert === undefined) !== (key === undefined)) faults.push('--tls-cert and --tls-key: both or neither');
    if (tls && cert === undefined) faults.push('--tls needs --tls-cert and --tls-key');
    const stages = values.delay.map(([stage]) => stage);
    const twice = stages.find((stage, index) => stages.indexOf(stage) !== index);
    if (twice !== undefined) faults.push(`--delay has ${twice} twice`);
    for (const stage of REFUSABLE) {
      const shares = values.refuse.filter(([name]) => name === stage).map(([, { share }]) => share);
      if (shares.reduce((sum, share) => sum + share, 0) > 1.000_001)
        faults.push(`--refuse has shares of ${stage} that are more than all of them`);
    }
    return faults;
  },
};

/** Throws what the system says where a file cannot be read. */
export function sinkOptionsOf(values: SinkValues): SinkOptions {
  const cert = values['tls-cert'];
  const key = values['tls-key'];
  const refuse: Partial<Record<Refusable, readonly Refusal[]>> = {};
  for (const [stage, one] of values.refuse) refuse[stage] = [...(refuse[stage] ?? []), one];
  const given = {
    messageBytesMax: values['message-bytes-max'],
    recipientsMax: values['recipients-max'],
    messagesPerConnectionMax: values['messages-per-connection-max'],
    connectionsMax: values['connections-max'],
    messagesMax: values['messages-max'] ?? (values.store === undefined ? undefined : STORED_MAX),
    storeFolder: values.store,
    checksumsFile: values.checksums,
    delays: values.delay.length === 0 ? undefined : Object.fromEntries(values.delay),
    tls:
      cert === undefined || key === undefined
        ? undefined
        : { cert: pemIn('tls-cert', cert), key: pemIn('tls-key', key) },
  };
  return {
    host: values.host,
    port: values.port,
    hostname: values.hostname,
    lmtp: values.lmtp,
    without: values.without,
    implicitTls: values.tls,
    refuse,
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<SinkOptions>),
  };
}

/** An empty text would be no certificate at all, without an error from anybody. */
function pemIn(option: string, path: string): string {
  const pem = readFileSync(path, 'utf8');
  if (!pem.includes('-----BEGIN ')) throw new Error(`--${option} ${JSON.stringify(path)}: what is right is a PEM file`);
  return pem;
}
