/**
 * Another revision of Postern beside this one: its files as git has them, in a folder of the run, with a native build
 * of its own, run by this harness and this Node. Exported, no worktree: a run that is killed leaves nothing in .git.
 */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The short name of its commit; undefined where git knows none. */
export function commitOf(revision: string): string | undefined {
  if (revision.startsWith('-')) return undefined;
  const words = ['rev-parse', '--verify', '--quiet', '--short', `${revision}^{commit}`];
  try {
    return execFileSync('git', words, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

/** Builds it below `folder`, and says where. Takes the packages that are installed here where they are the same. */
export function treeOf(commit: string, folder: string): string {
  const tree = join(folder, 'tree');
  const archive = join(folder, 'tree.tar');
  mkdirSync(tree, { recursive: true });
  execFileSync('git', ['archive', '--format=tar', '-o', archive, commit], { cwd: ROOT });
  execFileSync('tar', ['-xf', archive, '-C', tree]);
  rmSync(archive);
  const options: ExecFileSyncOptions = { cwd: tree, stdio: ['ignore', 'ignore', 'inherit'] };
  if (packagesOf(tree) !== packagesOf(ROOT)) {
    execFileSync('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error'], options);
    return tree;
  }
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  execFileSync(process.execPath, ['native/build.mjs'], options);
  return tree;
}

/** What it runs with; what it is developed with may differ. */
function packagesOf(tree: string): string {
  type Lock = { readonly packages: Readonly<Record<string, { readonly dev?: boolean }>> };
  const { packages } = JSON.parse(readFileSync(join(tree, 'package-lock.json'), 'utf8')) as Lock;
  return JSON.stringify(Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true));
}
