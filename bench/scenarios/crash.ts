/** The relay is killed in the middle of load, again and again, and must keep what it promised. */
import { type Bench, delivery, LOAD_ENVIRONMENT, type Outcome, pause, type Scenario } from '../bench.ts';
import { random } from '../load/text.ts';
import { inPlaceOf, type PosternOptions, startPostern } from '../peers/postern.ts';
import { digits, spreadOf, spreadText } from '../report.ts';

const KILLS = 10;
const QUICK_KILLS = 2;
const CONNECTIONS = 20;
const BYTES = 8_192;
const LIFE_MS_MIN = 400;
const LIFE_MS_SPREAD = 1_200;
/** A load that ends by itself only if the scenario forgets to stop it. */
const SECONDS_MAX = 300;

export const crash: Scenario = {
  name: 'crash',
  question:
    'is every message that was answered 250 delivered when the relay is killed (SIGKILL) in the middle of load?',
  load:
    `${BYTES}-byte messages from ${CONNECTIONS} connections that come back at once; ${KILLS} kills, each ` +
    `${LIFE_MS_MIN / 1000} to ${(LIFE_MS_MIN + LIFE_MS_SPREAD) / 1000} s after the relay was ready`,
  bound: 'nothing: one lost or altered message is a defect. Some messages come twice, those under way at the kill',
  checks: 'numbers answered 250 against numbers at the sink, CRC-32 as sent',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const kills = bench.settings.quick ? QUICK_KILLS : KILLS;
  const sink = bench.sink();
  const source = bench.source();
  const { port: sinkPort } = await sink.call('listen', {});
  const options: PosternOptions = {
    folder: bench.folder('postern'),
    environment: { ...LOAD_ENVIRONMENT, INSIDE_ROUTE: `smtp://127.0.0.1:${sinkPort}`, RETRY_SECONDS: '1' },
  };
  let postern = bench.started(await startPostern(options));
  const again = inPlaceOf(postern, options);
  const load = source.call('run', {
    port: postern.outside.port,
    connections: CONNECTIONS,
    messagesPerConnection: 100,
    seconds: SECONDS_MAX,
    bytes: BYTES,
    pipelining: true,
  });
  const chance = random(kills);
  const readyMs: number[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    await pause(LIFE_MS_MIN + chance.below(LIFE_MS_SPREAD));
    const before = await source.call('progress', undefined);
    await postern.kill();
    postern = bench.started(await startPostern(again));
    readyMs.push(postern.readyMs);
    bench.say(
      `  kill ${kill}: ${before.acknowledged} answered 250 so far, ready again after ${digits(postern.readyMs)} ms`,
    );
  }
  await pause(LIFE_MS_MIN);
  await source.call('stop', undefined);
  const report = await load;
  const { counts, lost } = await delivery(source, sink, report);

  const failures: string[] = [];
  if (lost.length > 0) failures.push(`${lost.length} lost after their 250, first ${lost[0]}`);
  if (counts.altered > 0) failures.push(`${counts.altered} altered`);
  const unanswered = report.attempted - report.acknowledged;
  if (unanswered === 0) failures.push('no kill hit a message under way: the load was too light to show anything');
  return {
    headlines: [
      `${kills} kills, ${report.acknowledged} messages answered 250: ${lost.length} lost, ${counts.altered} altered`,
    ],
    tables: [
      {
        title: 'messages',
        columns: ['answered 250', 'lost', 'altered', 'twice', 'no answer', 'of those delivered', 'ready again, ms'],
        rows: [
          [
            digits(report.acknowledged),
            `${lost.length}`,
            `${counts.altered}`,
            `${counts.duplicates}`,
            `${unanswered}`,
            `${counts.distinct + lost.length - report.acknowledged}`,
            spreadText(spreadOf(readyMs)),
          ],
        ],
      },
    ],
    failures,
    figures: { kills, report, counts, lost, readyMs },
  };
}
