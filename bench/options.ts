/** What `npm run bench` is asked for: words in, wishes or a fault out. */
import { parseArgs } from 'node:util';

export type Wishes = {
  readonly list: boolean;
  readonly quick: boolean;
  readonly check: boolean;
  readonly save: boolean;
  readonly installPeers: boolean;
  readonly rounds: number;
  readonly messages: number | undefined;
  readonly vs: string | undefined;
  readonly json: string | undefined;
  readonly html: string | undefined;
  readonly read: string | undefined;
  readonly results: string | undefined;
  /** Scenarios; with `installPeers`, peers. */
  readonly names: readonly string[];
};

/** What the caller has to put right: said in one line, without a trace. */
export class Wrong extends Error {}

const ROUNDS = 3;
const ROUNDS_MAX = 100;
const MESSAGES_MIN = 1000;
/** One round may have met anything. */
const CHECKED_ROUNDS_MIN = 3;

const OPTIONS = {
  list: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  save: { type: 'boolean', default: false },
  'install-peers': { type: 'boolean', default: false },
  rounds: { type: 'string' },
  messages: { type: 'string' },
  vs: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
  read: { type: 'string' },
  results: { type: 'string' },
} as const;

/** Throws where the words contradict each other, with what is wrong. */
export function parseWishes(words: readonly string[]): Wishes {
  const { values, positionals } = parsed(words);
  const { quick, check, save, read } = values;
  const rounds = whole('--rounds', values.rounds, 1, ROUNDS_MAX) ?? (quick ? 1 : ROUNDS);
  if (quick && (check || save)) throw new Wrong('--quick shows that it works, not how fast: nothing to check or save');
  if (read === undefined && (check || save) && rounds < CHECKED_ROUNDS_MIN)
    throw new Wrong(`--rounds ${rounds}: --check and --save take ${CHECKED_ROUNDS_MIN} at least`);
  if (read !== undefined && (save || positionals.length > 0))
    throw new Wrong('--read shows or checks a result that is there: nothing to measure or save');
  if (
    read !== undefined &&
    (quick || values.rounds !== undefined || values.messages !== undefined || values.vs !== undefined)
  )
    throw new Wrong('--read measures nothing: no --quick, --rounds, --messages or --vs');
  const { vs, json, html, results, list } = values;
  if (results !== undefined && !check && !save)
    throw new Wrong('--results says where --check looks and --save puts: one of them is right, too');
  const messages = whole('--messages', values.messages, MESSAGES_MIN, Number.MAX_SAFE_INTEGER);
  const installPeers = values['install-peers'];
  return {
    list,
    quick,
    check,
    save,
    installPeers,
    rounds,
    messages,
    vs,
    json,
    html,
    read,
    results,
    names: positionals,
  };
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw new Wrong((error as Error).message);
  }
}

function whole(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw new Wrong(`${name} ${text}: a whole number from ${least} to ${most}`);
  return value;
}
