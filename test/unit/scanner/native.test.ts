/**
 * The addon as a guest in this process: how it is loaded and refused, what it refuses, and that threads can share it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { INTERFACE_VERSION } from '../../../src/base/addon.ts';
import { chooseScanner } from '../../../src/scanner/index.ts';
import { loadNative } from '../../../src/scanner/native.ts';
import { STATE } from '../../../src/scanner/scanner.ts';
import { twin } from '../../../src/scanner/twin.ts';
import { newCuts, newState } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-scanner-'));
after(() => rmSync(folder, { recursive: true }));

const { scanner: native, why } = loadNative();
/** Where no compiler was, there is nothing to be tested: the twin serves. */
const skip = native === null && why;

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('loading', () => {
  test('what is built is what serves', () => {
    const { scanner, why: reason } = chooseScanner();
    assert.equal(scanner, native === null ? twin : scanner);
    assert.equal(scanner.name, native === null ? 'twin' : 'native');
    assert.match(reason, native === null ? /./ : /^the addon, by (?:avx2|sse2|neon|scalar)$/);
  });

  test('an addon that was not built is no failure', () => {
    assert.deepEqual(loadNative(join(folder, 'absent.node')), {
      scanner: null,
      relaxer: null,
      why: 'the addon was not built',
    });
  });

  test('a file that is no addon is refused, with the code of the system', () => {
    assert.deepEqual(loadNative(file('broken.node', 'no ELF')), {
      scanner: null,
      relaxer: null,
      why: 'the addon does not load (ERR_DLOPEN_FAILED)',
    });
  });

  test('an addon of another version is refused', () => {
    const other = INTERFACE_VERSION + 1;
    assert.deepEqual(loadNative(file('other.cjs', `exports.version = ${other};`)), {
      scanner: null,
      relaxer: null,
      why: `the addon is of version ${other}, not ${INTERFACE_VERSION}: run npm ci`,
    });
  });
});

/** Calls that break the contract. The compiler would not let them pass, so they come as `unknown`. */
const MISUSE: Record<string, () => unknown[]> = {
  'a range that ends behind the chunk': () => [new Uint8Array(4), 0, 5, newState(), newCuts()],
  'a range that begins before the chunk': () => [new Uint8Array(4), -1, 4, newState(), newCuts()],
  'a range that ends before it begins': () => [new Uint8Array(4), 3, 2, newState(), newCuts()],
  'a part of a byte': () => [new Uint8Array(4), 0.5, 4, newState(), newCuts()],
  'no number': () => [new Uint8Array(4), Number.NaN, 4, newState(), newCuts()],
  'a state that is too small': () => [new Uint8Array(4), 0, 4, newState().subarray(1), newCuts()],
  'cuts that are too small': () => [new Uint8Array(4), 0, 4, newState(), newCuts().subarray(1)],
};
const MISUSE_OF_KIND: Record<string, () => unknown[]> = {
  'no arguments': () => [],
  'one argument too many': () => [new Uint8Array(4), 0, 4, newState(), newCuts(), 0],
  'bytes of another kind': () => [new Uint16Array(4), 0, 0, newState(), newCuts()],
  'no bytes': () => [null, 0, 0, newState(), newCuts()],
  'a state of another kind': () => [new Uint8Array(4), 0, 4, new Float32Array(16), newCuts()],
  'cuts of another kind': () => [new Uint8Array(4), 0, 4, newState(), new Uint32Array(2048)],
};

describe('misuse throws', () => {
  for (const [name, args] of Object.entries(MISUSE)) {
    test(name, () => {
      assert.throws(() => Reflect.apply(twin.scan, twin, args()), { name: 'AssertionFailure' });
      if (native !== null) assert.throws(() => Reflect.apply(native.scan, native, args()), TypeError);
    });
  }
  for (const [name, args] of Object.entries(MISUSE_OF_KIND)) {
    test(`addon: ${name}`, { skip }, () => {
      assert.throws(() => Reflect.apply(native!.scan, native, args()), TypeError);
    });
  }
  test('addon: finish of anything but a state', { skip }, () => {
    for (const args of [[], [null], [newState().subarray(1)], [new Uint8Array(16)], [newState(), 1]])
      assert.throws(() => Reflect.apply(native!.finish, native, args), TypeError);
  });
  test('addon: memory that has gone elsewhere', { skip }, () => {
    const bytes = new Uint8Array(4);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    assert.throws(() => native!.scan(bytes, 0, 4, newState(), newCuts()), TypeError);
  });
  test('addon: a state of nonsense harms nobody', { skip }, () => {
    const chunk = Buffer.from('Received: a\r\n..b\r\n'.repeat(100));
    for (const nonsense of [-1, -5, 77, 0x7fffffff, -0x80000000]) {
      const state = newState().fill(nonsense);
      const end = native!.scan(chunk, 0, chunk.length, state, newCuts());
      assert.ok(end > 0 && end <= chunk.length && state[STATE.cuts]! >= 0);
    }
  });
});

const WORKERS = 4;

test('many threads load the addon at once, and go while others scan', { skip }, async () => {
  const program = `
    import { parentPort } from 'node:worker_threads';
    import { loadNative } from ${JSON.stringify(import.meta.resolve('../../../src/scanner/native.ts'))};
    const { scanner, why } = loadNative();
    const chunk = Buffer.from('A: b\\r\\n\\r\\n' + '..a line\\r\\n'.repeat(500));
    const state = new Int32Array(16);
    const cuts = new Int32Array(2048);
    for (let turn = 0; turn < 200; turn++) {
      state.fill(0);
      scanner.scan(chunk, 0, chunk.length, state, cuts);
    }
    parentPort.postMessage([why, ...state]);`;
  const seen = await Promise.all(
    Array.from({ length: WORKERS }, async () => {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
      const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
      return message as unknown;
    }),
  );
  assert.deepEqual(seen, Array(WORKERS).fill(seen[0]));
  const [reason, ...state] = seen[0] as [string, ...number[]];
  assert.equal(reason, why);
  assert.equal(state[STATE.contentBytes], 8 + 9 * 500);
});
