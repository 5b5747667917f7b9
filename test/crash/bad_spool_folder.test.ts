/**
 * A spool folder that cannot be used: a clear line that names the variable and says what to do, an exit code, and
 * nothing in the folder touched. What merely lies about in it is reported and left alone, and the start goes on.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import nodemailer from 'nodemailer';
import { openFolder, temporaryFolder } from '../support/folders.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SEGMENT_BYTES = 1 << 20;
const NOBODY = 65_534;
const FIFO_NAME = '00000007.seg';

type End = { readonly code: number | null; readonly said: string };

/** Postern where it is not going to start; what it said on standard error. */
async function refusal(spoolDir: string, more: Readonly<Record<string, string>> = {}): Promise<End> {
  const settings = {
    HOSTNAME: 'postern.example',
    OUTSIDE_LISTEN: '127.0.0.1:0',
    INSIDE_LISTEN: '',
    ADMIN_LISTEN: '',
    DOMAINS: DOMAIN,
    INSIDE_ROUTE: 'smtp://127.0.0.1:1',
    DNS_SERVERS: '127.0.0.1:1',
    WORKERS: '1',
    SEGMENT_BYTES: String(SEGMENT_BYTES),
    SPOOL_DIR: spoolDir,
    ...more,
  };
  const variables = Object.fromEntries(Object.entries(settings).map(([name, value]) => [`POSTERN_${name}`, value]));
  const child = spawn(process.execPath, [MAIN], { env: { PATH: process.env.PATH, ...variables } });
  let [said, logged] = ['', ''];
  child.stderr.on('data', (chunk) => (said += chunk));
  child.stdout.on('data', (chunk) => {
    logged += chunk;
    if (logged.includes('"event":"ready"')) child.kill('SIGKILL'); // it should not have been
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

/** Every name with all that a touch would change. */
function listing(folder: string): readonly string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .concat('')
    .map((name) => {
      const path = join(folder, name);
      const { mode, uid, size, mtimeNs, ctimeNs } = fs.lstatSync(path, { bigint: true });
      const isFile = fs.lstatSync(path).isFile();
      const hash = isFile ? createHash('sha256').update(fs.readFileSync(path)).digest('hex') : '';
      return [name, mode, uid, size, mtimeNs, ctimeNs, hash].join(' ');
    });
}

/** Refused with a line that matches, and the folder is as it was. */
async function assertRefused(spoolDir: string, line: RegExp, more: Readonly<Record<string, string>> = {}) {
  const before = fs.existsSync(spoolDir) && fs.statSync(spoolDir).isDirectory() ? listing(spoolDir) : null;
  const { code, said } = await refusal(spoolDir, more);
  assert.ok(code !== 0 && code !== null, `an exit code that says no: ${code}\n${said}`);
  assert.match(said, line);
  assert.match(said, /POSTERN_SPOOL_DIR/);
  assert.equal(said.trim().split('\n').length, 1, `one line: ${said}`);
  if (before !== null) assert.deepEqual(listing(spoolDir), before, 'nothing is touched');
}

/** A spool that two shards have left, each with a message that waits. */
async function usedSpool(): Promise<string> {
  const spool = join(openFolder('bad-spool'), 'spool');
  const postern = await startPostern(
    { WORKERS: '2', SEGMENT_BYTES: String(SEGMENT_BYTES), RETRY_SECONDS: '600' },
    spool,
  );
  try {
    for (const _ of [1, 2, 3, 4]) await send(postern.outside.port);
  } finally {
    assert.equal(await postern.stop(), 0);
  }
  return spool;
}

async function send(port: number): Promise<void> {
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port, ignoreTLS: true });
  await transport.sendMail({
    envelope: { from: 'a@client.example', to: [`b@${DOMAIN}`] },
    raw: `Subject: waits\r\n\r\n${'z'.repeat(500)}\r\n`,
  });
  transport.close();
}

const run = (...command: [string, ...string[]]): boolean =>
  spawnSync(command[0], command.slice(1), { stdio: 'ignore' }).status === 0;

const firstSegment = (spool: string, shard: string): string => {
  const name = fs
    .readdirSync(join(spool, shard))
    .sort()
    .find((each) => /\.seg$/.test(each));
  assert.ok(name !== undefined);
  return join(spool, shard, name);
};

test('a file in the place of the folder, or of its parent', async () => {
  const folder = temporaryFolder('bad-spool');
  fs.writeFileSync(join(folder, 'file'), 'mine');
  await assertRefused(join(folder, 'file'), /is not a folder/);
  await assertRefused(join(folder, 'file', 'spool'), /is not a folder/);
  assert.equal(fs.readFileSync(join(folder, 'file'), 'utf8'), 'mine');
});

test('parents that are missing are made, for the owner only', async () => {
  const folder = join(temporaryFolder('bad-spool'), 'not', 'yet', 'there');
  const postern = await startPostern({}, folder);
  await postern.kill();
  assert.equal(fs.statSync(folder).mode & 0o777, 0o700);
});

test('a folder on a file system that is mounted read-only', async (context) => {
  const spool = await usedSpool();
  if (!run('mount', '--bind', spool, spool)) return context.skip('this process may not mount (CI runs as root)');
  try {
    assert.ok(run('mount', '-o', 'remount,bind,ro', spool));
    await assertRefused(spool, /read-only file system: mount it for writing/);
    await assertRefused(join(spool, 'new'), /read-only file system: mount it for writing/);
  } finally {
    run('umount', '-l', spool);
  }
});

test("a folder that is another user's", async (context) => {
  if (process.geteuid?.() !== 0) return context.skip('only root may give a folder away');
  const spool = await usedSpool();
  fs.chownSync(spool, NOBODY, NOBODY);
  await assertRefused(spool, /make the user that runs Postern its owner/);
  fs.chownSync(spool, 0, 0);
  fs.chownSync(join(spool, 'shard-01'), NOBODY, NOBODY);
  await assertRefused(spool, /shard-01.*make the user that runs Postern its owner/, { WORKERS: '2' });
});

test('a folder that a running Postern has', async () => {
  const spool = join(temporaryFolder('bad-spool'), 'spool');
  const first = await startPostern({}, spool);
  try {
    await assertRefused(spool, /another Postern has this spool; stop it, or write another folder/);
  } finally {
    assert.equal(await first.stop(), 0);
  }
});

test('a spool that a newer version has written: no shard of it is touched', async () => {
  const spool = await usedSpool();
  const segment = firstSegment(spool, 'shard-01');
  const file = fs.openSync(segment, 'r+');
  fs.writeSync(file, Buffer.from([9, 0, 0, 0]), 0, 4, 4);
  fs.closeSync(file);
  const line = new RegExp(`${segment} is written in format 9, and this Postern reads format \\d+: start the version`);
  await assertRefused(spool, line, { WORKERS: '2' });
  // As an orphan that is to be adopted, too.
  await assertRefused(spool, line, { WORKERS: '1' });
});

test('a disk that is full before the first segment is made: nothing is accepted, and it runs', async (context) => {
  const folder = temporaryFolder('bad-spool');
  if (!run('mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder))
    return context.skip('this process may not mount');
  try {
    const postern = await startPostern({ SEGMENT_BYTES: String(SEGMENT_BYTES) }, join(folder, 'spool'));
    await postern.logged('spool-full');
    await assert.rejects(
      send(postern.outside.port),
      ({ responseCode }: { responseCode: number }) => responseCode === 452,
    );
    assert.equal(await postern.stop(), 0);
    // Where there is not even room for a folder.
    fs.rmSync(join(folder, 'spool'), { recursive: true });
    run('mount', '-o', 'remount,nr_inodes=1', folder);
    await assertRefused(join(folder, 'spool'), /the disk is full: free some space/);
  } finally {
    run('umount', '-l', folder);
  }
});

test('what lies about in the folder is reported and left alone, and mail goes on', async (context: TestContext) => {
  const spool = await usedSpool();
  const shard = join(spool, 'shard-00');
  const strays = ['notes.txt', 'a\nb', '12.seg', '00000001.seg.bak', 'folder', 'link', FIFO_NAME, 'content/odd', '..x'];
  for (const name of strays.slice(0, 4)) fs.writeFileSync(join(shard, name), 'mine');
  fs.mkdirSync(join(shard, 'folder'));
  fs.writeFileSync(join(shard, 'folder', 'inside'), 'mine');
  fs.symlinkSync('/nowhere', join(shard, 'link'));
  if (!run('mkfifo', join(shard, FIFO_NAME))) return context.skip('there is no mkfifo');
  fs.writeFileSync(join(shard, 'content', 'odd'), 'mine');
  fs.writeFileSync(join(shard, '..x'), 'mine');
  fs.symlinkSync('/etc', join(spool, 'shard-05'));
  fs.writeFileSync(join(spool, 'shard-06'), 'mine');
  const before = strays.map((name) => fs.lstatSync(join(shard, name), { bigint: true }).ctimeNs);
  const postern = await startPostern({ WORKERS: '1', SEGMENT_BYTES: String(SEGMENT_BYTES) }, spool);
  const reported = (await postern.loggedAll('spool-stray', strays.length)).map(({ path }) => path);
  assert.deepEqual(reported.sort(), strays.map((name) => join(shard, name)).sort());
  await send(postern.outside.port);
  assert.equal(await postern.stop(), 0);
  assert.deepEqual(
    strays.map((name) => fs.lstatSync(join(shard, name), { bigint: true }).ctimeNs),
    before,
    'they are as they were',
  );
  assert.equal(fs.readFileSync(join(spool, 'shard-06'), 'utf8'), 'mine');
});

test('garbage instead of segments, short and huge ones: named, moved aside, and the start goes on', async () => {
  const spool = await usedSpool();
  const shard = join(spool, 'shard-00');
  const garbage = Buffer.alloc(200_000, 'not a segment at all ');
  const huge = Buffer.from(fs.readFileSync(firstSegment(spool, 'shard-00')));
  // A first record that claims four gigabytes of content.
  huge.writeUInt32LE(0xffffffff, 4096 + 24);
  fs.writeFileSync(join(shard, '00000101.seg'), garbage);
  fs.writeFileSync(join(shard, '00000102.seg'), garbage.subarray(0, 100));
  fs.writeFileSync(join(shard, '00000103.seg'), '');
  fs.writeFileSync(join(shard, '00000104.seg'), huge);
  const messages = fs.existsSync(join(shard, 'checkpoint'));
  const postern = await startPostern({ WORKERS: '2', SEGMENT_BYTES: String(SEGMENT_BYTES) }, spool);
  await postern.loggedAll('spool-corrupt', 3);
  await send(postern.outside.port);
  assert.equal(await postern.stop(), 0);
  const names = fs.readdirSync(shard);
  for (const name of ['00000101', '00000102', '00000103']) assert.ok(names.includes(`${name}.damaged`), `${names}`);
  assert.ok(messages);
  assert.deepEqual(fs.readFileSync(join(shard, '00000101.damaged')), garbage);
});
