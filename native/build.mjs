/**
 * Builds the addon: one call of the compiler. Run by `npm ci` with whatever Node is there, so plain JavaScript and
 * nothing but Node. Where no compiler is, it says so in one line, and the TypeScript scanner serves, with
 * Node's own accept loop.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const headers = join(here, '..', 'node_modules', 'node-api-headers', 'include');
const built = join(here, 'build', 'scanner.node');

const compiler = [process.env.CXX, 'c++', 'g++', 'clang++'].find(
  (name) => name && spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
);
if (compiler === undefined || !existsSync(headers)) {
  const missing = compiler === undefined ? 'no C++ compiler was found' : 'node-api-headers is not installed';
  console.log(`postern: ${missing}; the TypeScript scanner serves (slower, otherwise the same)`);
} else {
  mkdirSync(dirname(built), { recursive: true });
  const files = ['addon.cc', 'acceptor.cc', 'scanner_core.cpp', 'crc32_core.cpp'];
  const sources = files.map((name) => join(here, 'src', name));
  const language = ['-std=c++17', '-O3', '-fPIC', '-shared', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden'];
  const warnings = ['-Wall', '-Wextra', '-Werror=return-type'];
  // Written beside and moved into place: a build that is cut off leaves nothing half.
  const args = [...language, ...warnings, '-DNAPI_VERSION=9', `-I${headers}`, ...sources, '-o', `${built}.new`];
  const { status, error } = spawnSync(compiler, args, { stdio: 'inherit' });
  if (status !== 0) {
    console.error(
      `postern: ${compiler} could not build the scanner${error === undefined ? '' : ` (${error.message})`}`,
    );
    process.exit(1);
  }
  renameSync(`${built}.new`, built);
}
