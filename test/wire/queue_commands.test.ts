/** The operator's commands as a person has them: `postern` as a child process, beside a real Postern or its spool. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, within } from '../support/deadline.ts';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { idOf, SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const COMMAND = fileURLToPath(new URL('../../src/postern.ts', import.meta.url));
/** Nobody comes back by himself. */
const LATE = { RETRY_SECONDS: '1800', DELAY_WARNING_SECONDS: '0', WORKERS: '2' };

type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

/** `postern queue …` with its spool in the environment. */
async function queue(spoolDir: string, ...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [COMMAND, 'queue', ...args], {
    env: { PATH: process.env.PATH, POSTERN_SPOOL_DIR: spoolDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const [code] = (await within(() => `postern queue ${args.join(' ')}\n${err}`, once(child, 'close'))) as [
    number | null,
  ];
  return { code, out, err };
}

type Row = Readonly<Record<string, unknown>> & { readonly id: string; readonly state: string };

async function listed(spoolDir: string, ...args: string[]): Promise<Row[]> {
  const { code, out, err } = await queue(spoolDir, 'list', '--json', ...args);
  assert.equal(code, 0, err);
  return out
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

/** Sends mail in, all to one server that is down, and waits until each has been tried. */
async function fill(
  postern: PosternProcess,
  mails: readonly (readonly [from: string, to: string])[],
): Promise<string[]> {
  const client = await SmtpClient.greeted(postern.outside);
  const ids: string[] = [];
  for (const [from, to] of mails) {
    await client.command(`MAIL FROM:<${from}>`, 250);
    await client.command(`RCPT TO:<${to}>`, 250);
    await client.command('DATA', 354);
    await client.send(`Subject: to ${to}\r\n\r\nbody\r\n.\r\n`);
    ids.push(idOf(await client.expect(250)));
  }
  await client.quit();
  await postern.deferred(mails.length);
  return ids;
}

const MAILS = [
  ['a@x.example', `one@${DOMAIN}`],
  ['b@x.example', `two@${DOMAIN}`],
  ['b@x.example', `three@${DOMAIN}`],
  ['', `four@${DOMAIN}`],
  ['a@y.example', `five@${DOMAIN}`],
] as const;

/** Every file in the folder but the socket, by name: time of change and content. */
const stateOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const file = path.join(parentPath, name);
      return `${file} ${statSync(file).mtimeMs} ${createHash('sha256').update(readFileSync(file)).digest('hex')}`;
    })
    .sort();

describe('beside a Postern whose inside server is down', () => {
  let postern: PosternProcess;
  let spoolDir: string;
  let ids: string[];
  before(async () => {
    postern = await startPostern(LATE);
    spoolDir = postern.spoolDir;
    ids = await fill(postern, MAILS);
  });
  after(() => postern?.stop());

  test('the socket is for its owner only', () => {
    const found = statSync(path.join(spoolDir, 'admin.sock'));
    assert.ok(found.isSocket());
    assert.equal(found.mode & 0o777, 0o600);
  });

  test('list: a header and a row a recipient, of all shards, in order of acceptance', async () => {
    const { code, out } = await queue(spoolDir, 'list');
    assert.equal(code, 0);
    const [header, ...lines] = out.trimEnd().split('\n');
    assert.match(header!, /^ID +AGE +SIZE +STATE +TRIES +NEXT +SENDER +RECIPIENT +SITE +DETAIL$/);
    assert.deepEqual(
      lines.map((line) => line.split(/\s+/)[0]),
      ids,
    );
    assert.match(lines[3]!, / waiting +1 +\d+m\d\ds +<> +four@here\.example +inside\\x20smtp:\/\/\S+ +4\.4\.1 /);
    assert.deepEqual(
      (await listed(spoolDir)).map(({ id }) => id),
      ids,
    );
  });

  test('list with filters', async () => {
    const found = async (...args: string[]) => (await listed(spoolDir, ...args)).map(({ id }) => ids.indexOf(id));
    assert.deepEqual(await found('--sender', 'b@x.example'), [1, 2]);
    assert.deepEqual(await found('--sender', '*@x.example', '--sender', '<>'), [0, 1, 2, 3]);
    assert.deepEqual(await found('--sender', 'b@x.example', '--recipient', `t*@${DOMAIN}`, ids[2]!), [2]);
    assert.deepEqual(await found('--domain', DOMAIN, '--limit', '2'), [0, 1]);
    assert.deepEqual(await found('--domain', 'nowhere.example'), []);
    assert.deepEqual(await found('--site', 'inside\\x20smtp://127.0.0.1:1', '--state', 'waiting'), [0, 1, 2, 3, 4]);
    assert.deepEqual(await found('--older', '1h'), []);
    assert.deepEqual(await found('--younger', '1h'), [0, 1, 2, 3, 4]);
    assert.match((await queue(spoolDir, 'list', '--limit', '2')).err, /there are more/);
  });

  test('stats, show and cat', async () => {
    const stats = await queue(spoolDir, 'stats', '--by', 'domain', '--json');
    assert.deepEqual(
      stats.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .map(({ name, messages }) => [name, messages]),
      [
        [DOMAIN, 5],
        ['*', 5],
      ],
    );
    const shown = await queue(spoolDir, 'show', ids[3]!, '--json');
    const message = JSON.parse(shown.out);
    assert.deepEqual([message.id, message.sender, message.recipients[0].address], [ids[3], '', `four@${DOMAIN}`]);
    const sent = await queue(spoolDir, 'cat', ids[0]!);
    assert.match(sent.out, /^Received: from client\.example [\s\S]*\r\nSubject: to one@here\.example\r\n\r\nbody\r\n$/);
    const raw = await queue(spoolDir, 'cat', '--raw', ids[0]!);
    assert.match(raw.out, /^Subject: /);
  });

  test('exit codes: nothing matched, and a line that is wrong', async () => {
    for (const command of ['show', 'cat', 'hold', 'delete']) {
      const { code, err } = await queue(spoolDir, command, 'nobody-1');
      assert.equal(code, 1, command);
      if (command === 'cat') assert.match(err, /no such message/);
    }
    const wrong = await queue(spoolDir, 'delete', '--sendr', 'x');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /^postern: .*did you mean --sender/);
    assert.equal((await listed(spoolDir)).length, 5);
  });

  test('hold and release', async () => {
    const held = await queue(spoolDir, 'hold', '--sender', 'b@x.example', '--json');
    assert.deepEqual(JSON.parse(held.out), {
      ...{ action: 'hold', dryRun: false, matched: 2, messages: 2, recipients: 2, busy: 0 },
    });
    assert.deepEqual(
      (await listed(spoolDir, '--state', 'held')).map(({ id }) => id),
      ids.slice(1, 3),
    );
    const released = await queue(spoolDir, 'release', '--state', 'held');
    assert.equal(released.out, 'release: messages 2, recipients 2\n');
    await postern.deferred(ids.length + 2);
    await eventually(
      'the end of these attempts',
      async () => (await listed(spoolDir, '--state', 'waiting')).length === 5,
    );
    assert.deepEqual(
      (await listed(spoolDir, '--sender', 'b@x.example')).map(({ attempts }) => attempts),
      [2, 2],
    );
  });

  test('bounce: the sender is told in our words; delete: nobody is', async () => {
    const bounced = await queue(spoolDir, 'bounce', ids[0]!, '--reason', 'no such department');
    assert.equal(bounced.out, 'bounce: messages 1, recipients 1\n', bounced.err);
    const { id } = await postern.logged('bounce', ({ about }) => about === ids[0]);
    const dsn = await queue(spoolDir, 'cat', String(id));
    if (dsn.code === 0) assert.match(dsn.out, /no such department/); // else it has failed by now: there is no DNS here
    const deleted = await queue(spoolDir, 'delete', '--sender', '<>', '--domain', DOMAIN);
    assert.equal(deleted.out, 'delete: messages 1, recipients 1\n');
    const removed = await postern.logged('removed');
    assert.deepEqual([removed.id, removed.to], [ids[3], `four@${DOMAIN}`]);
    const left = await listed(spoolDir, '--domain', DOMAIN);
    assert.deepEqual(
      left.map((row) => row.id),
      [ids[1], ids[2], ids[4]],
    );
    const said = postern.logs.filter(({ event }) => event === 'operator');
    assert.deepEqual(said.at(-1)?.action, 'delete');
  });

  test('a client that talks nonsense over the socket gets 400, and Postern goes on', async () => {
    const socket = net.connect(path.join(spoolDir, 'admin.sock'));
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    socket.end('\u0000\u0001 nonsense\r\n\r\n');
    await within('the end of the connection', once(socket, 'close'));
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.equal((await listed(spoolDir, '--domain', DOMAIN)).length, 3);
  });
});

test('retry: what waits goes out when its server is up again', async () => {
  const postern = await startPostern(LATE);
  try {
    const [first] = await fill(postern, MAILS.slice(0, 2));
    const held = await queue(postern.spoolDir, 'hold', first!);
    assert.equal(held.code, 0);
    const tried = await queue(postern.spoolDir, 'retry', '--all');
    assert.equal(tried.out, 'retry: messages 1, recipients 1\n');
    await postern.deferred(3);
  } finally {
    await postern.stop();
  }
});

test('holds and deletions outlive the process', async () => {
  const spoolDir = temporaryFolder('spool');
  const first = await startPostern(LATE, spoolDir);
  const ids = await fill(first, MAILS.slice(0, 3));
  assert.equal((await queue(spoolDir, 'hold', ids[0]!)).code, 0);
  assert.equal((await queue(spoolDir, 'delete', ids[1]!)).code, 0);
  await first.kill();
  const peer = await SmtpPeer.start();
  const second = await startPostern({ ...LATE, INSIDE_ROUTE: peer.url }, spoolDir);
  try {
    assert.deepEqual(
      (await listed(spoolDir, '--state', 'held')).map(({ id }) => id),
      [ids[0]],
    );
    assert.equal((await queue(spoolDir, 'release', ids[0]!)).code, 0);
    await peer.receivedId(ids[0]!);
    assert.equal((await queue(spoolDir, 'show', ids[1]!)).code, 1);
  } finally {
    await second.stop();
    await peer.close();
  }
});

test('a spool whose process was killed is read as it is, and not changed', async () => {
  const postern = await startPostern(LATE);
  const { spoolDir } = postern;
  const ids = await fill(postern, MAILS);
  const sent = await queue(spoolDir, 'cat', ids[1]!);
  assert.equal((await queue(spoolDir, 'hold', ids[4]!)).code, 0);
  await postern.kill(); // its socket stays behind
  const files = stateOf(spoolDir);
  const { code, out, err } = await queue(spoolDir, 'list');
  assert.equal(code, 0, err);
  assert.deepEqual(
    out
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split(/\s+/)[0]),
    ids,
  );
  assert.deepEqual(
    (await listed(spoolDir)).map(({ state }) => state),
    ['waiting', 'waiting', 'waiting', 'waiting', 'held'],
  );
  assert.equal((await queue(spoolDir, 'cat', ids[1]!)).out, sent.out);
  assert.equal((await queue(spoolDir, 'show', ids[1]!)).code, 0);
  assert.match((await queue(spoolDir, 'stats')).out, / total\n$/);
  assert.equal((await queue(spoolDir, 'cat', 'nobody-1')).code, 1);
  const refused = await queue(spoolDir, 'delete', '--all');
  assert.equal(refused.code, 3);
  assert.match(refused.err, /no Postern runs with the spool .*, and delete needs one/);
  assert.deepEqual(stateOf(spoolDir), files);
});

test('a Postern whose socket is gone is not read behind its back', async () => {
  const postern = await startPostern(LATE);
  try {
    rmSync(path.join(postern.spoolDir, 'admin.sock'));
    const { code, err } = await queue(postern.spoolDir, 'list');
    assert.equal(code, 3);
    assert.match(err, /a Postern has the spool .*, but its admin socket does not answer/);
  } finally {
    await postern.stop();
  }
});

test('no spool, a file in its place, an empty one: each says what it is', async () => {
  const folder = temporaryFolder('spool');
  const missing = await queue(path.join(folder, 'missing'), 'list');
  assert.equal(missing.code, 3);
  assert.match(missing.err, /there is no spool folder .*; set POSTERN_SPOOL_DIR/);
  writeFileSync(path.join(folder, 'file'), '');
  assert.equal((await queue(path.join(folder, 'file'), 'list')).code, 3);
  mkdirSync(path.join(folder, 'empty'));
  const empty = await queue(path.join(folder, 'empty'), 'list');
  assert.deepEqual([empty.code, empty.out.split(/\s+/)[0], empty.err], [0, 'ID', '']);
});

test('a spool folder deeper than a socket path may be long', async () => {
  const spoolDir = path.join(temporaryFolder('spool'), 'deep'.repeat(30), 'deeper'.repeat(20));
  const postern = await startPostern(LATE, spoolDir);
  try {
    const ids = await fill(postern, MAILS.slice(0, 1));
    assert.deepEqual(
      (await listed(spoolDir)).map(({ id }) => id),
      ids,
    );
    assert.ok(statSync(path.join(spoolDir, 'admin.sock')).isSocket());
  } finally {
    await postern.stop();
  }
  assert.throws(() => statSync(path.join(spoolDir, 'admin.sock')), { code: 'ENOENT' }, 'gone with its process');
});

test('a file by the name of the socket stays, and mail goes on without commands', async () => {
  const spoolDir = temporaryFolder('spool');
  writeFileSync(path.join(spoolDir, 'admin.sock'), 'mine');
  const postern = await startPostern(LATE, spoolDir);
  try {
    await postern.logged('admin-socket-failed');
    await fill(postern, MAILS.slice(0, 1));
    assert.equal(readFileSync(path.join(spoolDir, 'admin.sock'), 'utf8'), 'mine');
  } finally {
    await postern.stop();
  }
});

test('a reader that has seen enough ends the command without a fault', async () => {
  const postern = await startPostern(LATE);
  try {
    await fill(postern, MAILS);
    const script = '"$0" "$1" queue list --limit 0 | head -1';
    const child = spawn('sh', ['-c', script, process.execPath, COMMAND], {
      env: { PATH: process.env.PATH, POSTERN_SPOOL_DIR: postern.spoolDir },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    await within('the end of the pipe', once(child, 'close'));
    assert.equal(err, '');
  } finally {
    await postern.stop();
  }
});
