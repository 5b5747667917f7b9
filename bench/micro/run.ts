/**
 * The micro-benchmarks: npm run bench:micro [-- NAME …] [--list] [--quick]
 *
 * One file for each, and one process, in turn: beside each other they would share a cache and a core.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const FILES = [
  'scanner.ts',
  'crc32.ts',
  'command.ts',
  'replies.ts',
  'envelope.ts',
  'journal.ts',
  'edits.ts',
  'authentication.ts',
  'filters.ts',
  'log.ts',
] as const;
const nameOf = (file: string): string => file.replace(/\.ts$/, '');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
});
const names = FILES.map(nameOf);
const unknown = positionals.filter((name) => !names.includes(name));
if (values.list) console.log(names.join('\n'));
else if (unknown.length > 0) {
  console.error(`no micro-benchmark ${unknown.join(', ')}; there are ${names.join(', ')}`);
  process.exitCode = 2;
} else {
  const env = { ...process.env, ...(values.quick && { BENCH_QUICK: '1' }) };
  for (const file of FILES.filter((each) => positionals.length === 0 || positionals.includes(nameOf(each)))) {
    const { status } = spawnSync(process.execPath, [join(import.meta.dirname, file)], { stdio: 'inherit', env });
    if (status !== 0) process.exitCode = 1;
  }
}
