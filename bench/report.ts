/** Figures as a reader wants them: medians with their spread, tables, and where they were measured. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import type { Outcome, Scenario, Table } from './bench.ts';

export type Spread = { readonly median: number; readonly least: number; readonly most: number };

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  return { median, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 };
}

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
export function circumstances(command: string): Record<string, string> {
  const git = (...words: string[]): string => {
    try {
      return execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      return '';
    }
  };
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes';
  const [cpu] = cpus();
  return {
    date: new Date().toISOString(),
    machine: `${cpus().length} x ${cpu?.model.trim() ?? 'unknown CPU'}, ${mib(totalmem())}, Linux ${release()}`,
    node: process.version,
    commit: `${git('rev-parse', '--short', 'HEAD') || 'unknown'}${changed}`,
    command,
  };
}

export function scenarioText(scenario: Scenario, outcome: Outcome): string {
  const lines = [`\n${scenario.name}: ${scenario.question}\n`, ...outcome.headlines.map((line) => `  ${line}\n`), '\n'];
  lines.push(...outcome.tables.map((table) => `${tableText(table)}\n`));
  if (outcome.failures.length === 0) lines.push(`  checked: ${scenario.checks}\n`);
  for (const failure of outcome.failures) lines.push(`  FAILED: ${failure}\n`);
  return lines.join('');
}
