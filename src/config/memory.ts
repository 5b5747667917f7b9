/**
 * Memory: how much this process may use, and how much it uses.
 *
 *   may use   the least of the machine's memory and the limits of our control group and of all above it
 *               v2: memory.max, memory.high (beyond which the kernel slows us down)    v1: memory.limit_in_bytes
 *   uses      RssAnon + RssShmem of /proc/self/status: the pages that only their own release, or swap, gives back
 *
 * The group's memory.current is not read for the latter: it counts the page cache, which a journal fills up to the
 * limit of any group and which the kernel takes back when it wants; and it counts processes whose memory we cannot
 * release. For the same reason RssFile, which is program text, is left out.
 */
import { readFileSync } from 'node:fs';

/** The content of a file; '' where there is none. */
export type ReadText = (file: string) => string;

type Mount = { readonly root: string; readonly at: string; readonly limits: readonly string[] };

/** `36 25 0:31 /root /sys/fs/cgroup rw - cgroup2 cgroup rw` (proc_pid_mountinfo(5)); v2 where it has the controller. */
function mounts(mountinfo: string): { readonly v1: Mount | null; readonly v2: Mount | null } {
  let v1: Mount | null = null;
  let v2: Mount | null = null;
  for (const line of mountinfo.split('\n')) {
    const [fields = '', system = ''] = line.split(' - ');
    const [, , , root = '/', at = ''] = fields.split(' ');
    const [kind, , options = ''] = system.split(' ');
    if (kind === 'cgroup2') v2 ??= { root, at, limits: ['memory.max', 'memory.high'] };
    if (kind === 'cgroup' && options.split(',').includes('memory'))
      v1 ??= { root, at, limits: ['memory.limit_in_bytes'] };
  }
  return { v1, v2 };
}

/** `0::/path` of v2, `4:memory:/path` of v1 (cgroups(7)). */
function groupPath(cgroup: string, version: 'v1' | 'v2'): string {
  for (const line of cgroup.split('\n')) {
    const [number = '', controllers = '', ...path] = line.split(':');
    const isOurs = version === 'v2' ? number === '0' && controllers === '' : controllers.split(',').includes('memory');
    if (isOurs) return path.join(':');
  }
  return '/';
}

/** Folders of the group and all above it that this mount shows. A container may show its own group as the root. */
function foldersOf({ root, at }: Mount, path: string): readonly string[] {
  const shown = root !== '/' && (path === root || path.startsWith(`${root}/`)) ? path.slice(root.length) : path;
  const steps = shown.split('/').filter((step) => step !== '' && step !== '..');
  return [at, ...steps.map((_, index) => `${at}/${steps.slice(0, index + 1).join('/')}`)];
}

/** Bytes; `max` of v2 and a file that is not there are no limit, and v1's "none" is beyond any machine. */
function limitsOf(mount: Mount | null, path: string, read: ReadText): readonly number[] {
  if (mount === null) return [];
  const files = foldersOf(mount, path).flatMap((folder) => mount.limits.map((name) => `${folder}/${name}`));
  return files.map((file) => read(file).trim()).flatMap((text) => (/^\d+$/.test(text) ? [Number(text)] : []));
}

/** The least of all that limits us. */
export function memoryBytesOf(machineBytes: number, read: ReadText): number {
  const { v1, v2 } = mounts(read('/proc/self/mountinfo'));
  const cgroup = read('/proc/self/cgroup');
  const limits = [...limitsOf(v2, groupPath(cgroup, 'v2'), read), ...limitsOf(v1, groupPath(cgroup, 'v1'), read)];
  return Math.min(machineBytes, ...limits.filter((limit) => limit > 0));
}

/** `RssAnon:	   41372 kB`; null where the kernel does not tell (before 4.5). */
export function residentBytesIn(status: string): number | null {
  const kibibytes = (name: string) => new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1];
  const anonymous = kibibytes('RssAnon');
  return anonymous === undefined ? null : (Number(anonymous) + Number(kibibytes('RssShmem') ?? 0)) * 1024;
}

/** Of the whole process, all shards. Where the kernel does not tell it apart, all that is resident: that is more. */
export const readResidentBytes = (): number =>
  residentBytesIn(readFileSync('/proc/self/status', 'utf8')) ?? process.memoryUsage.rss();
