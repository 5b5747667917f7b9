/** The same signed mail through two Posterns in turn: one verifies SPF, DKIM and DMARC of each, the other nothing. */
import type { Bench, Outcome, Scenario, Table } from '../bench.ts';
import { startDnsServer } from '../load/dns_server.ts';
import type { Letter } from '../load/outgoing.ts';
import { SignedMail } from '../load/signed_mail.ts';
import type { Carried } from '../measure/carried.ts';
import { cpuMsPerMessage, perSecond, type Target, type Turns, takeTurns, type Way } from '../measure/turns.ts';
import { BODIES, byMailauth, byPostern, cpuMsOf } from '../measure/verifying.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, type Spread, spreadOf, spreadText } from '../report.ts';

const SENDERS = 20;
const CONNECTIONS = 50;
const BYTES = 4096;
/** As relay-small. */
const MESSAGES_PER_CONNECTION = 500;
const LARGE_BYTES = 1_000_000;
const LARGE_CPU_MS = 500;
const QUICK_LARGE_CPU_MS = 50;

const WITH = 'with';
const WITHOUT = 'without';
const POLICIES: Readonly<Record<string, string>> = {
  [WITHOUT]: 'authentication: { check: false }\n',
  // Everything here comes from loopback, which is not authenticated unless this is said.
  [WITH]: 'authentication: { privateClients: true }\n',
};
const PASSED = ['spf=pass', 'dkim=pass', 'dmarc=pass'];

const RATE_SHARE_MIN = 0.7;
const MAILAUTH_SHARE_MAX = 0.1;

export const relayAuth: Scenario = {
  name: 'relay-auth',
  question: 'what does it cost to verify SPF, DKIM and DMARC of every message?',
  load:
    `signed mail (RSA-2048) of ${SENDERS} senders, each with a domain of its own, ${BYTES} bytes and a signature, ` +
    `${CONNECTIONS} at once: (a) a connection per message, (b) connections reused for ${MESSAGES_PER_CONNECTION} ` +
    'each, through a Postern that verifies and one that does not, in turn; then messages of a megabyte, ' +
    "in the runner's process: by the code that a shard runs, and by mailauth (DKIM alone)",
  bound:
    'CPU: the arithmetic of RSA is 0.03 ms a message, SHA-256 0.6 ms a megabyte; keys and policies are known after ' +
    `the first message of a sender. It would surprise: less than ${RATE_SHARE_MIN * 100} % of the rate without; more ` +
    "than a tenth of mailauth's CPU time for a megabyte",
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent; those that were verified say spf=pass, ' +
    'dkim=pass and dmarc=pass there, the others nothing',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const mail = new SignedMail(SENDERS);
  const ways = waysOf(await mail.letters(BYTES));
  const ends = { sink: bench.sink(), source: bench.source() };
  const { port } = await ends.sink.call('listen', {});
  const dns = await startDnsServer({ zone: mail.zone, ttlSeconds: 3600 });
  bench.started({ stop: () => dns.close() });
  const targets: Target[] = [];
  for (const name of [WITHOUT, WITH]) targets.push(await startTarget(bench, name, port, dns.port));
  const { turns, failures } = await takeTurns(bench, ends, ways, targets, unverified);
  const megabytes = await verifyMegabytes(bench, mail);
  if (!bench.settings.quick) failures.push(...missed(turns, ways, megabytes));
  return {
    headlines: headlines(turns, ways, megabytes),
    ratios: [
      ...ways.map(({ name }) => turns.rateRatio(name, WITH, WITHOUT)),
      ...megabytes.map(({ body, share }) => ({
        name: `a megabyte of ${body}: CPU / mailauth`,
        better: 'less' as const,
        ...share,
      })),
    ],
    charts: ways.flatMap((way) => turns.charts(way, targets)),
    tables: [...ways.map((way) => turns.table(way, targets)), megabyteTable(megabytes)],
    failures,
    figures: { turns: turns.all, megabytes },
  };
}

function waysOf(letters: readonly Letter[]): Way[] {
  const load = { connections: CONNECTIONS, letters, pipelining: true };
  return [
    {
      name: 'a connection per message',
      load: { ...load, messagesPerConnection: 1 },
      phase: 'end',
      messages: 10_000,
    },
    {
      name: 'connections reused',
      load: { ...load, messagesPerConnection: MESSAGES_PER_CONNECTION },
      phase: 'end',
      messages: 25_000,
    },
  ];
}

async function startTarget(bench: Bench, name: string, sinkPort: number, dnsPort: number): Promise<Target> {
  const environment = { DNS_SERVERS: `127.0.0.1:${dnsPort}` };
  const postern = await relayTo(bench, name, sinkPort, { environment, policy: POLICIES[name] });
  return { name, port: postern.outside.port, pid: postern.pid };
}

function unverified({ messages, results }: Carried, { name }: Target): string[] {
  const wanted = name === WITH ? messages : 0;
  const faults = PASSED.filter((result) => (results[result] ?? 0) !== wanted).map(
    (result) => `${name}: ${results[result] ?? 0} of ${wanted} messages have ${result}`,
  );
  const others = Object.keys(results).filter((result) => !PASSED.includes(result));
  return [...faults, ...others.map((result) => `${name}: ${results[result]} messages have ${result}`)];
}

type Megabyte = {
  readonly body: string;
  readonly ours: Spread;
  readonly mailauth: Spread;
  /** Round by round. */
  readonly share: Spread;
};

async function verifyMegabytes(bench: Bench, mail: SignedMail): Promise<Megabyte[]> {
  const leastMs = bench.settings.quick ? QUICK_LARGE_CPU_MS : LARGE_CPU_MS;
  const megabytes: Megabyte[] = [];
  for (const [body, make] of Object.entries(BODIES)) {
    const letter = await mail.letter(make(LARGE_BYTES));
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 1; round <= bench.settings.rounds; round++) {
      ours.push(await cpuMsOf(byPostern(letter, mail.zone), leastMs));
      theirs.push(await cpuMsOf(byMailauth(letter, mail.zone), leastMs));
    }
    const share = spreadOf(ours.map((ms, round) => ms / theirs[round]!));
    megabytes.push({ body, ours: spreadOf(ours), mailauth: spreadOf(theirs), share });
  }
  return megabytes;
}

const megabyteTable = (megabytes: readonly Megabyte[]): Table => ({
  title: 'a megabyte, CPU ms, median (least-most)',
  columns: ['', 'SPF, DKIM, DMARC', "mailauth's DKIM", 'ratio'],
  rows: megabytes.map(({ body, ours, mailauth, share }) => [body, ...[ours, mailauth, share].map(spreadText)]),
});

function missed(turns: Turns, ways: readonly Way[], megabytes: readonly Megabyte[]): string[] {
  const rates = ways.map(({ name }) => ({ name, share: turns.ratio(name, WITH, WITHOUT, perSecond).median }));
  const slow = rates.filter(({ share }) => share < RATE_SHARE_MIN);
  const costly = megabytes.filter(({ share }) => share.median > MAILAUTH_SHARE_MAX);
  return [
    ...slow.map(({ name, share }) => `${name}: ${digits(share)} of the rate without; ${RATE_SHARE_MIN} is wanted`),
    ...costly.map(({ body, share }) => `a megabyte of ${body}: ${digits(share.median)} of mailauth's CPU time`),
  ];
}

const headlines = (turns: Turns, ways: readonly Way[], megabytes: readonly Megabyte[]): string[] => [
  ...ways.map(({ name }) => {
    const rate = spreadText(turns.ratio(name, WITH, WITHOUT, perSecond));
    const more = spreadText(turns.difference(name, WITH, WITHOUT, cpuMsPerMessage));
    return `${name}: ${rate} of the rate without, ${more} ms of CPU more a message`;
  }),
  ...megabytes.map(({ body, share }) => `a megabyte of ${body}: ${spreadText(share)} of mailauth's CPU time`),
];
