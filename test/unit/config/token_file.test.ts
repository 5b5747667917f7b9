/** The token for pushes: long, of its alphabet, alone in its file; what is wrong with it never shows it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { loadAdminToken } from '../../../src/config/token_file.ts';
import { temporaryFolder } from '../../support/folders.ts';

const TOKEN = 'ab0~'.repeat(8);
const folder = temporaryFolder('token');
const file = join(folder, 'token');

const loaded = (environment: Readonly<Record<string, string>>) =>
  loadConfig({ POSTERN_DOMAINS: 'example.org', POSTERN_INSIDE_ROUTE: 'smtp://10.0.0.5', ...environment });

function faultsOf(path: string, more: Readonly<Record<string, string>> = {}): string {
  const result = loaded({ POSTERN_ADMIN_TOKEN_FILE: path, ...more });
  assert.ok('faults' in result, 'it was taken');
  return result.faults.join('\n');
}

test('a file that holds no token is refused at start, by name, and not shown', () => {
  for (const [text, words] of [
    ['', /too short/],
    [TOKEN.slice(1), /too short; write at least 32/],
    [`${TOKEN}\n${TOKEN}\n`, /letters, digits and/],
    [`${TOKEN} x`, /letters, digits and/],
    [`${TOKEN}é`, /letters, digits and/],
    [`=${TOKEN}`, /letters, digits and/],
    ['a'.repeat(5000), /no file of a line/],
  ] as const) {
    writeFileSync(file, text);
    const fault = faultsOf(file);
    assert.match(fault, words);
    assert.ok(fault.startsWith(`POSTERN_ADMIN_TOKEN_FILE="${file}": `), fault);
    assert.ok(!fault.includes('ab0~') && !fault.includes('\n'), fault);
  }
  assert.match(faultsOf(folder), /no file of a line/);
  assert.match(faultsOf(`${file}.none`), /cannot be read \(ENOENT\)/);
});

test('a token for a door that is not there is a fault', () => {
  writeFileSync(file, TOKEN);
  assert.match(faultsOf(file, { POSTERN_ADMIN_LISTEN: '' }), /opens a door of POSTERN_ADMIN_LISTEN, which is empty/);
});

test('a token matches itself and nothing else', () => {
  writeFileSync(file, `${TOKEN}\n`);
  assert.ok('config' in loaded({ POSTERN_ADMIN_TOKEN_FILE: file }));
  const read = loadAdminToken(file);
  assert.ok('token' in read && read.token !== null);
  assert.ok(read.token.matches(TOKEN));
  for (const other of ['', TOKEN.slice(1), `${TOKEN}=`, TOKEN.toUpperCase()]) assert.ok(!read.token.matches(other));
  assert.deepEqual(loadAdminToken(''), { token: null });
});
