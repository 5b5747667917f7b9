/** The words behind a command, as flags with their values and the rest; every fault of them at once. */
import { parseArgs } from 'node:util';
import { nearest } from '../config/nearest.ts';
import type { Flag, FlagName } from './commands.ts';
import { FLAGS } from './commands.ts';

/** What stood on the line, each flag with its values. */
export type Line = { readonly flags: ReadonlyMap<FlagName, readonly string[]>; readonly words: readonly string[] };

export type Command = {
  readonly name: string;
  readonly allowed: readonly FlagName[];
  /** What to type for all of them. */
  readonly help: string;
};

export function unknown(kind: string, given: string, known: readonly string[], where: string): string {
  const meant = nearest(given, known);
  const advice = meant === null ? '' : `; did you mean ${meant}?`;
  return `${JSON.stringify(given)} is no ${kind}${advice} (${where} lists them)`;
}

const OPTIONS = Object.fromEntries([
  ...Object.entries(FLAGS).map(([name, { value }]) => [
    name,
    value === '' ? { type: 'boolean' as const } : { type: 'string' as const },
  ]),
  ['help', { type: 'boolean' as const, short: 'h' }],
]);

/** Node's own strictness stops at the first fault; with its tokens all of them are found. */
export function readLine({ name, allowed, help }: Command, args: readonly string[], faults: string[]): Line {
  const flags = new Map<FlagName, string[]>();
  const words: string[] = [];
  const { tokens } = parseArgs({ args: [...args], options: OPTIONS, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = token.name as FlagName;
    if (!allowed.includes(flag)) {
      const known = allowed.map((each) => `--${each}`);
      faults.push(unknown(`option of ${name}`, token.rawName, known, help));
      continue;
    }
    const row: Flag = FLAGS[flag];
    const values = flags.get(flag) ?? [];
    if (row.value === '' && token.value !== undefined) faults.push(`--${flag} takes no value`);
    else if (row.value !== '' && isMissing(token.value, token.inlineValue)) {
      faults.push(`--${flag} needs a value: --${flag} ${row.value}, or --${flag}=… where it begins with a hyphen`);
    } else if (values.length > 0 && row.multiple !== true && row.value !== '') faults.push(`--${flag} is given twice`);
    flags.set(flag, [...values, token.value ?? '']);
  }
  return { flags, words };
}

const isMissing = (value: string | undefined, inline: boolean | undefined): boolean =>
  value === undefined || (value.startsWith('-') && inline !== true);
