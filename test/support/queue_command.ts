/** The operator's queue commands, run as an operator runs them. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const COMMAND = fileURLToPath(new URL('../../src/postern.ts', import.meta.url));

/** `postern queue … --json`: the objects that it prints. */
export async function queue(spoolDir: string, ...args: readonly string[]): Promise<Record<string, unknown>[]> {
  const env = { PATH: process.env.PATH, POSTERN_SPOOL_DIR: spoolDir };
  const { stdout } = await promisify(execFile)(process.execPath, [COMMAND, 'queue', ...args, '--json'], { env });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
