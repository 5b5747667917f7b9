/**
 * The bench: npm run bench [-- SCENARIO …] [--list] [--quick] [--rounds N] [--messages N]
 *      [--vs postfix|none] [--json FILE]
 *
 * Relay, source and sink are processes of their own. Exit code 1 where a scenario's work was not done as promised:
 * then its figures are void, whatever they say.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Bench, type Outcome, type Scenario } from './bench.ts';
import { postfixInstalled } from './peers/postfix.ts';
import { circumstances, scenarioText } from './report.ts';
import { SCENARIOS } from './scenarios/all.ts';

const ROUNDS = 3;

function wantedScenarios(names: readonly string[]): Scenario[] {
  if (names.length === 0) return SCENARIOS.slice(0, 1);
  return names.map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found === undefined) throw new Error(`no scenario "${name}"; --list shows them`);
    return found;
  });
}

function wantedMessages(text: string | undefined, scenarios: readonly Scenario[]): number | undefined {
  if (text === undefined) return undefined;
  const fixed = scenarios.filter((scenario) => scenario.messages === undefined).map(({ name }) => name);
  if (fixed.length > 0) throw new Error(`--messages: ${fixed.join(', ')} cannot send more or fewer`);
  const messages = Number(text);
  if (!(Number.isSafeInteger(messages) && messages >= 1000)) throw new Error(`--messages ${text}: 1000 at least`);
  return messages;
}

function list(): string {
  const text = ({ name, question, load, bound, checks }: Scenario): string =>
    `${name}\n  question  ${question}\n  load      ${load}\n  bound     ${bound}\n  checks    ${checks}\n`;
  return `${SCENARIOS.map(text).join('\n')}\nWithout a name, relay-small runs.\n`;
}

async function measure(scenario: Scenario, bench: Bench): Promise<Outcome> {
  bench.say(`${scenario.name}: ${scenario.load}`);
  try {
    return await scenario.run(bench);
  } finally {
    await bench.end();
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    messages: { type: 'string' },
    vs: { type: 'string' },
    json: { type: 'string' },
  },
});
if (values.list) process.stdout.write(list());
else {
  const scenarios = wantedScenarios(positionals);
  if (!['postfix', 'none', undefined].includes(values.vs)) throw new Error(`--vs ${values.vs}: postfix or none`);
  if (values.vs === 'postfix' && !postfixInstalled()) throw new Error('Postfix is not installed, or this is not root');
  const messages = wantedMessages(values.messages, scenarios);
  const bench = new Bench({
    quick: values.quick,
    rounds: Number(values.rounds ?? (values.quick ? 1 : ROUNDS)),
    postfix: values.vs === undefined ? postfixInstalled() : values.vs === 'postfix',
    messages,
  });
  process.once('SIGINT', () => void bench.end().finally(() => process.exit(130)));
  const facts = circumstances(`npm run bench -- ${process.argv.slice(2).join(' ')}`);
  const results: Record<string, Outcome> = {};
  for (const scenario of scenarios) {
    const outcome = await measure(scenario, bench);
    results[scenario.name] = outcome;
    process.stdout.write(scenarioText(scenario, outcome));
    if (outcome.failures.length > 0) process.exitCode = 1;
  }
  process.stdout.write(
    `\n${Object.entries(facts)
      .map(([name, value]) => `  ${name.padEnd(8)} ${value}\n`)
      .join('')}`,
  );
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ ...facts, results }, undefined, 2)}\n`);
}
