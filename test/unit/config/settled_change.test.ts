import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, suite, test } from 'node:test';
import { SettledChange } from '../../../src/config/settled_change.ts';
import { temporaryFolder } from '../../support/folders.ts';

suite('files that change', () => {
  let folder: string;
  let file: string;
  let changes: number;
  let watch: SettledChange;

  beforeEach(() => {
    folder = temporaryFolder('settled');
    file = join(folder, 'list');
    changes = 0;
    watch = new SettledChange(() => changes++);
    writeFileSync(file, 'one\n');
  });

  const looks = async (count: number): Promise<number> => {
    for (let at = 0; at < count; at++) await watch.look();
    return changes;
  };

  test('one that is left alone is no change', async () => {
    await watch.follow([file]);
    assert.equal(await looks(3), 0);
  });

  test('one that changes while it is read is told of, though what it names is followed, too', async () => {
    const named = join(folder, 'named');
    writeFileSync(named, 'x\n');
    await watch.follow([file]);
    writeFileSync(file, 'another one\n');
    await watch.followToo([file, named]);
    assert.equal(await looks(2), 1);
    appendFileSync(named, 'y\n');
    assert.equal(await looks(2), 2);
    await watch.follow([file, named]);
    await watch.followToo([file]);
    appendFileSync(named, 'z\n');
    assert.equal(await looks(2), 2, 'it is named no more');
  });

  test('one that grows is told of when it stands still, and once', async () => {
    await watch.follow([file]);
    for (let piece = 0; piece < 3; piece++) {
      appendFileSync(file, 'more\n');
      assert.equal(await looks(1), 0, 'it may still be copied');
    }
    assert.equal(await looks(1), 1);
    assert.equal(await looks(3), 1);
  });

  test('renamed over with the same size, and a link that points elsewhere', async () => {
    const link = join(folder, 'link');
    symlinkSync(file, link);
    await watch.follow([file, link]);
    writeFileSync(join(folder, 'next'), 'two\n');
    renameSync(join(folder, 'next'), file);
    assert.equal(await looks(2), 1, 'both paths, one change');
    writeFileSync(join(folder, 'other'), 'two\n');
    rmSync(link);
    assert.equal(await looks(3), 1, 'between two ends of a change there is nothing');
    symlinkSync(join(folder, 'other'), link);
    assert.equal(await looks(2), 2);
  });

  test('a folder: one file more, one less, one written in place; none in a folder of it', async () => {
    await watch.follow([folder]);
    writeFileSync(join(folder, 'second'), 'three\n');
    assert.equal(await looks(2), 1);
    appendFileSync(file, 'four\n');
    assert.equal(await looks(2), 2);
    rmSync(file);
    assert.equal(await looks(2), 3);
    mkdirSync(join(folder, 'below'));
    writeFileSync(join(folder, 'below', 'third'), 'five\n');
    assert.equal(await looks(2), 3);
  });

  test('what is read after `follow` is no change, and who is not followed any more is not looked at', async () => {
    await watch.follow([file]);
    appendFileSync(file, 'two\n');
    await watch.follow([file]);
    assert.equal(await looks(3), 0);
    appendFileSync(file, 'three\n');
    await watch.follow([]);
    assert.equal(await looks(3), 0);
  });

  test('nothing is told after the end', async () => {
    await watch.follow([file]);
    appendFileSync(file, 'two\n');
    await watch.look();
    watch.end();
    assert.equal(await looks(2), 0);
  });
});
