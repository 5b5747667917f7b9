/**
 * ClamAV's daemon: INSTREAM, a connection for each message. (IDSESSION would spare the opening of a connection, some
 * 0.1 ms, but clamd then works off the commands of a session by threads of its own and closes it after an error: one
 * message's trouble would be another's.)
 *
 *   → zINSTREAM\0  │ length │ bytes │  …  │ 0 │        ← stream: OK\0, stream: NAME FOUND\0, or … ERROR\0
 *
 * An answer may come before the end (`INSTREAM size limit exceeded. ERROR`), and then nothing more is read.
 */
import type { FilterConfigOf } from '../config/filters.ts';
import { checkedNames, replyOf } from './checks.ts';
import type { Findings } from './filter.ts';
import { ACCEPTED, FilterFailure, malformed } from './filter.ts';
import type { Protocol, Subject } from './protocol.ts';
import type { FilterNet, Wire } from './wire.ts';
import { openWire } from './wire.ts';

const ANSWER_BYTES_MAX = 4096;
const COMMAND = Buffer.from('zINSTREAM\0');
const END = Buffer.alloc(4);

export class Clamd implements Protocol {
  readonly #config: FilterConfigOf<'clamd'>;
  readonly #net: FilterNet;

  constructor(config: FilterConfigOf<'clamd'>, net: FilterNet) {
    this.#config = config;
    this.#net = net;
  }

  async examine({ content, patience, onCut }: Subject): Promise<Findings> {
    const wire = await openWire(this.#config.at, this.#net, (opening) => onCut(() => opening.cut()));
    try {
      patience.owe();
      wire.send(COMMAND);
      for (let chunk = await content.read(); chunk !== null && !wire.heard; chunk = await content.read()) {
        await wire.send(lengthOf(chunk), chunk);
      }
      if (!wire.heard) wire.send(END);
      content.drop();
      patience.owe();
      return this.#findings(await readAnswer(wire));
    } finally {
      wire.cut();
    }
  }

  #findings(answer: string): Findings {
    const found = /^stream: (?:(OK)|(.+) FOUND)$/.exec(answer);
    if (found === null) {
      if (answer.endsWith('ERROR')) throw new FilterFailure('error', checkedNames([answer.slice(0, 90)])[0]!);
      throw malformed('an answer that is neither OK nor FOUND nor ERROR');
    }
    if (found[1] !== undefined) return ACCEPTED;
    const names = checkedNames([found[2]!]);
    const verdict = this.#config.onFound;
    return { verdict, names, headers: [], ...(verdict === 'reject' ? { reply: replyOf('virusFound', names[0]) } : {}) };
  }

  async close(): Promise<void> {}
}

function lengthOf(chunk: Uint8Array): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(chunk.length, 0);
  return length;
}

/** Up to its NUL; clamd closes behind it. */
async function readAnswer(wire: Wire): Promise<string> {
  let answer = '';
  for (;;) {
    const bytes = await wire.read();
    if (bytes === null) throw new FilterFailure('died', 'it hung up without an answer');
    answer += bytes.toString('latin1');
    const end = answer.indexOf('\0');
    if (end !== -1) return answer.slice(0, end).trim();
    if (answer.length > ANSWER_BYTES_MAX) throw new FilterFailure('bounds', 'an answer without an end');
  }
}
