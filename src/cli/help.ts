/** What `--help` says, printed from the tables. */
import type { Flag, FlagName, QueueCommand, QueueCommandName } from './commands.ts';
import { CHECK_FLAGS, FLAGS, QUEUE_COMMANDS } from './commands.ts';
import { EXIT } from './exit_codes.ts';

const IDS = { any: '[ID…] [options]', some: 'ID… [options]', one: 'ID [options]' } as const;

const FILTER_WORDS = [
  'Ids and filters say which recipients are meant: those of one kind are alternatives, kinds are conditions.',
  'In a filter * stands for any text (quote it from the shell). Local parts are compared as they were received;',
  '\\xNN, as list prints white space, stands for its character.',
].join('\n');

/** Two columns; the first as wide as its longest text. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}

const exits = (): string => columns(Object.values(EXIT).map(([code, meaning]) => [String(code), meaning]));

export function generalHelp(): string {
  const commands = Object.entries(QUEUE_COMMANDS).map(([name, { about }]) => [`queue ${name}`, about] as const);
  return [
    'postern COMMAND [--help]',
    '',
    columns([
      ['start', 'the relay itself, configured by its environment; as npm start'],
      ['config schema', 'the JSON Schema of the policy file, its facts, and what an HTTP hook is sent'],
      ['config check FILE', 'the faults of a policy file'],
      ['check', 'what the policy says to a client and a message, and why; nothing is sent'],
      ...commands,
    ]),
    '',
    'Queue commands speak to the process that has the spool; list, show, cat and stats also read a spool without one.',
    '',
    'Exit codes:',
    exits(),
    '',
  ].join('\n');
}

const flagRows = (flags: readonly FlagName[]): string =>
  columns(
    flags.map((each) => {
      const { value, about }: Flag = FLAGS[each];
      return [`--${each}${value === '' ? '' : ` ${value}`}`, about] as const;
    }),
  );

const CHECK_WORDS = [
  'The dialogue goes as far as it is told: --ip alone is a connection, --helo, --from and --to are its next commands, and',
  'MESSAGE is a file or - for standard input. The environment is that of the relay. DNS, directories and filters are',
  'asked for real; the running process is not asked, and nothing of it is changed: see the notes in the answer.',
].join('\n');

export function checkHelp(): string {
  return [
    'postern check --ip ADDRESS [--helo NAME [--from ADDRESS [--to ADDRESS… [MESSAGE]]]] [options]',
    '',
    '  what the policy says to a client and a message, and why; nothing is sent',
    '',
    flagRows(CHECK_FLAGS),
    '',
    CHECK_WORDS,
    '',
    'Exit codes:',
    exits(),
    '',
  ].join('\n');
}

export function queueHelp(name: QueueCommandName): string {
  const { ids, flags, about }: QueueCommand = QUEUE_COMMANDS[name];
  return [
    `postern queue ${name} ${IDS[ids]}`,
    '',
    `  ${about}`,
    '',
    flagRows(flags),
    '',
    ...(flags.includes('sender') ? [FILTER_WORDS, ''] : []),
    'Exit codes:',
    exits(),
    '',
  ].join('\n');
}
