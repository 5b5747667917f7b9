/**
 * The demo: npm run demo (-- --help tells the rest)
 *
 *   "Internet" source ─► outside ─► Postern ─► inside server       (castle.example, keep.example)
 *   inside source     ─► inside  ─► Postern ─► mail exchangers     (names and MX records from a DNS in this process)
 *
 * A thousand messages each way, and a thousand more while first a shard and then the whole process is killed. Every
 * copy that arrives is compared byte by byte. The dashboard stays until Ctrl-C. Exit code 1: something was lost or
 * altered.
 */
import { EventEmitter } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flag, option, parseOrExit, whole } from './arguments.ts';
import { pause, type Table } from './bench.ts';
import { type Carried, Carrier } from './demo/carrier.ts';
import { INSIDE_DOMAINS, INTERNET_DOMAINS, INTERNET_SENDERS, World } from './demo/world.ts';
import { Ledger } from './load/ledger.ts';
import { inPlaceOf, type Postern, type PosternOptions, startPostern } from './peers/postern.ts';
import { digits, tableText } from './report.ts';

const SHARDS = 2;
const DOOMED_SHARD = 0;
const MESSAGES_MIN = 100;
const POLL_MS = 2;
const EXIT_INTERRUPTED = 130;
const FOLDER = fileURLToPath(new URL(`../var/demo-${process.pid}`, import.meta.url));

const signals = new EventEmitter();

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** `run` marks the messages of a series, and is the seed that they are made from. */
function carriers(
  world: World,
  postern: Postern,
  run: number,
  messages: number,
): [inbound: Carrier, outbound: Carrier] {
  const inbound = new Ledger(run, messages, { senderDomains: INTERNET_SENDERS, recipientDomains: INSIDE_DOMAINS });
  const outbound = new Ledger(run + 1, messages, { senderDomains: INSIDE_DOMAINS, recipientDomains: INTERNET_DOMAINS });
  world.expect(inbound);
  world.expect(outbound);
  say(`  ${digits(messages)} messages each way, ${digits((inbound.bytes() + outbound.bytes()) / 1e6)} MB`);
  return [new Carrier('in', inbound, postern.outside), new Carrier('out', outbound, postern.inside)];
}

/** One way after the other, so that each has the machine for itself. */
async function calm(world: World, postern: Postern, messages: number): Promise<Carried[]> {
  const [inbound, outbound] = carriers(world, postern, 1, messages);
  return [await inbound.run(), await outbound.run()];
}

/** Both ways at once: a shard is killed after a third of the messages, the whole process after two. */
async function stormy(
  world: World,
  first: Postern,
  options: PosternOptions,
  messages: number,
): Promise<{ carried: Carried[]; postern: Postern }> {
  const both = carriers(world, first, 3, messages);
  const ended = Promise.all(both.map((carrier) => carrier.run()));
  const share = async (part: number): Promise<void> => {
    const over = ended.then(() => true);
    while (both.reduce((sum, carrier) => sum + carrier.acknowledged, 0) < part * 2 * messages) {
      if (await Promise.race([over, pause(POLL_MS)]))
        throw new Error('the mail was through before anything was killed');
    }
  };
  await share(1 / 3);
  first.killShard(DOOMED_SHARD);
  say(`  shard ${DOOMED_SHARD} killed`);
  await share(2 / 3);
  await first.kill();
  const postern = await startPostern(inPlaceOf(first, options));
  say(`  process killed (SIGKILL), ready again on the same spool after ${digits(postern.readyMs)} ms`);
  return { carried: await ended, postern };
}

function table(title: string, all: readonly Carried[]): Table {
  const rows = all.map(({ name, sent, acknowledged, lost, seconds, latency, verdict }) => [
    name,
    digits(sent),
    digits(acknowledged),
    digits(verdict.delivered),
    digits(verdict.identical),
    `${lost}`,
    `${verdict.twice}`,
    digits(verdict.delivered / seconds),
    `${digits(latency.p50Us / 1000)} / ${digits(latency.p99Us / 1000)}`,
  ]);
  const columns = ['', 'sent', 'accepted', 'delivered', 'identical', 'lost', 'twice', 'per second', '250 p50/p99 ms'];
  return { title, columns, rows };
}

const sound = ({ lost, verdict, acknowledged }: Carried): boolean =>
  lost === 0 && verdict.strange === 0 && acknowledged === verdict.messages && verdict.identical === verdict.messages;

async function demo(messages: number, stay: boolean): Promise<boolean> {
  const world = await World.start();
  mkdirSync(FOLDER, { recursive: true });
  const environment = {
    ...world.environment(),
    WORKERS: `${SHARDS}`,
    RETRY_SECONDS: '1',
    CLIENT_CONNECTIONS_MAX: '1000',
  };
  const options: PosternOptions = { folder: FOLDER, environment, mortal: true };
  let postern = await startPostern(options);
  try {
    const { outside, inside } = postern;
    say(
      `Postern is up: outside ${outside.host}:${outside.port}, inside ${inside.host}:${inside.port}, ${SHARDS} shards`,
    );
    const quiet = await calm(world, postern, messages);
    say(tableText(table('undisturbed', quiet)));
    const storm = await stormy(world, postern, options, messages);
    postern = storm.postern;
    say(tableText(table('a shard killed at a third, the process at two thirds', storm.carried)));
    const good = [...quiet, ...storm.carried].every(sound) && world.strange === 0;
    say(
      good ? 'Nothing lost, nothing altered.' : `SOMETHING WAS LOST OR ALTERED (log: ${join(FOLDER, 'postern.log')})`,
    );
    if (postern.admin !== undefined && stay) {
      say(`Dashboard: http://${postern.admin.host}:${postern.admin.port}/   (Ctrl-C ends)`);
      await new Promise((resolve) => signals.on('leave', resolve));
    }
    return good;
  } finally {
    await postern.stop();
    await world.close();
  }
}

const {
  values: { exit, messages },
} = parseOrExit(
  {
    name: 'demo',
    purpose: 'Relays mail both ways on loopback, with a kill in the middle.',
    table: {
      exit: flag('ends when the mail is there, without waiting for Ctrl-C'),
      messages: option('N', whole(MESSAGES_MIN, 1_000_000), 'so many, each way', '1000'),
    },
  },
  process.argv.slice(2),
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Before the end nobody listens: the demo is over half way, and its Postern with it.
    if (!signals.emit('leave')) process.exit(EXIT_INTERRUPTED);
  });
}
const good = await demo(messages, !exit);
if (good) rmSync(FOLDER, { recursive: true, force: true });
process.exitCode = good ? 0 : 1;
