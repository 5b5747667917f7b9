/** Prints an answer as it comes, and knows at its end how the command ends. */
import { wallMs } from '../base/clock.ts';
import type { QueueChunk, SteerRequest } from '../relay/queue_requests.ts';
import { NOTHING_DONE } from '../relay/queue_requests.ts';
import type { Output } from '../telemetry/console.ts';
import { printFaults } from '../telemetry/console.ts';
import type { QueueOrder } from './arguments.ts';
import type { Ending } from './exit_codes.ts';
import { headerOf, jsonLines, tallyLine, textLines } from './render.ts';

export class Printer {
  readonly #order: QueueOrder;
  readonly #output: Output;
  readonly #faults: string[] = [];
  #tally = NOTHING_DONE;
  /** A message, or a part of one, has come. */
  #found = false;
  #rowsLeft: number;
  #more = false;
  #header: string;

  constructor(order: QueueOrder, output: Output) {
    const { request, json } = order;
    this.#order = order;
    this.#output = output;
    this.#rowsLeft = request.action === 'list' ? request.rowsMax : 0;
    this.#header = json ? '' : headerOf(request.action);
  }

  /** False: nobody reads any more. */
  async take(chunk: QueueChunk): Promise<boolean> {
    switch (chunk.tag) {
      case 'fault':
        this.#faults.push(chunk.detail);
        return true;
      case 'tally':
        this.#tally = chunk.tally;
        return true;
      case 'content':
        this.#found = true;
        return await this.#output.print(chunk.bytes);
      case 'rows': {
        const rows = chunk.rows.slice(0, this.#rowsLeft);
        this.#more ||= rows.length < chunk.rows.length;
        this.#rowsLeft -= rows.length;
        return await this.#lines({ tag: 'rows', rows });
      }
      default:
        this.#found = true;
        return await this.#lines(chunk);
    }
  }

  async end(): Promise<Ending> {
    const { request } = this.#order;
    if (this.#faults.length > 0) printFaults(this.#faults);
    switch (request.action) {
      case 'list':
      case 'stats':
        await this.#print('');
        if (this.#more) printFaults(['there are more; --limit says how many rows are shown, and 0 shows all']);
        return this.#faults.length > 0 ? 'failed' : 'ok';
      case 'show':
      case 'cat':
        if (this.#faults.length > 0) return 'failed';
        if (!this.#found) printFaults(['no such message in the queue']);
        return this.#found ? 'ok' : 'nothing';
      default:
        return await this.#steered(request);
    }
  }

  async #steered({ action, dryRun }: SteerRequest): Promise<Ending> {
    const { matched, busy } = this.#tally;
    await this.#print(tallyLine(action, dryRun, this.#tally, this.#order.json));
    if (busy > 0) printFaults([`${busy} recipients are being delivered right now, and are left alone; ask again`]);
    if (this.#faults.length > 0 || busy > 0) return 'failed';
    return matched === 0 ? 'nothing' : 'ok';
  }

  #lines(chunk: QueueChunk): Promise<boolean> {
    return this.#print(this.#order.json ? jsonLines(chunk) : textLines(chunk, wallMs()));
  }

  async #print(text: string): Promise<boolean> {
    const whole = this.#header + text;
    this.#header = '';
    return whole === '' ? true : await this.#output.print(whole);
  }
}
