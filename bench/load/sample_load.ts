/** The mail of messages.ts as a load: each message is made when it is asked for, and none is kept. */
import { type Correspondents, type Sample, sample } from './messages.ts';
import { type Load, type Outgoing, outgoing } from './outgoing.ts';

export class SampleLoad implements Load {
  readonly count: number;
  readonly #run: number;
  readonly #who: Correspondents;

  /** `run` is the seed, too: whoever knows it can make each message again. */
  constructor(run: number, count: number, who: Correspondents) {
    this.count = count;
    this.#run = run;
    this.#who = who;
  }

  at(index: number): Outgoing {
    return sampleOutgoing(this.#run, index, sample(this.#run, index, this.#who));
  }
}

export function sampleOutgoing(run: number, number: number, { from, to, eightBit, text }: Sample): Outgoing {
  return outgoing(run, number, { from, to, ...(eightBit && { parameters: 'BODY=8BITMIME' }) }, text);
}
