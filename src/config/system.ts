/** What the machine says, and defaults lean on. Read once at start; tests hand in their own. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { memoryBytesOf } from './memory.ts';

export type System = {
  readonly hostname: string;
  readonly cores: number;
  /** Of the machine, or what control groups leave of it. */
  readonly memoryBytes: number;
  /** The process's limit of open files; Node has raised it to the hard limit by the time this is read. */
  readonly descriptorsMax: number;
  /** `nameserver` lines, as they are. */
  readonly nameservers: readonly string[];
};

export const readSystem = (): System => ({
  hostname: os.hostname(),
  cores: os.availableParallelism(),
  memoryBytes: memoryBytesOf(os.totalmem(), contentOf),
  descriptorsMax: descriptorsIn(contentOf('/proc/self/limits')),
  nameservers: nameserversIn(contentOf('/etc/resolv.conf')),
});

/** `Max open files            1024                 524288               files` */
export function descriptorsIn(limits: string): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** resolv.conf(5). */
export const nameserversIn = (resolvConf: string): readonly string[] =>
  [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map((found) => found[1]!);

/** Where there is no such file, there is nothing to lean on, and the defaults say so. */
function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
