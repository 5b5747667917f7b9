/**
 * Debian packages that are unpacked into a folder and not installed: those of mail servers exclude each other, and a
 * machine's own is not to be replaced for a measurement. No maintainer script runs.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** With the packages that it depends on and the machine has not: apt-get is asked what it would install. */
export function unpackDebian(name: string, folder: string): void {
  const plan = execFileSync('apt-get', ['-s', 'install', '--no-install-recommends', name], { encoding: 'utf8' });
  const packages = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] as string);
  if (packages.length === 0) throw new Error(`${name} is installed already, or apt-get does not know it`);
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}-`);
  try {
    const quiet = ['-q', '-o', 'APT::Sandbox::User=root'];
    execFileSync('apt-get', [...quiet, 'download', ...packages], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] });
    const tree = join(work, 'tree');
    for (const file of readdirSync(work).filter((one) => one.endsWith('.deb')))
      execFileSync('dpkg-deb', ['-x', join(work, file), tree]);
    rmSync(folder, { recursive: true, force: true });
    renameSync(tree, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
