/**
 * Postern as whoever runs it has it: a process of its own, configured by its environment, watched by its log lines and
 * its metrics. Ports and spool are its own unless told otherwise.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Changes, within } from './deadline.ts';
import { temporaryFolder } from './folders.ts';

export type HostPort = { readonly host: string; readonly port: number };
export type LogLine = { readonly event: string } & Readonly<Record<string, unknown>>;
/** Names without POSTERN_. */
export type Environment = Readonly<Record<string, string>>;

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SCRIBBLE = new URL('./scribble.ts', import.meta.url).href;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const HOSTNAME = 'postern.example';
/** The domain that tests have inside. */
export const DOMAIN = 'here.example';

/** Loopback, any port, one shard, and retries soon enough for a test. */
const DEFAULTS: Environment = {
  HOSTNAME,
  OUTSIDE_LISTEN: '127.0.0.1:0',
  INSIDE_LISTEN: '127.0.0.1:0',
  ADMIN_LISTEN: '127.0.0.1:0',
  DOMAINS: DOMAIN,
  INSIDE_ROUTE: 'smtp://127.0.0.1:1',
  ALLOW_PRIVATE_MX: '1',
  DNS_SERVERS: '127.0.0.1:1',
  WORKERS: '1',
  RETRY_SECONDS: '1',
  // A developer's disk may be nearly full.
  SPOOL_FREE_BYTES_MIN: '0',
  SPOOL_FREE_INODES_MIN: '0',
};

export class PosternProcess {
  readonly spoolDir: string;
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #changes = new Changes();
  #errors = '';
  #ready: LogLine | null = null;

  constructor(environment: Environment, spoolDir: string) {
    this.spoolDir = spoolDir;
    this.#child = spawn(process.execPath, [MAIN], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        NODE_OPTIONS: `--import=${SCRIBBLE}`, // its shards' threads have it, too
        ...variables({ ...DEFAULTS, SPOOL_DIR: spoolDir, ...environment }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const end = (): void => void this.#child.kill('SIGKILL');
    process.once('exit', end);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.#lines.push(JSON.parse(line) as LogLine);
        this.#changes.note();
      });
    }
    this.#child.once('close', (code, signal) => {
      process.off('exit', end);
      this.#changes.end(new Error(`Postern has ended (${signal ?? code})\n${this.lastWords()}`));
    });
  }

  /** For `startPostern`. */
  async becomeReady(): Promise<void> {
    this.#ready = await this.logged('ready');
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get outside(): HostPort {
    return this.#address('outside');
  }

  get inside(): HostPort {
    return this.#address('inside');
  }

  get admin(): HostPort {
    return this.#ready?.admin as HostPort;
  }

  get logs(): readonly LogLine[] {
    return this.#lines;
  }

  /** What went to standard error, and the end of the log. */
  lastWords(): string {
    return `${this.#errors}${this.#lines
      .slice(-10)
      .map((line) => JSON.stringify(line))
      .join('\n')}`.slice(-4000);
  }

  /** The first line of an event, past or to come, that `matches`. */
  logged(event: string, matches: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const look = (): LogLine | undefined => this.#lines.find((line) => line.event === event && matches(line));
    return this.#changes.until(() => `a log line "${event}"; the last ones:\n${this.lastWords()}`, look);
  }

  /** Resolves with all lines of an event when there are `count` that match. */
  loggedAll(event: string, count: number, matches: (line: LogLine) => boolean = () => true): Promise<LogLine[]> {
    const look = (): LogLine[] | undefined => {
      const found = this.#lines.filter((line) => line.event === event && matches(line));
      return found.length >= count ? found : undefined;
    };
    return this.#changes.until(() => `${count} log lines "${event}"; the last ones:\n${this.lastWords()}`, look);
  }

  /** Resolves when so many recipients have been deferred at rest, since nobody was there for them. */
  async deferred(count: number): Promise<void> {
    const total = () =>
      this.#lines.reduce((sum, line) => sum + (line.event === 'deferred' ? Number(line.recipients) : 0), 0);
    await this.#changes.until(
      () => `${count} deferred, not ${total()}`,
      () => total() >= count,
    );
  }

  /** The value of a metric, summed over its labels; `labels` is text that each of them holds. */
  async metric(name: string, labels = ''): Promise<number> {
    const { host, port } = this.admin;
    const response = await within('/metrics', fetch(`http://${host}:${port}/metrics`));
    const lines = (await response.text()).split('\n').filter((line) => {
      const [key = ''] = line.split(' ');
      return (key === name || key.startsWith(`${name}{`)) && key.includes(labels);
    });
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM and its exit code; null where it had to be killed. */
  async stop(): Promise<number | null> {
    if (this.#ended) return this.#child.exitCode;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    try {
      await within('the end of Postern after SIGTERM', closed);
    } catch (error) {
      await this.kill();
      throw error;
    }
    return this.#child.exitCode;
  }

  async kill(): Promise<void> {
    if (this.#ended) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #address(side: 'outside' | 'inside'): HostPort {
    const [first] = (this.#ready?.[side] ?? []) as HostPort[];
    if (first === undefined) throw new Error(`Postern has no ${side} listener`);
    return first;
  }
}

/** Postern's options without their prefix; what Node itself reads as it is. */
const variables = (environment: Environment): Environment =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name.startsWith('NODE_') ? name : `POSTERN_${name}`, value]),
  );

/** Resolves when it accepts connections. */
export async function startPostern(environment: Environment = {}, spoolDir?: string): Promise<PosternProcess> {
  const postern = new PosternProcess(environment, spoolDir ?? temporaryFolder('spool'));
  try {
    await postern.becomeReady();
  } catch (error) {
    await postern.kill();
    throw error;
  }
  return postern;
}
