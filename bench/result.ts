/**
 * The result of a run as a document: what was asked, of whom, on what machine, and every figure. Written with --json
 * and --save, read back for --read and --check; a file may be anything, so reading checks all that is used.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Outcome, Scenario } from './bench.ts';
import { Wrong } from './options.ts';

const FILE_BYTES_MAX = 32 << 20;

const texts = z.array(z.string());
const figure = z.number().nullable();
const spread = { median: figure, least: figure, most: figure };

const scenario = z.strictObject({
  name: z.string(),
  question: z.string(),
  load: z.string(),
  bound: z.string(),
  checks: z.string(),
  headlines: texts,
  ratios: z.array(z.strictObject({ name: z.string(), better: z.enum(['more', 'less']), ...spread })),
  charts: z.array(
    z.strictObject({
      title: z.string(),
      unit: z.string(),
      bars: z.array(z.strictObject({ name: z.string(), ...spread })),
    }),
  ),
  relays: z.array(z.strictObject({ name: z.string(), version: z.string(), durability: z.string() })),
  tables: z.array(z.strictObject({ title: z.string(), columns: texts, rows: z.array(texts) })),
  failures: texts,
  figures: z.json(),
});

const result = z.strictObject({
  /** ISO 8601, UTC. */
  date: z.iso.datetime(),
  /** Ratios to the ceiling are compared between results of the same machine only. */
  machine: z.string(),
  /** Of the last minute before it began, a CPU: above 1 somebody else was at work. */
  loadBefore: z.number(),
  memory: z.string(),
  system: z.string(),
  node: z.string(),
  commit: z.string(),
  command: z.string(),
  rounds: z.int().min(1),
  scenarios: z.array(scenario),
});

export type ScenarioResult = z.infer<typeof scenario>;
export type Result = z.infer<typeof result>;
export type Circumstances = Omit<Result, 'scenarios'>;

/** As it would be read back: what is not a number in JSON (a ratio to nothing) is null here, too. */
export function scenarioResult({ name, question, load, bound, checks }: Scenario, outcome: Outcome): ScenarioResult {
  const { headlines, ratios = [], charts = [], relays = [], tables, failures, figures } = outcome;
  const whole = { headlines, ratios, charts, relays, tables, failures, figures: figures ?? null };
  return scenario.parse(JSON.parse(JSON.stringify({ name, question, load, bound, checks, ...whole })));
}

/** Throws, with the place, where it is not a result. */
export function parseResult(text: string, name: string): Result {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Wrong(`${name}: not JSON`);
  }
  const parsed = result.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Wrong(`${name}: not a result of the bench: ${issue?.path.join('.') || 'the document'}: ${issue?.message}`);
}

export function readResult(path: string): Result {
  if (!existsSync(path)) throw new Wrong(`${path}: there is no such file`);
  const text = readFileSync(path, 'utf8');
  if (text.length > FILE_BYTES_MAX) throw new Wrong(`${path}: too large for a result`);
  return parseResult(text, path);
}

export const resultText = (one: Result): string => `${JSON.stringify(one, undefined, 2)}\n`;

/** Into `folder`, under its date and commit; says where. */
export function keep(one: Result, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${one.date.slice(0, 19).replaceAll(':', '')}-${one.commit}.json`);
  writeFileSync(path, `${JSON.stringify(one)}\n`);
  return path;
}

/** The latest that was kept of this scenario on this machine. */
export function latestKept(folder: string, machine: string, scenarioName: string): ScenarioResult | undefined {
  if (!existsSync(folder)) return undefined;
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  const kept = names.map((name) => readResult(join(folder, name))).filter((one) => one.machine === machine);
  const latest = kept.toSorted((a, b) => b.date.localeCompare(a.date));
  for (const { scenarios } of latest) {
    const found = scenarios.find(({ name }) => name === scenarioName);
    if (found !== undefined) return found;
  }
  return undefined;
}
