/**
 * Postern as a process under test: configured by its environment only, its log in a file (a pipe would cost the
 * runner CPU that the relay needs), killed and started anew on the same spool and the same addresses.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tail } from './tail.ts';

export type HostPort = { readonly host: string; readonly port: number };

export type PosternOptions = {
  /** Spool and log go here. */
  readonly folder: string;
  /** POSTERN_ and the name. Listeners and spool are set unless they are here. */
  readonly environment: Readonly<Record<string, string>>;
  /** Text of a policy file (YAML). */
  readonly policy?: string;
  /** Runs the shards so that `killShard` can end one (mortal_main.ts). */
  readonly mortal?: boolean;
  /** Another checkout to run instead of this one, with what is in its node_modules. */
  readonly tree?: string;
  /** A minute unless it is said. */
  readonly readyMsMax?: number;
};

export type Postern = {
  readonly pid: number;
  readonly outside: HostPort;
  readonly inside: HostPort;
  readonly admin: HostPort | undefined;
  /** From the start of the process to "ready". */
  readonly readyMs: number;
  /** Still there, as far as this process has been told. */
  readonly alive: boolean;
  /** SIGTERM; resolves with the exit code. Null where it had to be killed. */
  stop(): Promise<number | null>;
  /** SIGKILL to the whole process. */
  kill(): Promise<void>;
  /** One shard ends at once, as if its thread had crashed. Only where `mortal`. */
  killShard(shard: number): void;
};

type Ready = {
  readonly event: string;
  readonly outside: HostPort[];
  readonly inside: HostPort[];
  readonly admin: HostPort | null;
};

const TREE = fileURLToPath(new URL('../..', import.meta.url));
const MORTAL_MAIN = fileURLToPath(new URL('./mortal_main.ts', import.meta.url));
const READY_MS_MAX = 60_000;
/** Of the log, when it did not become ready. */
const LAST_WORDS_CHARS = 4_000;
const STOP_MS_MAX = 40_000;
const POLL_MS = 10;

/** Rejects, with the end of the log, where it is not ready in time. */
export async function startPostern(options: PosternOptions): Promise<Postern> {
  mkdirSync(options.folder, { recursive: true });
  const logFile = join(options.folder, 'postern.log');
  const log = openSync(logFile, 'a');
  const logFrom = statSync(logFile).size;
  if (options.policy !== undefined) writeFileSync(policyFile(options), options.policy);
  const startMs = performance.now();
  const child = spawn(process.execPath, [...profiling(), options.mortal ? MORTAL_MAIN : mainOf(options)], {
    env: { ...process.env, ...environmentOf(options) },
    stdio: options.mortal ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
  });
  closeSync(log);
  const end = (): void => void child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  const ready = await untilReady(child, new Tail(logFile, logFrom), startMs, options.readyMsMax ?? READY_MS_MAX);
  const [outside] = ready.outside;
  const [inside] = ready.inside;
  if (outside === undefined || inside === undefined || child.pid === undefined)
    throw new Error('Postern listens nowhere');
  return {
    pid: child.pid,
    outside,
    inside,
    admin: ready.admin ?? undefined,
    readyMs: performance.now() - startMs,
    get alive() {
      return child.exitCode === null && child.signalCode === null;
    },
    stop: () => stopped(child),
    kill: async () => {
      const ended = exited(child);
      child.kill('SIGKILL');
      await ended;
    },
    killShard: (shard) => {
      if (!child.connected) throw new Error('only a mortal Postern has shards to kill');
      child.send({ kill: shard });
    },
  };
}

/** BENCH_CPU_PROF=FOLDER: each thread's CPU profile is written there when the process is stopped. */
function profiling(): string[] {
  const folder = process.env.BENCH_CPU_PROF;
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

/** The environment that starts another Postern where the first one was: same addresses, same spool. */
export function inPlaceOf(first: Postern, options: PosternOptions): PosternOptions {
  const at = ({ host, port }: HostPort): string => `${host}:${port}`;
  return {
    ...options,
    environment: {
      ...options.environment,
      OUTSIDE_LISTEN: at(first.outside),
      INSIDE_LISTEN: at(first.inside),
      ADMIN_LISTEN: first.admin === undefined ? '' : at(first.admin),
    },
  };
}

const policyFile = ({ folder }: PosternOptions): string => join(folder, 'policy.yaml');

function environmentOf(options: PosternOptions): Record<string, string> {
  const settings = {
    HOSTNAME: 'postern.example',
    OUTSIDE_LISTEN: '127.0.0.1:0',
    INSIDE_LISTEN: '127.0.0.1:0',
    ADMIN_LISTEN: '127.0.0.1:0',
    SPOOL_DIR: join(options.folder, 'spool'),
    // A demo or a measurement on a disk that is nearly full is still one.
    SPOOL_FREE_BYTES_MIN: '0',
    SPOOL_FREE_INODES_MIN: '0',
    ...(options.policy !== undefined && { CONFIG: policyFile(options) }),
    ...options.environment,
  };
  const known = optionsOf(options.tree);
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (known(name) ? [[`POSTERN_${name}`, value]] : [])),
  );
}

/** Another revision may not have every option yet, and none starts with one that it does not know. */
function optionsOf(tree: string | undefined): (name: string) => boolean {
  if (tree === undefined) return () => true;
  const table = readFileSync(join(tree, 'src', 'config', 'options.ts'), 'utf8');
  const keyOf = (name: string): string =>
    name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return (name) => new RegExp(`\\b${keyOf(name)}\\b`).test(table);
}

const mainOf = ({ tree = TREE }: PosternOptions): string => join(tree, 'src', 'main.ts');

async function untilReady(child: ChildProcess, log: Tail, startMs: number, msMax: number): Promise<Ready> {
  let text = '';
  for (;;) {
    text += log.read();
    const ready = /^.*"event":"ready".*\n/m.exec(text);
    if (ready !== null) return JSON.parse(ready[0]) as Ready;
    text = text.slice(-Math.max(LAST_WORDS_CHARS, text.length - text.lastIndexOf('\n')));
    const late = performance.now() - startMs > msMax;
    if (late || child.exitCode !== null || child.signalCode !== null) {
      child.kill('SIGKILL');
      const why = late ? 'not ready' : `ended with ${child.signalCode ?? child.exitCode}`;
      throw new Error(`Postern ${why}:\n${(text + log.read()).slice(-LAST_WORDS_CHARS)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const exited = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', () => resolve()));

async function stopped(child: ChildProcess): Promise<number | null> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await exited(child);
  clearTimeout(timer);
  return child.exitCode;
}
