/**
 * A milter by script, with a reading of the protocol of its own: it notes every command, and answers each by what the
 * test says, else `continue`.
 */
import type { Socket } from 'node:net';
import { Changes } from './deadline.ts';
import type { Peer } from './filters.ts';
import { startPeer, trickle } from './filters.ts';

export type MilterCommand = { readonly letter: string; readonly data: Buffer; readonly connection: number };

/** Packets to send, at once or later; null: none at all; `hang-up` closes. */
export type MilterAnswer = readonly Buffer[] | Promise<readonly Buffer[]> | null | 'hang-up';

export type MilterScript = {
  readonly version?: number;
  readonly actions?: number;
  readonly steps?: number;
  readonly macros?: Buffer;
  /** Undefined: continue. Asked for each command but macros, abort and quit. */
  readonly answer?: (command: MilterCommand) => MilterAnswer | undefined;
  /** Answers leave byte by byte. */
  readonly slowly?: boolean;
  /** Behind its answer to this command it hangs up. */
  readonly lastLetter?: string;
  readonly kind?: 'tcp' | 'unix';
  /** Takes a piece, and then nothing for a moment. */
  readonly slowReader?: boolean;
};

const STEP_OF: Readonly<Record<string, number>> = {
  C: 0x1000,
  H: 0x2000,
  M: 0x4000,
  R: 0x8000,
  T: 0x10000,
  L: 0x80,
  N: 0x40000,
  B: 0x80000,
};

export const reply = (letter: string, data: string | Buffer = ''): Buffer => {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length + 1);
  head.write(letter, 4, 'latin1');
  return Buffer.concat([head, bytes]);
};

export const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** At `letter` the filter says this, and nothing else anywhere. */
export const at =
  (letter: string, ...replies: readonly Buffer[]): NonNullable<MilterScript['answer']> =>
  (command) =>
    command.letter === letter ? replies : undefined;

export class FakeMilter {
  readonly commands: MilterCommand[] = [];
  readonly changes = new Changes();
  readonly #script: MilterScript;
  #peer!: Peer;

  private constructor(script: MilterScript) {
    this.#script = script;
  }

  static async start(script: MilterScript = {}): Promise<FakeMilter> {
    const milter = new FakeMilter(script);
    milter.#peer = await startPeer((socket, connection) => milter.#serve(socket, connection), script.kind);
    return milter;
  }

  get at(): string {
    return this.#peer.at;
  }

  get connections(): number {
    return this.#peer.connections.length;
  }

  /** Hangs up on everybody, and goes on listening. */
  hangUp(): void {
    for (const socket of this.#peer.connections) socket.destroy();
  }

  /** The letters of all commands so far. */
  get letters(): string {
    return this.commands.map(({ letter }) => letter).join('');
  }

  /** The data of all commands of a letter, as text with | for NUL. */
  told(letter: string): string[] {
    return this.commands
      .filter((command) => command.letter === letter)
      .map(({ data }) => data.toString('latin1').replaceAll('\0', '|'));
  }

  heard(letter: string, count = 1): Promise<boolean> {
    return this.changes.until(
      () => `${count} of ${letter} in ${this.letters}`,
      () => this.told(letter).length >= count,
    );
  }

  close(): Promise<void> {
    return this.#peer.close();
  }

  #serve(socket: Socket, connection: number): void {
    let buffered = Buffer.alloc(0);
    let sending = Promise.resolve();
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      if (this.#script.slowReader === true) {
        socket.pause();
        setTimeout(() => socket.resume(), 5);
      }
      buffered = Buffer.concat([buffered, chunk]);
      while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
        const end = 4 + buffered.readUInt32BE(0);
        const command = { letter: String.fromCharCode(buffered[4]!), data: buffered.subarray(5, end), connection };
        buffered = buffered.subarray(end);
        this.commands.push(command);
        this.changes.note();
        const answer = this.#answer(command);
        if (answer === 'hang-up') socket.destroy();
        else if (answer instanceof Promise) answer.then((packets) => socket.write(Buffer.concat(packets)));
        else if (answer !== null) {
          const bytes = Buffer.concat(answer);
          if (this.#script.slowly === true) sending = sending.then(() => trickle(socket, bytes));
          else socket.write(bytes);
          if (command.letter === this.#script.lastLetter) socket.end();
        }
      }
    });
  }

  #answer(command: MilterCommand): MilterAnswer {
    if ('DAKQ'.includes(command.letter)) return null;
    const { version = 6, actions = 0x1ff, steps = 0, macros = Buffer.alloc(0), answer } = this.#script;
    const scripted = answer?.(command);
    if (scripted !== undefined) return scripted;
    if (command.letter === 'O') {
      return [reply('O', Buffer.concat([number(version), number(actions), number(steps), macros]))];
    }
    return (steps & (STEP_OF[command.letter] ?? 0)) !== 0 ? null : [reply('c')];
  }
}
