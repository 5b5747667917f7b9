/**
 * The micro-benchmarks: npm run bench:micro [-- NAME …] (--help tells the rest)
 *
 * One file for each, and one process, in turn: beside each other they would share a cache and a core.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { flag, parseOrExit } from '../arguments.ts';

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

const names = FILES.map(nameOf);
const { values, words } = parseOrExit(
  {
    name: 'bench:micro',
    purpose: 'Measures single functions.',
    words: 'NAME …',
    table: { list: flag('their names'), quick: flag('shows that they work, not how fast') },
    faults: (_, words) =>
      words
        .filter((name) => !names.includes(name))
        .map((name) => `no micro-benchmark ${name}; there are ${names.join(', ')}`),
  },
  process.argv.slice(2),
);
if (values.list) console.log(names.join('\n'));
else {
  const env = { ...process.env, ...(values.quick && { BENCH_QUICK: '1' }) };
  for (const file of FILES.filter((each) => words.length === 0 || words.includes(nameOf(each)))) {
    const { status } = spawnSync(process.execPath, [join(import.meta.dirname, file)], { stdio: 'inherit', env });
    if (status !== 0) process.exitCode = 1;
  }
}
