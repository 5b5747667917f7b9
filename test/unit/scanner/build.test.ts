/** native/build.mjs, as `npm ci` runs it: on machines with and without what it needs. Never over the addon in use. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** A copy of what is needed, so that a build leaves ours alone. */
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'postern-build-'));
  mkdirSync(join(root, 'native'));
  copyFileSync(join(ROOT, 'native', 'build.mjs'), join(root, 'native', 'build.mjs'));
  symlinkSync(join(ROOT, 'native', 'src'), join(root, 'native', 'src'));
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A compiler that says its version, and then does as `script` says. */
function compiler(script: string): string {
  const path = join(root, 'compiler');
  writeFileSync(path, `#!/bin/sh\n[ "$1" = --version ] && exit 0\n${script}\n`, { mode: 0o755 });
  return path;
}

function build(env: Record<string, string>) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'native', 'build.mjs')], {
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr, built: existsSync(join(root, 'native', 'build', 'scanner.node')) };
}

test('no compiler: one line says that the TypeScript scanner serves, and all is well', () => {
  assert.deepEqual(build({ PATH: '' }), {
    status: 0,
    stdout: 'postern: no C++ compiler was found; the TypeScript scanner serves (slower, otherwise the same)\n',
    stderr: '',
    built: false,
  });
});

test('no headers: likewise', () => {
  rmSync(join(root, 'node_modules'));
  assert.deepEqual(build({ PATH: '', CXX: compiler('exit 1') }), {
    status: 0,
    stdout: 'postern: node-api-headers is not installed; the TypeScript scanner serves (slower, otherwise the same)\n',
    stderr: '',
    built: false,
  });
});

test('a compiler that fails: its own words, and the installation fails', () => {
  const { status, stderr, built } = build({
    PATH: process.env.PATH ?? '',
    CXX: compiler('echo "out of registers" >&2; exit 1'),
  });
  assert.equal(status, 1);
  assert.match(stderr, /^out of registers\npostern: .*compiler could not build the scanner\n$/);
  assert.equal(built, false);
});

test('CXX goes before what is on the path, and a build that is done is silent', () => {
  const path = process.env.PATH ?? '';
  const touch = 'while [ $# -gt 0 ]; do [ "$1" = -o ] && : >"$2"; shift; done';
  assert.deepEqual(build({ PATH: path, CXX: compiler(touch) }), { status: 0, stdout: '', stderr: '', built: true });
});
