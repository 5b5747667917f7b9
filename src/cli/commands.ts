/** Every command of `postern` and every flag, as data: what parses them and what explains them read the same rows. */

export type Flag = {
  /** How its value is called in help; '' for one that has none. */
  readonly value: string;
  /** May be given several times. */
  readonly multiple?: boolean;
  readonly about: string;
};

export const FLAGS = {
  id: { value: 'ID', multiple: true, about: 'this message; as good as naming it behind the command' },
  sender: { value: 'ADDRESS', multiple: true, about: "sent by; '<>' is the null sender of bounces" },
  recipient: { value: 'ADDRESS', multiple: true, about: 'to this address' },
  domain: { value: 'DOMAIN', multiple: true, about: "to this domain; '*.example.org' are its subdomains" },
  site: { value: 'SITE', multiple: true, about: 'for this next hop, as list and stats print it' },
  state: { value: 'STATE', multiple: true, about: 'due, waiting, held or active' },
  older: { value: 'AGE', about: 'in the queue at least so long: 90s, 30m, 6h, 2d' },
  younger: { value: 'AGE', about: 'in the queue at most so long' },
  all: { value: '', about: 'every message: needed where nothing else says which' },
  'dry-run': { value: '', about: 'count what would be changed, and change nothing' },
  reason: { value: 'TEXT', about: 'what the sender is told' },
  limit: { value: 'ROWS', about: 'at most so many rows, the oldest; 0: all (default 1000)' },
  by: { value: 'KIND', about: 'a line for each site (default) or domain' },
  ip: { value: 'ADDRESS', about: "the client's address; needed" },
  helo: { value: 'NAME', about: 'what it says in EHLO' },
  from: { value: 'ADDRESS', about: "the sender; '<>' is the null sender of bounces" },
  to: { value: 'ADDRESS', multiple: true, about: 'a recipient' },
  inside: { value: '', about: 'it comes to the inside listener, not to the outside one' },
  login: { value: 'NAME', about: 'as whom a listed proxy says that it has authenticated' },
  tls: { value: '', about: 'it has said STARTTLS' },
  policy: { value: 'FILE', about: 'the policy file (default: POSTERN_CONFIG)' },
  'no-filters': { value: '', about: 'content filters are left out' },
  raw: { value: '', about: 'as it arrived, without the header fields that we add' },
  json: { value: '', about: 'one JSON object a line' },
  spool: { value: 'FOLDER', about: 'the spool folder (default: POSTERN_SPOOL_DIR, or ./var/spool)' },
  help: { value: '', about: 'this text' },
} as const satisfies Record<string, Flag>;

export type FlagName = keyof typeof FLAGS;

/** `postern check [MESSAGE]`. */
export const CHECK_FLAGS = [
  ...(['ip', 'helo', 'from', 'to', 'inside', 'login', 'tls'] as const),
  ...(['policy', 'no-filters', 'json', 'help'] as const),
] satisfies readonly FlagName[];

const FILTER = ['id', 'sender', 'recipient', 'domain', 'site', 'state', 'older', 'younger'] as const;
const EVERYWHERE = ['json', 'spool', 'help'] as const;
const STEER = [...FILTER, 'all', 'dry-run', ...EVERYWHERE] as const;

export type QueueCommand = {
  /** What may stand behind the command: message ids, one of them, or nothing. */
  readonly ids: 'any' | 'some' | 'one';
  readonly flags: readonly FlagName[];
  readonly about: string;
  /** The spool alone can answer, with no process. */
  readonly offline: boolean;
};

export const QUEUE_COMMANDS = {
  list: {
    ids: 'any',
    flags: [...FILTER, 'limit', ...EVERYWHERE],
    about: 'a row for each recipient that waits, in order of acceptance',
    offline: true,
  },
  show: { ids: 'some', flags: EVERYWHERE, about: 'all that is known of a message and its recipients', offline: true },
  cat: { ids: 'one', flags: ['raw', 'spool', 'help'], about: "a message's bytes as they would be sent", offline: true },
  stats: {
    ids: 'any',
    flags: [...FILTER, 'by', ...EVERYWHERE],
    about: 'how much waits, and for whom',
    offline: true,
  },
  retry: { ids: 'any', flags: STEER, about: 'try at once what waits for its time; what is held stays', offline: false },
  hold: {
    ids: 'any',
    flags: STEER,
    about: 'try no more until released; what is held never grows too old',
    offline: false,
  },
  release: { ids: 'any', flags: STEER, about: 'end a hold, and try at once', offline: false },
  bounce: {
    ids: 'any',
    flags: [...STEER, 'reason'],
    about: 'give up now, and tell the sender',
    offline: false,
  },
  delete: { ids: 'any', flags: STEER, about: 'give up now, and tell nobody', offline: false },
} as const satisfies Record<string, QueueCommand>;

export type QueueCommandName = keyof typeof QUEUE_COMMANDS;
