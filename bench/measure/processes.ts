/** What the kernel says about processes: who belongs to whom, CPU time, memory. Linux. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Of the kernel's accounting: USER_HZ, the same on every Linux that Node runs on. */
const TICK_MS = 10;

type Stat = { readonly parent: number; readonly cpuMs: number; readonly reapedCpuMs: number };

/** A process and all its descendants that live now. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? statOf(pid) : undefined;
    if (stat === undefined) continue;
    const siblings = children.get(stat.parent);
    if (siblings === undefined) children.set(stat.parent, [pid]);
    else siblings.push(pid);
  }
  const tree = [root];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i] ?? 0) ?? []));
  return tree;
}

/**
 * CPU time of a tree so far, all threads, user and system, with that of its children that have ended and were reaped.
 */
export function treeCpuMs(root: number): number {
  let sum = 0;
  for (const pid of processTree(root)) {
    const stat = statOf(pid);
    if (stat !== undefined) sum += stat.cpuMs + stat.reapedCpuMs;
  }
  return sum;
}

/** Highest resident set of a process in its life, or since `forgetPeak`, bytes. */
export const peakRssBytes = (pid: number): number => statusKib(pid, 'VmHWM') * 1024;

/** From now on the peak is what comes (proc(5), clear_refs). */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5');

/** Resident set of a process now, bytes. */
export const rssBytes = (pid: number): number => statusKib(pid, 'VmRSS') * 1024;

/** What a tree occupies now, bytes; pages that several processes share count once, in parts (PSS). */
export function treeMemoryBytes(root: number): number {
  let kib = 0;
  for (const pid of processTree(root)) {
    try {
      kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // It has ended.
    }
  }
  return kib * 1024;
}

function statusKib(pid: number, field: string): number {
  try {
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything; what follows it is state, parent and so on (proc(5)).
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (field: number): number => fields[field - 3] ?? 0;
    return { parent: at(4), cpuMs: (at(14) + at(15)) * TICK_MS, reapedCpuMs: (at(16) + at(17)) * TICK_MS };
  } catch {
    return undefined;
  }
}
