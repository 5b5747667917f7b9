import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { CERT_A, CERT_B, KEY_A, KEY_B } from '../config/certificates.ts';
import { Client, startFake, temporary, until } from './support.ts';

const MAIN = new URL('../../../src/main.ts', import.meta.url).pathname;
const FAKE_MAIN = new URL('./fake_main.ts', import.meta.url).pathname;

const ENVIRONMENT = {
  POSTERN_HOSTNAME: 'mx.example',
  POSTERN_DOMAINS: 'example.org',
  POSTERN_INSIDE_ROUTE: 'smtp://127.0.0.1:1',
  POSTERN_OUTSIDE_LISTEN: '127.0.0.1:0',
  POSTERN_INSIDE_LISTEN: '',
  POSTERN_ADMIN_LISTEN: '127.0.0.1:0',
  POSTERN_WORKERS: '1',
};

type Line = Record<string, unknown> & {
  readonly outside: readonly { host: string; port: number }[];
  readonly admin: { port: number };
};

function run(context: TestContext, main: string, environment: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [main], { env: { PATH: process.env.PATH, ...environment } });
  context.after(() => child.kill('SIGKILL'));
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const lines = () =>
    out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  const event = async (name: string): Promise<Line> => {
    await until(() => lines().some((line) => line.event === name) || child.exitCode !== null);
    const line = lines().find((each) => each.event === name);
    assert.ok(line !== undefined, `no ${name}: ${err}${out}`);
    return line;
  };
  const end = async (): Promise<number | null> =>
    child.exitCode !== null ? child.exitCode : ((await once(child, 'close')) as [number])[0];
  return { child: child as ChildProcess, event, end, lines, err: () => err };
}

const spool = () => path.join(temporary(), 'spool');

test('a faulty environment: every fault on its own line, exit 78', { timeout: 20_000 }, async (context) => {
  const process = run(context, MAIN, { POSTERN_WORKERS: 'x', POSTERN_SPOOOL_DIR: '/tmp' });
  assert.equal(await process.end(), 78);
  const faults = process.err().trim().split('\n');
  assert.deepEqual(
    faults.map((fault) => /^postern: (POSTERN_\w+)/.exec(fault)?.[1]),
    ['POSTERN_SPOOOL_DIR', 'POSTERN_WORKERS', 'POSTERN_DOMAINS', 'POSTERN_INSIDE_ROUTE'],
  );
});

test('SIGTERM: sessions finish, exit 0; SIGINT likewise', { timeout: 20_000 }, async (context) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const process = run(context, FAKE_MAIN, { ...ENVIRONMENT, POSTERN_SPOOL_DIR: spool() });
    const ready = await process.event('ready');
    const client = new Client(ready.outside[0]!);
    await client.read();
    process.child.kill(signal);
    assert.equal(await client.read(), 'draining');
    client.say('quit');
    assert.equal(await client.read(), 'bye');
    assert.equal(await process.end(), 0);
    assert.equal(process.lines().at(-1)!.event, 'stopped');
    assert.equal((await process.event('stopping')).why, signal);
  }
});

test('a second SIGINT ends it at once', { timeout: 20_000 }, async (context) => {
  const process = run(context, FAKE_MAIN, { ...ENVIRONMENT, POSTERN_SPOOL_DIR: spool() });
  const client = new Client((await process.event('ready')).outside[0]!);
  await client.read();
  process.child.kill('SIGINT');
  assert.equal(await client.read(), 'draining');
  process.child.kill('SIGINT');
  assert.equal(await process.end(), 130);
});

test('the admin server stands beside it', { timeout: 20_000 }, async (context) => {
  const process = run(context, FAKE_MAIN, { ...ENVIRONMENT, POSTERN_SPOOL_DIR: spool() });
  const ready = await process.event('ready');
  const at = `http://127.0.0.1:${ready.admin.port}`;
  assert.equal((await fetch(`${at}/healthz`)).status, 200);
  const client = new Client(ready.outside[0]!);
  await client.read();
  const status = (await (await fetch(`${at}/api/status`)).json()) as {
    shards: { sessions: number; messages: number }[];
  };
  assert.equal(status.shards[0]!.sessions, 1);
  assert.equal(status.shards[0]!.messages, 7);
  const page = await (await fetch(`${at}/metrics`)).text();
  assert.match(page, /^postern_connections_total\{side="outside"\} 1$/m);
  assert.match(page, /^postern_queue_ready\{shard="0"\} 1$/m);
  assert.match(page, /^postern_journal_syncs_total 5$/m);
  assert.match(page, /^postern_journal_records_total 9$/m);
  assert.match(page, /^process_cpu_seconds_total 0\.\d+$/m);
  assert.match(page, /^postern_shards_ready 1$/m);
  client.say('break');
  await until(() => process.lines().some((line) => line.event === 'shard-broken'));
  assert.equal((await fetch(`${at}/healthz`)).status, 503);
});

test('an address that is taken: said on standard error, exit 1', { timeout: 20_000 }, async (context) => {
  const { postern } = await startFake(context);
  const taken = `127.0.0.1:${postern.listening.outside[0]!.port}`;
  const process = run(context, FAKE_MAIN, { ...ENVIRONMENT, POSTERN_SPOOL_DIR: spool(), POSTERN_ADMIN_LISTEN: taken });
  assert.equal(await process.end(), 1);
  assert.match(process.err(), new RegExp(`^postern: POSTERN_ADMIN_LISTEN="${taken}": cannot listen \\(EADDRINUSE\\)`));
});

test('SIGHUP takes new certificates whole, or keeps the old ones', { timeout: 20_000 }, async (context) => {
  const folder = temporary();
  const [cert, key] = [path.join(folder, 'cert'), path.join(folder, 'key')];
  writeFileSync(cert, CERT_A);
  writeFileSync(key, KEY_A);
  const environment = {
    ...ENVIRONMENT,
    POSTERN_SPOOL_DIR: spool(),
    POSTERN_TLS_CERT: cert,
    POSTERN_TLS_KEY: key,
    POSTERN_ADMIN_LISTEN: '127.0.0.1:0',
    POSTERN_ADMIN_TLS: '1',
  };
  const process = run(context, FAKE_MAIN, environment);
  const ready = await process.event('ready');
  const client = new Client(ready.outside[0]!);
  const adminName = async (): Promise<unknown> => {
    const socket = tls.connect({ host: '127.0.0.1', port: ready.admin.port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };
  await client.read();
  client.say('tls');
  assert.equal(await client.read(), 'tls 1');
  const loaded = () => process.lines().filter((line) => line.event === 'tls-loaded');
  assert.match(JSON.stringify(loaded()[0]!.certificates), /CN=a\.example/);

  writeFileSync(cert, CERT_B); // the key is still that of a
  process.child.kill('SIGHUP');
  const refused = await process.event('tls-refused');
  assert.match(String(refused.faults), /does not belong to/);
  client.say('tls');
  assert.equal(await client.read(), 'tls 1', 'the shard was not told');
  assert.equal(await adminName(), 'a.example');

  writeFileSync(key, KEY_B);
  process.child.kill('SIGHUP');
  await until(() => loaded().length === 2);
  assert.match(JSON.stringify(loaded()[1]!.certificates), /CN=b\.example/);
  client.say('tls');
  assert.equal(await client.read(), 'tls 101');
  assert.equal(await adminName(), 'b.example');
  client.socket.destroy();
});
