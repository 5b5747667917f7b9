/**
 * The load programs as child processes of a runner: calls with one argument and one answer over the channel of `fork`.
 * A child ends when its runner is gone, so a killed runner leaves no load behind.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const CHILD_FLAG = '--child';

/** Method names and what they take and give; a type with function members. */
// biome-ignore lint/suspicious/noExplicitAny: a method may take any one argument
type Api<A> = { readonly [M in keyof A]: (argument: any) => unknown };
type Call = { readonly id: number; readonly method: string; readonly argument: unknown };
type Answer = { readonly id: number; readonly result?: unknown; readonly error?: string };

/** In the child: answers calls until the parent is gone. */
export function serve<A extends Api<A>>(api: A): void {
  const answer = async (call: Call): Promise<Answer> => {
    try {
      return { id: call.id, result: await api[call.method as keyof A](call.argument) };
    } catch (error) {
      return { id: call.id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on('message', (call: Call) => {
    void answer(call).then((reply) => process.send?.(reply));
  });
  process.on('disconnect', () => process.exit(0));
}

/** In the parent: a child that serves `A`. */
export class Child<A extends Api<A>> {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #id = 0;

  /** `program` is relative to this folder. */
  constructor(program: string) {
    const path = fileURLToPath(new URL(program, import.meta.url));
    this.#process = fork(path, [CHILD_FLAG], { serialization: 'advanced' });
    this.#process.on('message', (answer: Answer) => {
      const call = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.error === undefined) call?.resolve(answer.result);
      else call?.reject(new Error(answer.error));
    });
    this.#process.on('exit', (code, signal) => {
      for (const call of this.#waiting.values()) call.reject(new Error(`${program} ended: ${signal ?? code}`));
      this.#waiting.clear();
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Rejects with the child's error, or where the child ends first. */
  call<M extends keyof A & string>(method: M, argument: Parameters<A[M]>[0]): Promise<Awaited<ReturnType<A[M]>>> {
    const id = ++this.#id;
    const call: Call = { id, method, argument };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#process.send(call);
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
  }
}
