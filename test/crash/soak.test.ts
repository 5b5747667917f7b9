/** A minute of what `npm run soak` does for as long as one likes, under a load that leaves room for the other tests. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SOAK = fileURLToPath(new URL('../../bench/soak.ts', import.meta.url));

type Ended = { readonly code: unknown; readonly output: string };

test('a minute of kills: nothing lost or altered, and twice only what was in flight', async (context) => {
  const { code, output } = await new Promise<Ended>((resolve) => {
    const args = [SOAK, '--minutes', '1', '--rate', '40'];
    execFile(process.execPath, args, { signal: context.signal }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, output: stdout + stderr }),
    );
  });
  assert.equal(code, 0, output);
  const [first = '', ...rest] = output.trimEnd().split('\n');
  context.diagnostic(first);
  context.diagnostic(rest.at(-1) ?? '');
});
