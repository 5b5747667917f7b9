/**
 * Programs of others that interop tests talk to. Where one is missing its test fails and says which Debian package
 * has it
 * (.ci/run installs them all); POSTERN_TEST_INTEROP=0 skips such tests on a machine that cannot have them.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { within } from './deadline.ts';

/** For node:test: why interop tests are skipped here, or false. */
export const INTEROP_SKIPPED = process.env.POSTERN_TEST_INTEROP === '0' ? 'POSTERN_TEST_INTEROP=0' : false;

const PACKAGES: Readonly<Record<string, string>> = {
  postfix: 'postfix',
  'smtp-source': 'postfix',
  'smtp-sink': 'postfix',
  swaks: 'swaks',
  python3: 'python3',
  haproxy: 'haproxy',
  slapadd: 'slapd',
  slapd: 'slapd',
  dkimsign: 'python3-dkim python3-nacl',
  arcsign: 'python3-dkim python3-authres',
  clamd: 'clamav-daemon',
  'opendkim-genkey': 'opendkim-tools',
};

/** The path of a program; throws where it is not installed. */
export function program(name: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is not installed: apt-get install ${PACKAGES[name] ?? name}`);
  return found;
}

export type Outcome = { readonly code: number | null; readonly output: string };

/** Runs a program to its end; output is standard output and error as they came. */
export async function run(name: string, args: readonly string[], input = ''): Promise<Outcome> {
  const child = spawn(program(name), args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('latin1').on('data', (text: string) => {
      output += text;
    });
  child.stdin.on('error', () => undefined); // it may end without reading
  child.stdin.end(input, 'latin1');
  const closed = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
  try {
    return await within(() => `${name}, which said:\n${output.slice(-2000)}`, closed);
  } finally {
    child.kill('SIGKILL');
  }
}
