/**
 * A daemon that expects the machine to be its own, in namespaces of its own: it finds its configuration in /etc, its
 * spool in /var/spool and its users in /etc/passwd, as its package would have laid them out, and the machine has none
 * of it. Whatever it forks ends with it, and it ends with this process, however that ends.
 *
 *   /usr        packages/usr, where there is such a tree, laid over the machine's
 *   /etc, /var  folder/etc and folder/var, laid over the machine's; read-only
 *   /var/spool  folder/spool, on its disk     /var/log  folder/log     /run  empty
 *
 * Linux, root, and util-linux (unshare, setpriv, mount).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { processTree, treeMemoryBytes } from '../measure/processes.ts';
import { untilGreeted } from './port.ts';

export type ContainedOptions = {
  readonly name: string;
  readonly folder: string;
  /** Packages that are unpacked and not installed (debian_packages.ts). */
  readonly packages?: string | undefined;
  /** Users, each with a group of its name, that the daemon looks up. */
  readonly users?: readonly string[];
  /** Below folder: `etc/smtpd.conf` and its text. */
  readonly files: Readonly<Record<string, string>>;
  /** Empty folders below `folder`, with their owner (root where none is said) and mode. */
  readonly folders?: Readonly<Record<string, { readonly owner?: string; readonly mode: number }>>;
  readonly command: readonly string[];
  /** It greets here when it is ready. */
  readonly port: number;
};

export type Contained = {
  /** The root of all its processes. */
  readonly pid: number;
  readonly banner: string;
  memoryBytes(): number;
  /** SIGKILL to all of them; resolves when none is left. */
  stop(): Promise<void>;
};

/** Where it finds `folder`, whatever else it cannot see. */
export const CONTAINED_FOLDER = '/mnt';

const READY_MS_MAX = 20_000;
/** Of its output, when it does not become ready. */
const LAST_WORDS_CHARS = 3_000;
/** User and group numbers for those that the machine does not know; Debian leaves these free. */
const FIRST_ID = 64_901;

const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** The shell stays, as the first process of the namespace: with it all the others end. */
const SCRIPT = `set -e
mount --bind "$1" ${CONTAINED_FOLDER}
if [ -n "$2" ]; then
  mount --bind "$2" /media
  mount -t overlay overlay -o lowerdir=/media/usr:/usr /usr
fi
mount -t overlay overlay -o lowerdir=${CONTAINED_FOLDER}/etc:/etc /etc
mount -t overlay overlay -o lowerdir=${CONTAINED_FOLDER}/var:/var /var
mount --bind ${CONTAINED_FOLDER}/spool /var/spool
mount --bind ${CONTAINED_FOLDER}/log /var/log
mount -t tmpfs tmpfs /run
shift 2
"$@" &
wait $!`;

/** Why it cannot be done here: root alone is not enough in most containers. */
export function containmentMissing(): string | undefined {
  const tools = ['/usr/bin/unshare', '/usr/bin/setpriv'].every(existsSync);
  tried ??= tools && spawnSync('unshare', [...NAMESPACES, 'mount', '-t', 'tmpfs', 'tmpfs', '/run']).status === 0;
  return tried ? undefined : 'it runs in namespaces of its own, and this process may not make any';
}

let tried: boolean | undefined;

/** Rejects, with the end of its output, where it does not greet in time. */
export async function startContained(options: ContainedOptions): Promise<Contained> {
  const { name, folder, packages = '', command, port } = options;
  layOut(options);
  const logFile = join(folder, 'output');
  const log = openSync(logFile, 'a');
  const words = ['--pdeathsig', 'KILL', 'unshare', ...NAMESPACES, 'sh', '-c', SCRIPT, name, folder, packages];
  const child = spawn('setpriv', [...words, ...command], {
    stdio: ['ignore', log, log],
    // Ctrl-C is for the runner, which stops it.
    detached: true,
  });
  closeSync(log);
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  try {
    const banner = await untilGreeted(port, READY_MS_MAX, ended);
    const pid = child.pid ?? 0;
    return { pid, banner, memoryBytes: () => treeMemoryBytes(pid), stop: () => stop(child) };
  } catch (error) {
    await stop(child);
    throw new Error(`${name}: ${(error as Error).message}\n${readFileSync(logFile, 'utf8').slice(-LAST_WORDS_CHARS)}`);
  }
}

/** By the first process in the namespace: the kernel has ended all others before its parent hears of its end. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const [outer = child.pid, first = outer] = processTree(child.pid);
  try {
    process.kill(first, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
  await ended;
}

function layOut({ folder, users = [], files, folders = {} }: ContainedOptions): void {
  for (const name of ['etc', 'var/log', 'var/spool', 'spool', 'log'])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o755 });
  const ids = new Map<string, number>();
  let passwd = readFileSync('/etc/passwd', 'utf8');
  let group = readFileSync('/etc/group', 'utf8');
  for (const [index, user] of users.entries()) {
    const known = new RegExp(`^${user}:[^:]*:(\\d+):`, 'm').exec(passwd)?.[1];
    const id = known === undefined ? FIRST_ID + index : Number(known);
    ids.set(user, id);
    if (known !== undefined) continue;
    passwd += `${user}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin\n`;
    group += `${user}:x:${id}:\n`;
  }
  for (const [name, text] of Object.entries({ ...files, 'etc/passwd': passwd, 'etc/group': group })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  for (const [name, { owner, mode }] of Object.entries(folders)) {
    const path = join(folder, name);
    const id = owner === undefined ? 0 : (ids.get(owner) ?? 0);
    mkdirSync(path, { recursive: true });
    chownSync(path, id, id);
    chmodSync(path, mode);
  }
}
