/**
 * `npm test`: every check that CI runs, one after the other, the tests last so that their count is the last word.
 *
 *   types ─► lint ─► native build ─► fuzzing (a minute, where clang is) ─► tests
 *
 * `npm test -- test/unit/smtp test/dialogs` runs the tests below these folders, after types and lint, and nothing else.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = dirname(import.meta.dirname);
const NODE = process.execPath;
const FUZZ_SECONDS = 60;
const TEST_MS_MAX = 180_000;

type Check = { readonly name: string; readonly command: readonly string[] };

const bin = (name: string): string => join('node_modules', '.bin', name);
const installed = (name: string): boolean => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;

const CHECKS: readonly Check[] = [
  { name: 'types', command: [bin('tsc'), '--noEmit', '-p', '.'] },
  { name: 'lint', command: [bin('biome'), 'check', '--error-on-warnings', '.'] },
];
const NATIVE: readonly Check[] = [
  { name: 'native build', command: [NODE, 'native/build.mjs'] },
  { name: `fuzzing for ${FUZZ_SECONDS} s`, command: ['native/fuzz/run.sh', String(FUZZ_SECONDS)] },
];

const wanted = process.argv.slice(2);
const whole = wanted.length === 0;
const checks = whole ? [...CHECKS, ...NATIVE] : CHECKS;
const failed = checks.filter((check) => !passes(check)).map(({ name }) => name);
if (!runTests(whole ? ['test'] : wanted)) failed.push('tests');
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(', ')}`);
  process.exitCode = 1;
}

function passes({ name, command }: Check): boolean {
  if (command[0]?.includes('fuzz') === true && !['clang++-14', 'clang++'].some(installed)) {
    console.log(`── ${name}: left out, there is no clang++ (Debian: clang-14 libclang-rt-14-dev)`);
    return true;
  }
  console.log(`── ${name}`);
  const [program = '', ...args] = command;
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined) console.error(`${program}: ${error.message}`);
  return status === 0;
}

function runTests(places: readonly string[]): boolean {
  const files = places.flatMap((place) =>
    place.endsWith('.test.ts') ? [place] : globSync(`${place}/**/*.test.ts`, { cwd: ROOT }),
  );
  const concurrency = Math.max(2, availableParallelism());
  const limits = [`--test-timeout=${TEST_MS_MAX}`, `--test-concurrency=${concurrency}`];
  if (files.length === 0) {
    // Without a file `node --test` would look for some itself.
    console.error(`no test file: ${places.join(' ')}`);
    return false;
  }
  console.log(`── tests, ${files.length} files`);
  const { status } = spawnSync(NODE, ['--test', ...limits, ...files.sort()], { cwd: ROOT, stdio: 'inherit' });
  return status === 0;
}
