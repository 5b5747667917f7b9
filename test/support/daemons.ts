/**
 * Servers of others on loopback, each with a folder of its own: started by the test, ready when their port answers,
 * gone with it. Two tests may be given the same port at the same moment; the one that finds it taken tries again.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { WAIT_MS_MAX } from './deadline.ts';
import { freePort } from './free_port.ts';
import { program } from './programs.ts';

const STARTS_MAX = 5;
/** Some would wait for their clients first. */
const STOP_MS_MAX = 500;

export type Daemon = { readonly port: number; stop(): Promise<void> };

export type DaemonRecipe = {
  readonly name: string;
  /** Writes its configuration for this port, and says how it is called. */
  readonly prepare: (port: number) => readonly string[];
  readonly msMax?: number;
};

export async function startDaemon({ name, prepare, msMax = WAIT_MS_MAX }: DaemonRecipe): Promise<Daemon> {
  let said = '';
  for (let start = 0; start < STARTS_MAX; start++) {
    const port = await freePort();
    const child = spawn(program(name), prepare(port), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('latin1').on('data', (text: string) => {
        said = (said + text).slice(-4000);
      });
    }
    if (await answers(port, child, msMax)) return { port, stop: () => stop(child) };
    await stop(child);
  }
  throw new Error(`${name} does not start: ${said}`);
}

/** False: it has ended, or time is over. */
async function answers(port: number, child: ChildProcess, msMax: number): Promise<boolean> {
  const endMs = performance.now() + msMax;
  let failed = false;
  child.once('error', () => {
    failed = true;
  });
  while (!failed && child.exitCode === null && child.signalCode === null && performance.now() < endMs) {
    if (await connects(port)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await closed;
  clearTimeout(timer);
}
