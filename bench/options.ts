/** What `npm run bench` is asked for. */
import type { Program, Values } from './arguments.ts';
import { flag, optional, text, whole } from './arguments.ts';

/** What the caller has to put right: said in one line, without a trace. */
export class Wrong extends Error {}

const ROUNDS = 3;
/** One round may have met anything. */
const CHECKED_ROUNDS_MIN = 3;

const TABLE = {
  list: flag('scenarios, each with its question, and peers'),
  rounds: optional('N', whole(1, 100), `what is compared runs in turn, so often; ${ROUNDS}, or 1 with --quick`),
  messages: optional('N', whole(1000, Number.MAX_SAFE_INTEGER), 'instead of what a scenario sends, where it can'),
  vs: optional('LIST', text, 'peers and revisions to compare with, or none; what is here, unless said'),
  quick: flag('little load: shows that it works, not how fast'),
  json: optional('FILE', text, 'the result, for --read'),
  html: optional('FILE', text, 'the result as a page'),
  read: optional('FILE', text, 'measures nothing: shows a result of --json'),
  save: flag('keeps the result for later checks'),
  check: flag('exit code 1 where a hot path got slower; without a scenario, all that have bounds'),
  results: optional('FOLDER', text, 'where --save puts and --check looks; bench/results'),
  'install-peers': flag('fetches peers instead: those named, or all that are missing'),
} as const;

export type Wishes = Values<typeof TABLE>;

export const BENCH: Program<typeof TABLE> = {
  name: 'bench',
  purpose:
    'Measures Postern beside a run without a relay, and beside other relays. relay-small, unless told otherwise.',
  words: 'SCENARIO …',
  table: TABLE,
  faults: faultsOf,
};

export const roundsOf = ({ rounds, quick }: Wishes): number => rounds ?? (quick ? 1 : ROUNDS);

/** Words that contradict each other. */
function faultsOf(wishes: Wishes, words: readonly string[]): string[] {
  const { quick, check, save, read, results, vs, messages } = wishes;
  const kept = check || save;
  const measures = read === undefined;
  const wrong: readonly (readonly [boolean, string])[] = [
    [quick && kept, '--quick shows that it works, not how fast: nothing to check or save'],
    [
      measures && kept && roundsOf(wishes) < CHECKED_ROUNDS_MIN,
      `--rounds ${roundsOf(wishes)}: --check and --save take ${CHECKED_ROUNDS_MIN} at least`,
    ],
    [
      !measures && (save || words.length > 0),
      '--read shows or checks a result that is there: nothing to measure or save',
    ],
    [
      !measures && (quick || wishes.rounds !== undefined || messages !== undefined || vs !== undefined),
      '--read measures nothing: no --quick, --rounds, --messages or --vs',
    ],
    [results !== undefined && !kept, '--results says where --check looks and --save puts: one of them is right, too'],
  ];
  return wrong.filter(([is]) => is).map(([, fault]) => fault);
}
