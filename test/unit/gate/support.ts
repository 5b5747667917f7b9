/**
 * What the gate's tests share: a configuration on free ports, a client that reads lines, and a Postern on fake
 * shards.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import type { Config, HostPort } from '../../../src/config/options.ts';
import type { Listen } from '../../../src/gate/acceptor.ts';
import { nativeListen, serverListen } from '../../../src/gate/acceptor.ts';
import type { PosternParts } from '../../../src/gate/postern.ts';
import { startPostern } from '../../../src/gate/postern.ts';
import { temporaryFolder } from '../../support/folders.ts';

const native = nativeListen();
/** Both ways to accept, or the one that there is where the addon was not built. */
export const WAYS: readonly (readonly [string, Listen])[] = [
  ...(native === null ? [] : [["by the addon's acceptor", native] as const]),
  ["by Node's server", serverListen],
];

export const temporary = () => temporaryFolder('gate');

export function testConfig(environment: Readonly<Record<string, string>> = {}): Config {
  const loaded = loadConfig({
    POSTERN_HOSTNAME: 'mx.example',
    POSTERN_DOMAINS: 'example.org',
    POSTERN_INSIDE_ROUTE: 'smtp://127.0.0.1:1',
    POSTERN_OUTSIDE_LISTEN: '127.0.0.1:0',
    POSTERN_INSIDE_LISTEN: '127.0.0.1:0',
    POSTERN_ADMIN_LISTEN: '',
    POSTERN_WORKERS: '2',
    POSTERN_SPOOL_FREE_BYTES_MIN: '0', // the disk may be nearly full
    POSTERN_SPOOL_FREE_INODES_MIN: '0',
    POSTERN_SPOOL_DIR: path.join(temporary(), 'spool'),
    ...environment,
  });
  assert.ok('config' in loaded, JSON.stringify(loaded));
  return loaded.config;
}

/** A Postern whose shards are fake_shard.ts; stopped after the test. */
export async function startFake(
  context: TestContext,
  environment: Readonly<Record<string, string>> = {},
  parts: PosternParts = {},
) {
  const logFile = path.join(temporary(), 'log');
  const workerFile = new URL('./fake_shard.ts', import.meta.url).href;
  const postern = await startPostern(testConfig(environment), { workerFile, logTo: logFile, ...parts });
  context.after(() => postern.stop(0));
  const log = () =>
    readFileSync(logFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { postern, log };
}

/** A client that says lines and waits for lines; null is the end of the connection. */
export class Client {
  readonly socket: net.Socket;
  readonly #lines: (string | null)[] = [];
  readonly #readers: ((line: string | null) => void)[] = [];
  #rest = '';

  constructor({ host, port }: HostPort) {
    this.socket = net.connect({ host, port });
    this.socket.on('data', (chunk) => {
      const parts = (this.#rest + chunk.toString()).split(/\r?\n/);
      this.#rest = parts.pop() ?? '';
      for (const line of parts) this.#put(line);
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.#put(null));
  }

  say(line: string): void {
    this.socket.write(`${line}\n`);
  }

  read(): Promise<string | null> {
    const line = this.#lines.shift();
    return line === undefined ? new Promise((resolve) => this.#readers.push(resolve)) : Promise.resolve(line);
  }

  #put(line: string | null): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#lines.push(line);
    else reader(line);
  }
}

/** Polls what has no event of its own, every few milliseconds, for ten seconds at most. */
export async function until(met: () => boolean): Promise<void> {
  for (let n = 0; n < 2000 && !met(); n++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(met(), 'it never came true');
}
