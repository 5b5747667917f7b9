/**
 * Answers as text: tables for people and awk, or JSON, an object a line.
 *
 *   ID                       AGE      SIZE  STATE    TRIES  NEXT  SENDER  RECIPIENT  SITE  DETAIL
 *   mib3k2x9-a1b2c3-00-0001  3h12m    2048  waiting      4   12m  a@b.c   d@e.f      mx …  …
 *
 * Columns never change their order or number: a field is never empty (`-`), never wrapped or cut, and has no white
 * space but in the last one. What came from the network cannot steer a terminal: control characters are written as
 * \xNN. JSON holds exact values: times in milliseconds since 1970, sizes in bytes.
 */
import type {
  QueueChunk,
  QueueGroup,
  QueueMessage,
  QueueRequest,
  QueueRow,
  Steering,
  Tally,
} from '../relay/queue_requests.ts';
import { TOTAL } from '../relay/queue_requests.ts';

type Column<Item> = {
  readonly title: string;
  /** What most texts fit in; a longer one moves the rest of its line. */
  readonly width: number;
  readonly right?: boolean;
  readonly text: (item: Item, nowMs: number) => string;
};

const ROW_COLUMNS: readonly Column<QueueRow>[] = [
  { title: 'ID', width: 23, text: ({ id }) => id },
  { title: 'AGE', width: 6, right: true, text: ({ acceptedMs }, nowMs) => duration(nowMs - acceptedMs) },
  { title: 'SIZE', width: 8, right: true, text: ({ bytes }) => String(bytes) },
  { title: 'STATE', width: 7, text: ({ state }) => state },
  { title: 'TRIES', width: 5, right: true, text: ({ attempts }) => String(attempts) },
  { title: 'NEXT', width: 6, right: true, text: ({ state, nextMs }, nowMs) => nextText(state, nextMs, nowMs) },
  { title: 'SENDER', width: 24, text: ({ sender }) => senderText(sender) },
  { title: 'RECIPIENT', width: 24, text: ({ recipient }) => recipient },
  { title: 'SITE', width: 20, text: ({ site }) => site },
  { title: 'DETAIL', width: 0, text: ({ detail }) => detail },
];

const GROUP_COLUMNS: readonly Column<QueueGroup>[] = [
  { title: 'MESSAGES', width: 9, right: true, text: ({ messages }) => String(messages) },
  { title: 'RCPTS', width: 9, right: true, text: ({ recipients }) => String(recipients) },
  { title: 'DUE', width: 9, right: true, text: ({ due }) => String(due) },
  { title: 'WAITING', width: 9, right: true, text: ({ waiting }) => String(waiting) },
  { title: 'HELD', width: 9, right: true, text: ({ held }) => String(held) },
  { title: 'ACTIVE', width: 9, right: true, text: ({ active }) => String(active) },
  { title: 'BYTES', width: 12, right: true, text: ({ bytes }) => String(bytes) },
  {
    title: 'OLDEST',
    width: 6,
    right: true,
    text: ({ recipients, oldestMs }, nowMs) => (recipients === 0 ? '' : duration(nowMs - oldestMs)),
  },
  { title: 'GROUP', width: 0, text: ({ name }) => (name === TOTAL ? 'total' : name) },
];

/** '' for an answer that is no table. */
export function headerOf(action: QueueRequest['action']): string {
  if (action === 'list') return titles(ROW_COLUMNS);
  return action === 'stats' ? titles(GROUP_COLUMNS) : '';
}

/** Whole lines; '' for what is no part of the answer. */
export function textLines(chunk: QueueChunk, nowMs: number): string {
  if (chunk.tag === 'rows') return chunk.rows.map((row) => lineOf(ROW_COLUMNS, row, nowMs)).join('');
  if (chunk.tag === 'groups') return chunk.groups.map((group) => lineOf(GROUP_COLUMNS, group, nowMs)).join('');
  if (chunk.tag === 'messages') return chunk.messages.map((message) => messageText(message, nowMs)).join('');
  return '';
}

/** As above, an object a line. */
export function jsonLines(chunk: QueueChunk): string {
  if (chunk.tag === 'rows') return chunk.rows.map(jsonLine).join('');
  if (chunk.tag === 'groups') return chunk.groups.map(jsonLine).join('');
  if (chunk.tag === 'messages') return chunk.messages.map(jsonLine).join('');
  return '';
}

export function tallyLine(action: Steering, dryRun: boolean, tally: Tally, json: boolean): string {
  if (json) return jsonLine({ action, dryRun, ...tally });
  const { messages, recipients, busy } = tally;
  const rest = busy === 0 ? '' : `, busy ${busy}`;
  return `${action}${dryRun ? ' (dry run)' : ''}: messages ${messages}, recipients ${recipients}${rest}\n`;
}

const jsonLine = (item: object): string => `${JSON.stringify(item)}\n`;

function titles<Item>(columns: readonly Column<Item>[]): string {
  return line(
    columns,
    columns.map(({ title }) => title),
  );
}

function lineOf<Item>(columns: readonly Column<Item>[], item: Item, nowMs: number): string {
  const last = columns.length - 1;
  return line(
    columns,
    columns.map(({ text }, at) => field(text(item, nowMs), at === last)),
  );
}

const line = (columns: readonly { width: number; right?: boolean }[], texts: readonly string[]): string =>
  `${columns
    .map(({ width, right }, at) => (right === true ? texts[at]!.padStart(width) : texts[at]!.padEnd(width)))
    .join('  ')
    .trimEnd()}\n`;

/**
 * C0, DEL, C1, and the marks that turn the direction of text or end a line; outside the last column white space, too,
 * and the backslash itself, so that every field can be read back (arguments.ts does).
 */
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const UNSAFE_OR_SPACE = /[\s\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export function field(text: string, last: boolean): string {
  if (text === '') return '-';
  return text.replace(last ? UNSAFE : UNSAFE_OR_SPACE, escaped);
}

function escaped(char: string): string {
  const code = char.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}

const senderText = (sender: string): string => (sender === '' ? '<>' : sender);

function nextText(state: string, nextMs: number | null, nowMs: number): string {
  if (nextMs === null) return '';
  return state === 'due' || state === 'active' || nextMs <= nowMs ? 'now' : duration(nextMs - nowMs);
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Its two largest units: `45s`, `3m07s`, `5h12m`, `2d03h`. A clock that was set back makes no age below zero. */
export function duration(ms: number): string {
  const whole = Math.max(0, ms);
  const part = (largeMs: number, large: string, smallMs: number, small: string): string => {
    const rest = Math.floor((whole % largeMs) / smallMs);
    return `${Math.floor(whole / largeMs)}${large}${String(rest).padStart(2, '0')}${small}`;
  };
  if (whole < MINUTE_MS) return `${Math.floor(whole / SECOND_MS)}s`;
  if (whole < HOUR_MS) return part(MINUTE_MS, 'm', SECOND_MS, 's');
  return whole < DAY_MS ? part(HOUR_MS, 'h', MINUTE_MS, 'm') : part(DAY_MS, 'd', HOUR_MS, 'h');
}

/** A name and a value a line, recipients after them, an empty line at the end. */
function messageText(message: QueueMessage, nowMs: number): string {
  const { id, origin, acceptedMs, bytes, sender, smtpUtf8, ret, envid } = message;
  const lines: (readonly [string, string])[] = [
    ['id', id],
    ['accepted', `${new Date(acceptedMs).toISOString()} (${duration(nowMs - acceptedMs)} ago)`],
    ['from', origin],
    ['size', String(bytes)],
    ['sender', senderText(sender)],
    ...(smtpUtf8 ? [['smtputf8', 'yes'] as const] : []),
    ...(ret === undefined ? [] : [['ret', ret] as const]),
    ...(envid === undefined ? [] : [['envid', envid] as const]),
  ];
  for (const { address, state, attempts, nextMs, site, detail, notify, orcpt, route } of message.recipients) {
    lines.push(['recipient', address], ['  state', state]);
    if (attempts > 0) lines.push(['  tries', String(attempts)]);
    if (state === 'waiting') lines.push(['  next', nextText(state, nextMs, nowMs)]);
    if (site !== '') lines.push(['  site', site]);
    if (detail !== '') lines.push(['  detail', detail]);
    if (notify !== undefined) lines.push(['  notify', notify === 'never' ? notify : notify.join(',')]);
    if (orcpt !== undefined) lines.push(['  orcpt', orcpt]);
    if (route !== undefined) lines.push(['  route', route]);
  }
  return `${lines.map(([name, value]) => `${name}: ${field(value, true)}\n`).join('')}\n`;
}
