import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HashesInForce, Upload } from '../../../src/facts/recipient_hashes.ts';
import { HASHES_FILE, HashedDirectory, PushedHashes } from '../../../src/facts/recipient_hashes.ts';
import type { Disk } from '../../../src/spool/disk.ts';
import { systemDisk } from '../../../src/spool/disk.ts';
import { temporaryFolder } from '../../support/folders.ts';

const SALT = Buffer.from('a secret of the inside');

const hashOf = (address: string): string => createHash('sha256').update(SALT).update(address).digest('hex');
const linesOf = (...addresses: readonly string[]): Buffer => Buffer.from(addresses.map(hashOf).join('\n'));

function begun(pushed: PushedHashes): Upload {
  const upload = pushed.beginUpload(SALT);
  assert.ok(typeof upload !== 'string');
  return upload;
}

const pushedIn = (folder: string, disk: Disk = systemDisk) => {
  const changes: HashesInForce[] = [];
  return { pushed: new PushedHashes(disk, folder, (inForce) => changes.push(inForce)), changes };
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
  assert.equal(await half.commit(), 'after 0 hashes: not 64 hex digits');
  const wrong = begun(pushed);
  assert.equal(wrong.add(Buffer.from('jane@example.org\n')), 'after 0 hashes: not 64 hex digits');
  assert.equal(wrong.add(linesOf('john@example.org')), 'after 0 hashes: not 64 hex digits');
  assert.equal(begun(pushed).add(Buffer.alloc(100_000, 'a')), 'line 1 is too long');
  assert.match((await begun(pushed).commit()) ?? '', /no hash/);
  const aborted = begun(pushed);
  aborted.add(linesOf('john@example.org'));
  aborted.abort();
  assert.ok((await aborted.commit()) !== null);
  const overtaken = begun(pushed);
  overtaken.add(linesOf('john@example.org'));
  const last = begun(pushed);
  assert.ok((await overtaken.commit()) !== null);
  last.abort();
  assert.equal(typeof pushed.beginUpload(Buffer.alloc(8)), 'string', 'a short salt');
  assert.equal(pushed.inForce, before);
  assert.equal(changes.length, 1);
});

test('an upload that ends while the one before is still being written comes after it', async () => {
  const folder = temporaryFolder('hashes');
  const written = Promise.withResolvers<void>();
  const overtaken = Promise.withResolvers<void>();
  const rename: Disk['rename'] = async (from, to) => {
    written.resolve();
    await overtaken.promise;
    await systemDisk.rename(from, to);
  };
  const { pushed, changes } = pushedIn(folder, { ...systemDisk, rename });
  const commit = (address: string) => {
    const upload = begun(pushed);
    upload.add(linesOf(address));
    return upload.commit();
  };
  const first = commit('jane@example.org');
  await written.promise;
  const second = commit('john@example.org');
  overtaken.resolve();
  assert.deepEqual(await Promise.all([first, second]), [null, null]);
  const restarted = pushedIn(folder).pushed;
  assert.equal(await restarted.load(), null);
  for (const inForce of [changes[1]!, pushed.inForce, restarted.inForce]) {
    assert.deepEqual(new HashedDirectory(inForce).knows('john@example.org'), { known: true });
    assert.deepEqual(new HashedDirectory(inForce).knows('jane@example.org'), { known: false });
  }
});

test('a disk that fails leaves the hashes that were there', async () => {
  const folder = temporaryFolder('hashes');
  const failing: Disk = { ...systemDisk, rename: () => Promise.reject(Object.assign(new Error(), { code: 'EIO' })) };
  const { pushed } = pushedIn(folder, failing);
  const upload = begun(pushed);
  upload.add(linesOf('jane@example.org'));
  assert.equal(await upload.commit(), 'the recipients cannot be written (EIO)');
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
