/**
 * The bench: npm run bench [-- SCENARIO …] (--help tells the rest)
 *
 * Relay, source and sink are processes of their own. Exit code 1 where a scenario's work was not done as promised:
 * then its figures are void, whatever they say; and with --check where a hot path got slower. Exit code 2 where its
 * options were not understood.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseOrExit } from './arguments.ts';
import { Bench, type Outcome, type Scenario } from './bench.ts';
import { verdicts } from './guard.ts';
import { BENCH, roundsOf, type Wishes, Wrong } from './options.ts';
import { contenders, PEERS } from './peers/relays.ts';
import { busyText, CHANGED, circumstances, circumstancesText, scenarioText } from './report.ts';
import {
  keep,
  latestKept,
  type Result,
  readResult,
  resultText,
  type ScenarioResult,
  scenarioResult,
} from './result.ts';
import { BOUNDS } from './results/bounds.ts';
import { SCENARIOS } from './scenarios/all.ts';

/** Without a name. */
const DEFAULT = 'relay-small';
const RESULTS = fileURLToPath(new URL('./results', import.meta.url));

function wantedScenarios({ check, messages, vs }: Wishes, names: readonly string[]): Scenario[] {
  const bounded = SCENARIOS.filter(({ name }) => BOUNDS.some(({ scenario }) => scenario === name));
  if (names.length === 0 && check) return bounded;
  const wanted = names.length === 0 ? [DEFAULT] : names;
  const scenarios = wanted.map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found === undefined) throw new Wrong(`no scenario "${name}"; --list shows them`);
    if (check && !bounded.includes(found)) throw new Wrong(`--check: ${name} has no bound in results/bounds.ts`);
    return found;
  });
  const fixed = scenarios.filter((scenario) => scenario.messages === undefined).map(({ name }) => name);
  if (messages !== undefined && fixed.length > 0)
    throw new Wrong(`--messages: ${fixed.join(', ')} cannot send more or fewer`);
  if (vs !== undefined && vs !== 'none' && !scenarios.some(({ compares }) => compares))
    throw new Wrong(`--vs: ${scenarios.map(({ name }) => name).join(', ')}: Postern alone is measured there`);
  return scenarios;
}

function list(): string {
  const text = ({ name, question, load, bound, checks }: Scenario): string =>
    `${name}\n  question  ${question}\n  load      ${load}\n  bound     ${bound}\n  checks    ${checks}\n`;
  const peers = PEERS.map(({ name, durability, missing, getIt }) => {
    const why = missing();
    return `  ${name.padEnd(10)}${why === undefined ? 'is here' : `${why}. ${getIt}`}; before its 250: ${durability}\n`;
  });
  return `${SCENARIOS.map(text).join('\n')}\nWithout a name, ${DEFAULT} runs.\n\nPeers for --vs\n${peers.join('')}`;
}

function installPeers(names: readonly string[]): void {
  const fetched = PEERS.filter(({ install }) => install !== undefined);
  const wanted =
    names.length === 0 ? fetched.filter(({ missing }) => missing() !== undefined).map((one) => one.name) : names;
  for (const name of wanted) {
    const peer = fetched.find((one) => one.name === name);
    if (peer?.install === undefined)
      throw new Wrong(`${name}: ${fetched.map((one) => one.name).join(', ')} can be fetched`);
    try {
      peer.install();
    } catch (error) {
      throw new Wrong(`${name}: ${(error as Error).message}`);
    }
    process.stdout.write(`${name}: ${peer.missing() ?? 'is here'}\n`);
  }
}

async function measure(scenario: Scenario, bench: Bench): Promise<Outcome> {
  bench.say(`${scenario.name}: ${scenario.load}`);
  try {
    return await scenario.run(bench);
  } finally {
    await bench.end();
  }
}

async function measured(wishes: Wishes, names: readonly string[]): Promise<Result> {
  const { quick, messages, vs, check } = wishes;
  const rounds = roundsOf(wishes);
  const scenarios = wantedScenarios(wishes, names);
  // The guard asks how Postern is doing, not the others.
  const bench = new Bench({ quick, rounds, messages, contenders: contenders(check && vs === undefined ? 'none' : vs) });
  process.once('SIGINT', () => void bench.end().finally(() => process.exit(130)));
  const facts = circumstances(`npm run bench -- ${process.argv.slice(2).join(' ')}`.trim(), rounds);
  if (wishes.save && facts.commit.endsWith(CHANGED)) throw new Wrong('--save: commit first; a result is of a revision');
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const one = scenarioResult(scenario, await measure(scenario, bench));
    process.stdout.write(scenarioText(one));
    results.push(one);
  }
  return { ...facts, scenarios: results };
}

/** True where every bound holds. */
function check(result: Result, folder: string): boolean {
  const all = verdicts(result, (scenario) => latestKept(folder, result.machine, scenario), BOUNDS);
  process.stdout.write(
    `\n${busyText(result)}${all.map(({ good, text }) => `  ${good ? 'good  ' : 'FAILED'}  ${text}\n`).join('')}`,
  );
  if (all.length === 0) process.stdout.write('  FAILED  nothing that has a bound was measured\n');
  return all.length > 0 && all.every(({ good }) => good);
}

async function run(wishes: Wishes, names: readonly string[]): Promise<void> {
  const { read, json, html, save, results = RESULTS } = wishes;
  const result = read === undefined ? await measured(wishes, names) : readResult(read);
  if (read !== undefined) process.stdout.write(result.scenarios.map(scenarioText).join(''));
  process.stdout.write(circumstancesText(result));
  if (json !== undefined) writeFileSync(json, resultText(result));
  // Half a second to load, and of no use to most runs.
  if (html !== undefined) writeFileSync(html, (await import('./page.ts')).pageOf(result));
  const failed = result.scenarios.some(({ failures }) => failures.length > 0);
  // Before it is kept, or it would be compared with itself; and what got slower is no measure for what comes next.
  const slower = wishes.check && !check(result, results);
  if (failed || slower) process.exitCode = 1;
  if (save && !failed && !slower) process.stdout.write(`\n${busyText(result)}  kept in ${keep(result, results)}\n`);
}

const { values: wishes, words: names } = parseOrExit(BENCH, process.argv.slice(2));
try {
  if (wishes.list) process.stdout.write(list());
  else if (wishes['install-peers']) installPeers(names);
  else await run(wishes, names);
} catch (error) {
  if (!(error instanceof Wrong)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
