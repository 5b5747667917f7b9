/**
 * SpamAssassin's daemon: SYMBOLS, a connection for each message. The end of the message is the end of our side of the
 * connection (FIN), so no Content-length is needed and nothing is held: spamd takes the header for optional.
 *
 *   → SYMBOLS SPAMC/1.5 CRLF [User: name CRLF] CRLF message FIN
 *   ← SPAMD/1.1 0 EX_OK CRLF … Spam: True ; 15.0 / 5.0 CRLF … CRLF NAME,NAME
 *
 * Of what it says only score, limit and symbols are used, and the fields that tell of them are written here: HEADERS
 * and PROCESS would return a header section to replace ours, and a mail's headers are not spamd's to rewrite.
 */
import type { FilterConfigOf } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import type { BodyBudget } from './changes.ts';
import { Changes } from './changes.ts';
import { checkedNames, replyOf } from './checks.ts';
import type { Findings } from './filter.ts';
import { FilterFailure, malformed } from './filter.ts';
import type { Protocol, Subject } from './protocol.ts';
import type { FilterNet, Wire } from './wire.ts';
import { openWire } from './wire.ts';

const SYMBOLS_SHOWN_MAX = 50;

export class Spamd implements Protocol {
  readonly #config: FilterConfigOf<'spamd'>;
  readonly #net: FilterNet;
  readonly #budget: BodyBudget;

  constructor(config: FilterConfigOf<'spamd'>, net: FilterNet, budget: BodyBudget) {
    this.#config = config;
    this.#net = net;
    this.#budget = budget;
  }

  async examine({ content, patience, onCut }: Subject): Promise<Findings> {
    const wire = await openWire(this.#config.at, this.#net, (opening) => onCut(() => opening.cut()));
    try {
      patience.owe();
      const user = this.#config.user === undefined ? '' : `User: ${this.#config.user}\r\n`;
      wire.send(Buffer.from(`SYMBOLS SPAMC/1.5\r\n${user}\r\n`));
      for (let chunk = await content.read(); chunk !== null && !wire.heard; chunk = await content.read()) {
        await wire.send(chunk);
        if (wire.drained) content.done();
      }
      wire.endOutput();
      content.drop();
      patience.owe();
      return this.#findings(parseAnswer(await readAnswer(wire)));
    } finally {
      wire.cut();
    }
  }

  #findings({ spam, score, threshold, symbols }: SpamdAnswer): Findings {
    const action = spam ? 'spam' : 'no action';
    const found = { score, action, names: symbols };
    const verdict = spam && this.#config.onSpam !== 'tag' ? this.#config.onSpam : 'accept';
    if (verdict === 'reject') return { ...found, verdict, reply: replyOf('spamFound'), headers: [] };
    const changes = new Changes(this.#budget);
    if (spam) changes.addHeader(0, 'X-Spam-Flag', ' YES');
    const tests = symbols.slice(0, SYMBOLS_SHOWN_MAX).join(',\r\n\t');
    const numbers = `score=${score} required=${threshold}`;
    changes.addHeader(0, 'X-Spam-Status', ` ${spam ? 'Yes' : 'No'}, ${numbers}${tests && `\r\n\ttests=${tests}`}`);
    return { ...found, ...changes.found, verdict };
  }

  async close(): Promise<void> {}
}

/** spamd closes behind its answer. */
async function readAnswer(wire: Wire): Promise<string> {
  let answer = '';
  for (let bytes = await wire.read(); bytes !== null; bytes = await wire.read()) {
    answer += bytes.toString('latin1');
    if (answer.length > LIMITS.filterAnswerBytesMax) throw new FilterFailure('bounds', 'an answer without an end');
  }
  return answer;
}

export type SpamdAnswer = {
  readonly spam: boolean;
  readonly score: number;
  readonly threshold: number;
  readonly symbols: readonly string[];
};

/** The whole answer, one char per byte. */
export function parseAnswer(answer: string): SpamdAnswer {
  if (answer === '') throw new FilterFailure('died', 'it hung up without an answer');
  const status = /^SPAMD\/\d{1,2}\.\d{1,2} (\d{1,3}) ([\x20-\x7e]{0,100})/.exec(answer);
  if (status === null) throw malformed('an answer that does not begin with SPAMD/1.1');
  if (status[1] !== '0') throw new FilterFailure('error', `${status[1]} ${status[2]}`);
  const end = answer.indexOf('\r\n\r\n');
  const head = end === -1 ? answer : answer.slice(0, end + 2);
  const spam =
    /\r\nSpam: *(True|Yes|False|No) *; *(-?\d{1,6}(?:\.\d{1,6})?) *\/ *(-?\d{1,6}(?:\.\d{1,6})?) *\r\n/i.exec(head);
  if (end === -1 || spam === null) throw new FilterFailure('died', 'half an answer');
  const length = /\r\nContent-length: *(\d{1,9}) *\r\n/i.exec(head);
  const body = answer.slice(end + 4);
  if (length !== null && body.length < Number(length[1])) throw new FilterFailure('died', 'half an answer');
  const symbols = body.split(/[\s,]+/).filter((name) => name !== '');
  return {
    spam: /^(?:true|yes)$/i.test(spam[1]!),
    score: Number(spam[2]),
    threshold: Number(spam[3]),
    symbols: checkedNames(symbols),
  };
}
