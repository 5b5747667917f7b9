/**
 * The command line of a program from one table: each row an option with its value, its default and its help.
 *
 * A fault names the option and says what is right; all of them are told at once, and the program ends with 2 before it
 * has touched a socket. `--help` is printed from the same rows.
 */
import { accessSync, constants } from 'node:fs';
import { parseArgs } from 'node:util';
import { nearest } from '../src/config/nearest.ts';

/** How a value is read; undefined where it is not what `right` says. */
export type Reader<T> = { readonly right: string; readonly read: (text: string) => T | undefined };

export type Row<T> = {
  /** What stands for the value in the help; '': a switch. */
  readonly value: string;
  readonly help: string;
  readonly preset: string | undefined;
  readonly reader: Reader<T>;
};
export type Table = Readonly<Record<string, Row<unknown>>>;
export type Values<T extends Table> = { readonly [K in keyof T]: T[K] extends Row<infer V> ? V : never };

export type Program<T extends Table> = {
  readonly name: string;
  /** What it does, for the help. */
  readonly purpose: string;
  /** What stands for words that are no option's value in the help; without it there are none. */
  readonly words?: string;
  readonly table: T;
  /** What is wrong with values that are right one by one. */
  readonly faults?: (values: Values<T>, words: readonly string[]) => readonly string[];
};

export type Parsed<T extends Table> =
  | { readonly tag: 'help'; readonly text: string }
  | { readonly tag: 'faults'; readonly faults: readonly string[] }
  | { readonly tag: 'values'; readonly values: Values<T>; readonly words: readonly string[] };

const HELP_COLUMN = 34;

export const flag = (help: string): Row<boolean> => ({
  value: '',
  help,
  preset: undefined,
  reader: { right: 'no value', read: () => true },
});

export const optional = <T>(value: string, reader: Reader<T>, help: string): Row<T | undefined> => ({
  value,
  help,
  preset: undefined,
  reader,
});

export const option = <T>(value: string, reader: Reader<T>, help: string, preset: string): Row<T> => ({
  value,
  help,
  preset,
  reader,
});

export const text: Reader<string> = { right: 'a text', read: (given) => (given === '' ? undefined : given) };

/** Of a file that is there. */
export const file: Reader<string> = {
  right: 'a file that can be read',
  read: (given) => {
    try {
      accessSync(given, constants.R_OK);
      return given;
    } catch {
      return undefined;
    }
  },
};

/** For what goes into a command line of SMTP: a control character would end it, or make it another. */
export const line: Reader<string> = {
  right: 'a text without control characters',
  read: (given) => (/^[^\p{Cc}]+$/u.test(given) ? given : undefined),
};

export const whole = (least: number, most: number): Reader<number> => ({
  right: `a whole number from ${least} to ${most}`,
  read: (given) => within(/^\d{1,15}$/, given, least, most),
});

export const decimal = (least: number, most: number): Reader<number> => ({
  right: `a number from ${least} to ${most}`,
  read: (given) => within(/^\d{0,15}(?:\.\d{1,9})?$/, given, least, most),
});

export const oneOf = <T extends string>(...words: readonly T[]): Reader<T> => ({
  right: words.join(' or '),
  read: (given) => words.find((word) => word.toLowerCase() === given.toLowerCase()),
});

/** Comma-separated; nothing is the empty list. */
export const listOf = <T>(of: Reader<T>): Reader<readonly T[]> => ({
  right: `${of.right}; several with commas between them`,
  read: (given) => {
    const read = (given === '' ? [] : given.split(',')).map((one) => of.read(one));
    const good = read.filter((one) => one !== undefined);
    return good.length === read.length ? good : undefined;
  },
});

function within(shape: RegExp, given: string, least: number, most: number): number | undefined {
  const value = given !== '' && shape.test(given) ? Number(given) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}

export function parse<T extends Table>(program: Program<T>, args: readonly string[]): Parsed<T> {
  const { table } = program;
  const kinds = Object.entries(table).map(([name, { value }]) => {
    const type: 'boolean' | 'string' = value === '' ? 'boolean' : 'string';
    return [name, { type }] as const;
  });
  const options = { ...Object.fromEntries(kinds), help: { type: 'boolean' as const, short: 'h' } };
  // Node's own strictness stops at the first fault; with its tokens all of them are found.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const given = new Map<string, string>();
  const words: string[] = [];
  const faults: string[] = [];
  let unknown = false; // what follows an option that is none may have been its value
  for (const token of tokens) {
    if (token.kind === 'positional' && program.words !== undefined) words.push(token.value);
    else if (token.kind === 'positional' && !unknown)
      faults.push(`${JSON.stringify(token.value)}: every value belongs to an option`);
    unknown = token.kind === 'option' && !Object.hasOwn(table, token.name);
    if (token.kind !== 'option') continue;
    if (token.name === 'help') return { tag: 'help', text: helpOf(program) };
    const fault = faultOf(table, token);
    if (fault !== undefined) faults.push(fault);
    else if (given.has(token.name)) faults.push(`--${token.name} is given twice`);
    given.set(token.name, token.value ?? '');
  }
  const values: Record<string, unknown> = {};
  if (faults.length === 0)
    for (const [name, row] of Object.entries(table)) {
      const text = given.get(name) ?? row.preset;
      values[name] = text === undefined ? (row.value === '' ? false : undefined) : row.reader.read(text);
    }
  const all = faults.length > 0 ? faults : (program.faults?.(values as Values<T>, words) ?? []);
  return all.length > 0 ? { tag: 'faults', faults: all } : { tag: 'values', values: values as Values<T>, words };
}

type Given = { readonly name: string; readonly value?: string | undefined; readonly inlineValue?: boolean | undefined };

function faultOf(table: Table, { name, value, inlineValue }: Given): string | undefined {
  const row = Object.hasOwn(table, name) ? table[name] : undefined;
  if (row === undefined) {
    const meant = nearest(name, Object.keys(table));
    return `--${name} is no option${meant === null ? '' : `; did you mean --${meant}?`} (--help lists them)`;
  }
  if (row.value === '') return value === undefined ? undefined : `--${name} takes no value`;
  if (value === undefined || (value.startsWith('-') && inlineValue !== true)) {
    return `--${name} needs a value: --${name} ${row.value}, or --${name}=… where it begins with a hyphen`;
  }
  return row.reader.read(value) === undefined
    ? `--${name} ${JSON.stringify(value)}: what is right is ${row.reader.right}`
    : undefined;
}

function helpOf<T extends Table>({ name, purpose, words, table }: Program<T>): string {
  const rows = Object.entries(table).map(([key, { value, help, preset }]) => {
    const head = `  --${key}${value === '' ? '' : ` ${value}`}`;
    const tail = preset === undefined || preset === '' ? help : `${help} (default: ${preset})`;
    return head.length < HELP_COLUMN - 1
      ? `${head.padEnd(HELP_COLUMN)}${tail}`
      : `${head}\n${' '.repeat(HELP_COLUMN)}${tail}`;
  });
  const usage = words === undefined ? '[options]' : `[${words}] [options]`;
  return `${purpose}\n\nnpm run ${name} -- ${usage}\n\n${rows.join('\n')}\n`;
}

/** Values and words, or the end of the process: with the help, or with 2 and every fault. */
export function parseOrExit<T extends Table>(
  program: Program<T>,
  args: readonly string[],
): Extract<Parsed<T>, { tag: 'values' }> {
  const parsed = parse(program, args);
  if (parsed.tag === 'values') return parsed;
  if (parsed.tag === 'help') {
    process.stdout.write(parsed.text);
    process.exit(0);
  }
  for (const fault of parsed.faults) process.stderr.write(`${program.name}: ${fault}\n`);
  process.exit(2);
}
