import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HashesInForce, Upload } from '../../../src/facts/recipient_hashes.ts';
import {
  HASHES_FILE,
  HashedDirectory,
  PushedHashes,
  parseSalt,
  UPLOAD_BYTES_MAX,
} from '../../../src/facts/recipient_hashes.ts';
import type { Disk } from '../../../src/spool/disk.ts';
import { systemDisk } from '../../../src/spool/disk.ts';
import { temporaryFolder } from '../../support/folders.ts';

const SALT = Buffer.from('a secret of the inside');

const hashOf = (address: string): string => createHash('sha256').update(SALT).update(address).digest('hex');
const linesOf = (...addresses: readonly string[]): Buffer => Buffer.from(addresses.map(hashOf).join('\n'));

const begun = (pushed: PushedHashes): Upload => pushed.beginUpload(SALT);
const theirs = (detail: string) => ({ whose: 'theirs', detail });
const OVERTAKEN = { whose: 'overtaken', detail: 'another upload has begun since' };

const pushedIn = (folder: string, disk: Disk = systemDisk) => {
  const changes: HashesInForce[] = [];
  return { pushed: new PushedHashes(disk, folder, (inForce) => changes.push(inForce)), changes };
};

/** On a disk that tells when it is `writing`, and takes what is written at `go`. */
const pushedSlowly = () => {
  const folder = temporaryFolder('hashes');
  const writing = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const rename: Disk['rename'] = async (from, to) => {
    writing.resolve();
    await go.promise;
    await systemDisk.rename(from, to);
  };
  const { pushed, changes } = pushedIn(folder, { ...systemDisk, rename });
  const commit = (address: string) => {
    const upload = begun(pushed);
    upload.add(linesOf(address));
    return upload.commit();
  };
  return { folder, pushed, changes, commit, writing, go };
};

test('hashes that are pushed are known, at once and after a restart', async () => {
  const folder = temporaryFolder('hashes');
  const { pushed, changes } = pushedIn(folder);
  assert.equal(await pushed.load(), null);
  assert.ok('trouble' in new HashedDirectory(pushed.inForce).knows('jane@example.org'), 'nothing has been pushed yet');
  const upload = begun(pushed);
  for (const byte of linesOf('jane@example.org', '@example.net')) assert.equal(upload.add(Uint8Array.of(byte)), null);
  assert.equal(await upload.commit(), null);
  assert.equal(changes.length, 1);
  const restarted = pushedIn(folder).pushed;
  assert.equal(await restarted.load(), null);
  for (const inForce of [changes[0]!, restarted.inForce]) {
    const directory = new HashedDirectory(inForce);
    assert.deepEqual(directory.knows('Jane@example.org'), { known: true });
    assert.deepEqual(directory.knows('anybody@example.net'), { known: true });
    assert.deepEqual(directory.knows('john@example.org'), { known: false });
  }
});

test('an upload that is cut off, faulty, empty or overtaken changes nothing', async () => {
  const folder = temporaryFolder('hashes');
  const { pushed, changes } = pushedIn(folder);
  const first = begun(pushed);
  first.add(linesOf('jane@example.org'));
  assert.equal(await first.commit(), null);
  const before = pushed.inForce;
  const half = begun(pushed);
  half.add(linesOf('john@example.org').subarray(0, 63));
  const noHash = theirs('after 0 hashes: not 64 hex digits');
  assert.deepEqual(await half.commit(), noHash);
  const wrong = begun(pushed);
  assert.deepEqual(wrong.add(Buffer.from('jane@example.org\n')), noHash);
  assert.deepEqual(wrong.add(linesOf('john@example.org')), noHash, 'and stays so');
  assert.deepEqual(begun(pushed).add(Buffer.alloc(100_000, 'a')), theirs('line 1 is too long'));
  assert.deepEqual(await begun(pushed).commit(), theirs('there is no hash in it; that would refuse all mail'));
  const endless = begun(pushed);
  const blank = Buffer.alloc(4 << 20, `${' '.repeat(63)}\n`);
  let bytes = 0;
  while (bytes <= UPLOAD_BYTES_MAX && endless.add(blank) === null) bytes += blank.length;
  assert.deepEqual(await endless.commit(), theirs(`more than ${UPLOAD_BYTES_MAX} bytes`));
  const aborted = begun(pushed);
  aborted.add(linesOf('john@example.org'));
  aborted.abort();
  assert.ok((await aborted.commit()) !== null);
  const overtaken = begun(pushed);
  overtaken.add(linesOf('john@example.org'));
  const last = begun(pushed);
  assert.deepEqual(overtaken.add(linesOf('james@example.org')), OVERTAKEN, 'it is not kept in memory any longer');
  assert.deepEqual(await overtaken.commit(), OVERTAKEN);
  last.abort();
  assert.equal(pushed.inForce, before);
  assert.equal(changes.length, 1);
});

test('an upload that ends while the one before is still being written comes after it', async () => {
  const { folder, pushed, changes, commit, writing, go } = pushedSlowly();
  const first = commit('jane@example.org');
  await writing.promise;
  const second = commit('john@example.org');
  go.resolve();
  assert.deepEqual(await Promise.all([first, second]), [null, null]);
  const restarted = pushedIn(folder).pushed;
  assert.equal(await restarted.load(), null);
  for (const inForce of [changes[1]!, pushed.inForce, restarted.inForce]) {
    assert.deepEqual(new HashedDirectory(inForce).knows('john@example.org'), { known: true });
    assert.deepEqual(new HashedDirectory(inForce).knows('jane@example.org'), { known: false });
  }
});

test('an upload that waits for the disk is overtaken by the next one, and its hashes are let go', async () => {
  const { pushed, changes, commit, writing, go } = pushedSlowly();
  const first = commit('jane@example.org');
  await writing.promise;
  const waits = commit('john@example.org');
  const last = commit('last@example.org');
  go.resolve();
  assert.deepEqual(await Promise.all([first, waits, last]), [null, OVERTAKEN, null]);
  assert.equal(changes.length, 2);
  assert.deepEqual(new HashedDirectory(pushed.inForce).knows('last@example.org'), { known: true });
});

test('a salt is 16 to 64 bytes in hex', () => {
  for (const digits of [32, 34, 128]) assert.equal(parseSalt('aF'.repeat(digits / 2))?.length, digits / 2);
  for (const hex of ['', 'a'.repeat(30), 'a'.repeat(33), 'a'.repeat(130), `${'a'.repeat(31)}g`, `0x${'a'.repeat(32)}`])
    assert.equal(parseSalt(hex), null, hex);
});

test('a disk that fails leaves the hashes that were there', async () => {
  const folder = temporaryFolder('hashes');
  const failing: Disk = { ...systemDisk, rename: () => Promise.reject(Object.assign(new Error(), { code: 'EIO' })) };
  const { pushed } = pushedIn(folder, failing);
  const upload = begun(pushed);
  upload.add(linesOf('jane@example.org'));
  assert.deepEqual(await upload.commit(), { whose: 'ours', detail: 'the recipients cannot be written (EIO)' });
  assert.equal(pushed.inForce, null);
});

test('a damaged file is told of, and nobody is known', async () => {
  const folder = temporaryFolder('hashes');
  const { pushed } = pushedIn(folder);
  const upload = begun(pushed);
  upload.add(linesOf('jane@example.org'));
  await upload.commit();
  const path = join(folder, HASHES_FILE);
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at += 5) {
    const damaged = Buffer.from(whole);
    damaged[at] = damaged[at]! ^ 1;
    writeFileSync(path, damaged);
    const again = pushedIn(folder).pushed;
    assert.equal(await again.load(), 'the pushed recipients cannot be read (EBADMSG)');
    assert.equal(again.inForce, null);
  }
});
