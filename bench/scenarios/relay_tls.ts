/** What STARTTLS costs the relay: the handshake of each connection, taken up again or not, and the bytes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Outcome, Ratio, Scenario } from '../bench.ts';
import { makeCertificate } from '../load/certificates.ts';
import type { Carried } from '../measure/carried.ts';
import { cpuMsPerMessage, perSecond, type Target, type Turns, takeTurns, type Way } from '../measure/turns.ts';
import type { CertificateFiles } from '../peers/peer.ts';
import { type Relay, startContenders } from '../peers/relays.ts';
import { digits, spreadText } from '../report.ts';

const CONNECTIONS = 50;
const BYTES = 4096;
/** As relay-small. */
const MESSAGES_PER_CONNECTION = 500;
/** Of connections that could have taken up a session. */
const RESUMED_SHARE_MIN = 0.95;

const PLAIN = 'plain';
const FULL = 'STARTTLS';
const RESUMED = 'STARTTLS, resumed';
const LOADS: Readonly<Record<string, NonNullable<Target['load']>>> = {
  [PLAIN]: {},
  [FULL]: { starttls: true },
  [RESUMED]: { starttls: true, resumeTls: true },
};

const LOAD = { connections: CONNECTIONS, bytes: BYTES, pipelining: true } as const;
type TlsWay = Omit<Way, 'messages'> & { readonly messages: Count; readonly peerMessages: Count };
/** A handshake costs the source as much as the relay: there are fewer of them in as many seconds. */
type Count = { readonly plain: number; readonly encrypted: number };
const SINGLE: TlsWay = {
  name: 'a connection per message',
  load: { ...LOAD, messagesPerConnection: 1 },
  phase: 'end',
  messages: { plain: 16_000, encrypted: 3_500 },
  peerMessages: { plain: 2_500, encrypted: 1_000 },
};
const REUSED: TlsWay = {
  name: 'connections reused',
  load: { ...LOAD, messagesPerConnection: MESSAGES_PER_CONNECTION },
  phase: 'end',
  messages: { plain: 30_000, encrypted: 30_000 },
  peerMessages: { plain: 2_500, encrypted: 2_500 },
};

export const relayTls: Scenario = {
  name: 'relay-tls',
  question: 'what does TLS cost the relay, and how much of that does resumption give back?',
  load:
    `${BYTES}-byte messages, ${CONNECTIONS} at once, PIPELINING, to relays with an ECDSA P-256 certificate: in ` +
    'plain, with STARTTLS, and with STARTTLS that takes up the session of the connection before; (a) a connection ' +
    `per message, (b) reused for ${MESSAGES_PER_CONNECTION} messages`,
  bound:
    'CPU, of source and relay alike: a handshake signs and agrees on a key once on either side. It would surprise if ' +
    'a resumed handshake cost as much as a full one, or if TLS cost more than a tenth of the rate where connections ' +
    'are reused',
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent; every connection was encrypted that ' +
    `should be, none was resumed that should not, and ${RESUMED_SHARE_MIN * 100} % of those that could were`,
  compares: true,
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const ends = { sink: bench.sink(), source: bench.source() };
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const relays = await startContenders(bench, { sinkPort, tls: certificateIn(bench) });
  const targets = relays.flatMap(targetsOf);
  const ways = [SINGLE, REUSED].map((way) => ({ ...way, messages: messagesOf(way, relays) }));
  const { turns, failures } = await takeTurns(bench, ends, ways, targets, notAsWanted);
  const toOthers = ratiosToOthers(turns, relays);
  return {
    headlines: [
      `${SINGLE.name}: ${spreadText(turns.ratio(SINGLE.name, FULL, PLAIN, perSecond))} of the plain rate, ` +
        `${spreadText(turns.ratio(SINGLE.name, RESUMED, PLAIN, perSecond))} with resumption; a full handshake is ` +
        `${more(turns, SINGLE, FULL)} ms of CPU, a resumed one ${more(turns, SINGLE, RESUMED)} ms`,
      `${REUSED.name}: ${spreadText(turns.ratio(REUSED.name, FULL, PLAIN, perSecond))} of the plain rate, ` +
        `${more(turns, REUSED, FULL)} ms of CPU more a message`,
      ...toOthers.map((ratio) => `${ratio.name}: ${spreadText(ratio)}`),
    ],
    ratios: ratiosOf(turns, relays),
    charts: ways.flatMap((way) => turns.charts(way, targets)),
    relays: relays.map(({ name, version, durability }) => ({ name, version, durability })),
    tables: ways.map((way) => turns.table(way, targets)),
    failures,
    figures: turns.all,
  };
}

type Named = Pick<Relay, 'name'>;
/** Postern's are called by the load alone. */
const targetName = ({ name }: Named, load: string): string => (name === 'postern' ? load : `${name}: ${load}`);

const targetsOf = (relay: Relay): Target[] =>
  Object.entries(LOADS).map(([name, load]) => ({ ...relay, name: targetName(relay, name), load }));

const messagesOf = ({ messages, peerMessages }: TlsWay, relays: readonly Relay[]): Record<string, number> =>
  Object.fromEntries(
    relays.flatMap((relay) => {
      const { plain, encrypted } = relay.name.startsWith('postern') ? messages : peerMessages;
      return Object.keys(LOADS).map((load) => [targetName(relay, load), load === PLAIN ? plain : encrypted]);
    }),
  );

export const ratiosOf = (turns: Turns, relays: readonly Named[]): Ratio[] => [
  ...[SINGLE, REUSED].flatMap(({ name }) =>
    [FULL, RESUMED].flatMap((each): Ratio[] => [
      turns.rateRatio(name, each, PLAIN),
      {
        name: `${name}: CPU a message, ${each} / ${PLAIN}`,
        better: 'less',
        ...turns.ratio(name, each, PLAIN, cpuMsPerMessage),
      },
    ]),
  ),
  ...ratiosToOthers(turns, relays),
];

const ratiosToOthers = (turns: Turns, relays: readonly Named[]): Ratio[] =>
  relays
    .filter(({ name }) => name !== 'postern')
    .flatMap((other) =>
      [SINGLE, REUSED].flatMap(({ name: way }) =>
        Object.keys(LOADS).map((load) => {
          const share = turns.ratio(way, load, targetName(other, load), perSecond);
          return { name: `${way}, ${load}: rate / ${other.name}`, better: 'more' as const, ...share };
        }),
      ),
    );

function certificateIn(bench: Bench): CertificateFiles {
  const folder = bench.folder('certificate');
  const { cert, key } = makeCertificate({ names: ['postern.example'] });
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  writeFileSync(files.certFile, cert);
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  return files;
}

function notAsWanted(
  { messages, tls: { handshakes, resumed } }: Carried,
  { name, load = {} }: Target,
  { name: way }: Way,
): string[] {
  if (!load.starttls) return handshakes === 0 ? [] : [`${name}: ${handshakes} handshakes`];
  const faults = handshakes === 0 ? [`${name}: no handshake`] : [];
  if (way === SINGLE.name && handshakes < messages)
    faults.push(`${name}: ${handshakes} handshakes for ${messages} messages`);
  if (!load.resumeTls && resumed > 0) faults.push(`${name}: ${resumed} handshakes resumed`);
  // The first connection of each lane has nothing to take up.
  const possible = handshakes - CONNECTIONS;
  if (load.resumeTls && way === SINGLE.name && resumed < possible * RESUMED_SHARE_MIN)
    faults.push(`${name}: ${resumed} of ${possible} resumed (${digits((resumed / possible) * 100)} %)`);
  return faults;
}

const more = (turns: Turns, way: Way, target: string): string =>
  spreadText(turns.difference(way.name, target, PLAIN, cpuMsPerMessage));
