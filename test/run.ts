/**
 * Everything that `npm test` checks, in the order in which it fails soonest: types, lint, tests, and, where clang is,
 * a minute of fuzzing. Stops at the first step that fails.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const FUZZ_SECONDS = 60;

function step(name: string, command: string, args: readonly string[]): void {
  const startMs = performance.now();
  console.log(`\n— ${name}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) console.error(String(error));
  if (status !== 0) {
    console.error(`— ${name} failed`);
    process.exit(status ?? 1);
  }
  console.log(`— ${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
}

const hasClang = ['clang-14', 'clang'].some((name) => spawnSync(name, ['--version']).status === 0);

step('types', join(bin, 'tsc'), ['--noEmit', '-p', '.']);
step('lint', join(bin, 'biome'), ['check', '--error-on-warnings', '.']);
if (hasClang && existsSync(join(root, 'native/fuzz/run.sh')))
  step('fuzz', 'bash', ['native/fuzz/run.sh', String(FUZZ_SECONDS)]);
const files = globSync('test/**/*.test.ts', { cwd: root }).sort();
step('tests', join(bin, 'node'), ['--test', '--test-timeout=120000', ...files]);
