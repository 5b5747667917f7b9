/**
 * The command line as a command, or every fault at once, each a line that says what to write. Strict: what is not
 * understood is refused, so that a misspelt filter never becomes a wider one.
 */
import { LIMITS } from '../config/limits.ts';
import type { QueueFilter, QueueState } from '../relay/queue_filter.ts';
import { filterFaults, isEverything, QUEUE_STATES } from '../relay/queue_filter.ts';
import type { QueueRequest } from '../relay/queue_requests.ts';
import { GROUPINGS } from '../relay/queue_requests.ts';
import type { CheckOrder } from './check_arguments.ts';
import { parseCheck } from './check_arguments.ts';
import type { FlagName, QueueCommand, QueueCommandName } from './commands.ts';
import { QUEUE_COMMANDS } from './commands.ts';
import { generalHelp, queueHelp } from './help.ts';
import type { Line } from './line.ts';
import { readLine, unknown } from './line.ts';

export type QueueOrder = {
  readonly tag: 'queue';
  readonly request: QueueRequest;
  readonly json: boolean;
  /** Null: as the environment has it. */
  readonly spoolDir: string | null;
  readonly offline: boolean;
};

export type Parsed =
  | { readonly tag: 'help'; readonly text: string }
  | { readonly tag: 'faults'; readonly faults: readonly string[] }
  | { readonly tag: 'start' }
  | { readonly tag: 'schema' }
  | { readonly tag: 'policy-faults'; readonly file: string }
  | CheckOrder
  | QueueOrder;

const COMMANDS = ['start', 'check', 'queue', 'config', 'help'];
const ROWS_DEFAULT = 1000;
const ROWS_MAX = 1e9;
const REASON_DEFAULT = 'given up by the operator';

export function parseCommandLine(args: readonly string[]): Parsed {
  const [command = '', action = '', ...rest] = args;
  if (command === '' || command === 'help' || asksForHelp(command)) return help();
  if (command === 'start') {
    if (action === '') return { tag: 'start' };
    return asksForHelp(action) ? help() : fault('start takes no argument: its environment says all');
  }
  if (command === 'config') return parseConfig(action, rest);
  if (command === 'check') return parseCheck(args.slice(1));
  if (command !== 'queue') return fault(unknown('command', command, COMMANDS, 'postern --help'));
  const names = Object.keys(QUEUE_COMMANDS);
  if (action === '' || asksForHelp(action)) return help();
  if (!names.includes(action)) return fault(unknown('queue command', action, names, 'postern --help'));
  return parseQueue(action as QueueCommandName, rest);
}

function parseConfig(action: string, rest: readonly string[]): Parsed {
  if (action === '' || [action, ...rest].some(asksForHelp)) return help();
  const [file, ...more] = rest;
  if (action === 'schema' && file === undefined) return { tag: 'schema' };
  if (action === 'check' && file !== undefined && more.length === 0) return { tag: 'policy-faults', file };
  return fault('write `postern config schema`, or `postern config check FILE`');
}

const asksForHelp = (word: string): boolean => word === '--help' || word === '-h';
const help = (): Parsed => ({ tag: 'help', text: generalHelp() });
const fault = (text: string): Parsed => ({ tag: 'faults', faults: [text] });

function parseQueue(name: QueueCommandName, args: readonly string[]): Parsed {
  const faults: string[] = [];
  const { flags: allowed, offline }: QueueCommand = QUEUE_COMMANDS[name];
  const line = readLine({ name, allowed, help: `postern queue ${name} --help` }, args, faults);
  if (line.flags.has('help')) return { tag: 'help', text: queueHelp(name) };
  const request = requestOf(name, line, faults);
  if (faults.length > 0) return { tag: 'faults', faults };
  const spoolDir = line.flags.get('spool')?.[0] ?? null;
  return { tag: 'queue', request, json: line.flags.has('json'), spoolDir, offline };
}

function requestOf(name: QueueCommandName, line: Line, faults: string[]): QueueRequest {
  const filter = filterOf(line, faults);
  const { flags } = line;
  faults.push(...filterFaults(filter));
  switch (name) {
    case 'list':
      return { action: name, filter, rowsMax: rowsMaxOf(flags.get('limit')?.[0], faults) };
    case 'show':
      if (filter.ids.length === 0) faults.push('show needs an id: postern queue show ID…');
      return { action: name, filter };
    case 'cat':
      if (filter.ids.length !== 1) faults.push('cat needs one id: postern queue cat ID');
      return { action: name, id: filter.ids[0] ?? '', raw: flags.has('raw') };
    case 'stats':
      return { action: name, filter, by: oneOf('by', flags.get('by')?.[0] ?? 'site', GROUPINGS, faults) };
    default: {
      const all = flags.has('all');
      if (isEverything(filter) && !all) faults.push(`${name} needs an id or a filter; --all means every message`);
      if (!isEverything(filter) && all) faults.push('--all and a filter contradict each other; leave one of them out');
      return { action: name, filter, dryRun: flags.has('dry-run'), reason: reasonOf(flags.get('reason')?.[0], faults) };
    }
  }
}

/** What tables print for white space and the like, as the character it stands for. */
const unescaped = (text: string): string =>
  text.replace(/\\x([0-9a-f]{2})|\\u([0-9a-f]{4})/g, (_, short?: string, long?: string) =>
    String.fromCharCode(Number.parseInt(short ?? long ?? '', 16)),
  );

function filterOf({ flags, words }: Line, faults: string[]): QueueFilter {
  const texts = (flag: FlagName): readonly string[] => (flags.get(flag) ?? []).map(unescaped);
  return {
    ids: [...new Set([...words, ...texts('id')])],
    senders: texts('sender'),
    recipients: texts('recipient'),
    domains: texts('domain'),
    sites: texts('site'),
    states: texts('state').map((text): QueueState => oneOf('state', text, QUEUE_STATES, faults)),
    ageSecondsMin: secondsOf('older', texts('older')[0], faults),
    ageSecondsMax: secondsOf('younger', texts('younger')[0], faults),
  };
}

function oneOf<Word extends string>(flag: FlagName, text: string, words: readonly Word[], faults: string[]): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) faults.push(`--${flag}: ${JSON.stringify(text)} is none of ${words.join(', ')}`);
  return found ?? words[0]!;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

function secondsOf(flag: FlagName, text: string | undefined, faults: string[]): number | null {
  if (text === undefined) return null;
  const [, digits, unit = 's'] = /^(\d{1,9})([smhdw])?$/.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * UNIT_SECONDS[unit]!;
  faults.push(`--${flag}: ${JSON.stringify(text)} is no age; write a number with s, m, h, d or w, as in 6h`);
  return null;
}

function rowsMaxOf(text: string | undefined, faults: string[]): number {
  if (text === undefined) return ROWS_DEFAULT;
  const rows = /^\d{1,9}$/.test(text) ? Number(text) : null;
  if (rows === null) faults.push(`--limit: ${JSON.stringify(text)} is no number of rows; 0 means all`);
  return rows === null || rows === 0 ? ROWS_MAX : rows;
}

/** It goes into a notice and a log line: one line of printable text. */
function reasonOf(text: string | undefined, faults: string[]): string {
  if (text === undefined) return REASON_DEFAULT;
  const charsMax = LIMITS.operatorReasonCharsMax;
  if (text.trim() === '' || text.length > charsMax || /[\x00-\x1f\x7f]/.test(text))
    faults.push(`--reason: write one line of 1 to ${charsMax} characters`);
  return text;
}
