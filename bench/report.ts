/** Figures as a reader wants them: medians with their spread, tables, and where they were measured. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Spread, Table } from './bench.ts';
import { WARMING } from './measure/warm.ts';
import type { Circumstances, Result, ScenarioResult } from './result.ts';

export type { Spread } from './bench.ts';

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  return { median, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 };
}

/** Load average a CPU above which others take a part of what is measured. */
const BUSY = 0.5;
/** After a commit whose files are not those of the tree any more. */
export const CHANGED = ' with changes';

/** `5,120` or `0.28`: three digits that matter. */
export function digits(value: number): string {
  const whole = Math.abs(value) >= 100;
  return value.toLocaleString('en', whole ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

export const spreadText = ({ median, least, most }: Spread): string =>
  least === most ? digits(median) : `${digits(median)} (${digits(least)}-${digits(most)})`;

export const mib = (bytes: number): string => `${digits(bytes / 1_048_576)} MiB`;

export function tableText({ title, columns, rows }: Table): string {
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [title, line(columns), rule, ...rows.map(line)].map((text) => `  ${text}\n`).join('');
}

/** Machine, versions, commit and command: without them a figure is hearsay. */
export function circumstances(command: string, rounds: number): Circumstances {
  const git = (...words: string[]): string => {
    try {
      return execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      return '';
    }
  };
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : CHANGED;
  const [cpu] = cpus();
  return {
    date: new Date().toISOString(),
    machine: `${cpus().length} x ${cpu?.model.trim() ?? 'unknown CPU'}`,
    loadBefore: Math.round(((loadavg()[0] ?? 0) / cpus().length) * 100) / 100,
    memory: mib(totalmem()),
    system: `Linux ${release()}`,
    node: process.version,
    commit: `${git('rev-parse', '--short', 'HEAD') || 'unknown'}${changed}`,
    command,
    rounds,
  };
}

/** Said where it matters: a ratio bears some noise, and not any. */
export const busyText = ({ loadBefore }: Result): string =>
  loadBefore > BUSY ? `  the machine was busy before it began: load average ${loadBefore} a CPU\n` : '';

export const circumstancesText = ({ scenarios: _, ...facts }: Result): string =>
  `\n${Object.entries(facts)
    .map(([name, value]) => `  ${name.padEnd(10)} ${value}\n`)
    .join('')}  ${WARMING}\n`;

export function scenarioText(scenario: ScenarioResult): string {
  const { name, question, headlines, relays, tables, failures, checks } = scenario;
  const lines = [`\n${name}: ${question}\n`, ...headlines.map((line) => `  ${line}\n`), '\n'];
  lines.push(...tables.map((table) => `${tableText(table)}\n`));
  const versions = relays.filter(({ version }) => version !== '').map((one) => `${one.name} ${one.version}`);
  if (versions.length > 0) lines.push(`  versions: ${versions.join(', ')}\n`);
  if (failures.length === 0) lines.push(`  checked: ${checks}\n`);
  for (const failure of failures) lines.push(`  FAILED: ${failure}\n`);
  return lines.join('');
}
