/** Pushes over real connections: who may, what is taken, and what a client that is slow, cut off or wrong leaves. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { PushGuard } from '../../../src/admin/push_guard.ts';
import { buildAdmin, type Patience } from '../../../src/admin/server.ts';
import { LIMITS } from '../../../src/config/limits.ts';
import { type AdminToken, loadAdminToken } from '../../../src/config/token_file.ts';
import type { HashesInForce } from '../../../src/facts/recipient_hashes.ts';
import { HashedDirectory, PushedHashes, UPLOAD_BYTES_MAX } from '../../../src/facts/recipient_hashes.ts';
import { systemDisk } from '../../../src/spool/disk.ts';
import type { StatusSource } from '../../../src/telemetry/status.ts';
import { Changes, within } from '../../support/deadline.ts';
import { temporaryFolder } from '../../support/folders.ts';

const TOKEN = 'f00dfeed'.repeat(8);
const SALT = '00112233445566778899aabbccddeeff';
const STATUS = { health: () => ({ ok: true }) } as unknown as StatusSource;

const hashOf = (address: string): string =>
  createHash('sha256').update(Buffer.from(SALT, 'hex')).update(address).digest('hex');
const bodyOf = (...addresses: readonly string[]): string => addresses.map((each) => `${hashOf(each)}\n`).join('');
const chunked = (...pieces: readonly string[]): string =>
  [...pieces, ''].map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');

const tokenFrom = (text: string): AdminToken => {
  const file = join(temporaryFolder('token'), 'token');
  writeFileSync(file, text);
  const loaded = loadAdminToken(file);
  assert.ok('token' in loaded && loaded.token !== null);
  return loaded.token;
};

/** An admin server on a port of its own, with or without a token. */
class Stage {
  readonly lines: Record<string, unknown>[] = [];
  readonly changes: HashesInForce[] = [];
  readonly recipients: PushedHashes;
  readonly #logged = new Changes();
  readonly #app;
  token = tokenFrom(TOKEN);
  nowMs = 0;

  constructor(how: { readonly open?: boolean; readonly patience?: Patience } = {}) {
    this.recipients = new PushedHashes(systemDisk, temporaryFolder('pushes'), (set) => this.changes.push(set));
    const log = (event: string, fields = {}): void => {
      this.lines.push({ event, ...fields });
      this.#logged.note();
    };
    const guard = new PushGuard(
      () => this.token,
      () => this.nowMs,
    );
    const push = how.open === false ? undefined : { recipients: this.recipients, logger: { log }, guard };
    const { patience } = how;
    this.#app = buildAdmin({ source: STATUS, push, ...(patience === undefined ? {} : { patience }) });
    this.#app.server.maxConnections = LIMITS.adminConnectionsMax;
  }

  listen = () => this.#app.listen({ host: '127.0.0.1', port: 0 });
  close = () => this.#app.close();

  async connect(localAddress = '127.0.0.1'): Promise<net.Socket> {
    const { port } = this.#app.server.address() as net.AddressInfo;
    const socket = net.connect({ host: '127.0.0.1', port, localAddress });
    socket.on('error', () => undefined); // what follows is a close
    await once(socket, 'connect');
    return socket;
  }

  /** All that the server says to these bytes until it closes. */
  async say(bytes: string, localAddress?: string): Promise<string> {
    const socket = await this.connect(localAddress);
    socket.write(bytes);
    return await heard(socket);
  }

  logged(matches: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    return this.#logged.until(
      () => `a log line, and not ${JSON.stringify(this.lines)}`,
      () => this.lines.find(matches),
    );
  }

  /** Resolves when the next upload has begun. */
  begun(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { recipients } = this;
    const begin = recipients.beginUpload.bind(recipients);
    recipients.beginUpload = (salt) => {
      recipients.beginUpload = begin;
      resolve();
      return begin(salt);
    };
    return promise;
  }

  knows = (address: string): boolean => {
    const knowledge = new HashedDirectory(this.recipients.inForce).knows(address);
    return 'known' in knowledge && knowledge.known;
  };
}

/** Until the server closes, politely or not. */
async function heard(socket: net.Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  await within('the server to close', new Promise((resolve) => socket.once('close', resolve)));
  return text;
}

type Asked = { readonly [header: string]: string | number };
const head = (more: Asked, token: string | null = TOKEN): string => {
  const headers = { host: 'localhost', 'x-salt': SALT, connection: 'close', ...more };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const authorization = token === null ? '' : `authorization: Bearer ${token}\r\n`;
  return `PUT /api/recipients HTTP/1.1\r\n${authorization}${lines.join('')}\r\n`;
};
const whole = (body: string, more: Asked = {}, token?: string | null): string =>
  head({ 'content-length': body.length, ...more }, token) + body;
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1] ?? 0);

let stage: Stage;
const stages: Stage[] = [];
async function started(how?: ConstructorParameters<typeof Stage>[0]): Promise<Stage> {
  const started = new Stage(how);
  stages.push(started);
  await started.listen();
  return started;
}
beforeEach(async () => {
  stage = await started();
  assert.equal(statusOf(await stage.say(whole(bodyOf('jane@example.org')))), 204);
});
after(async () => {
  for (const each of stages) await each.close();
});

/** What was there before the push that failed. */
const unchanged = (): void => {
  assert.ok(stage.knows('jane@example.org') && !stage.knows('john@example.org'));
  assert.equal(stage.changes.length, 1);
};

test('without a token there is no such page over TCP, with any credential and any body', async () => {
  const closed = await started({ open: false });
  for (const token of [null, TOKEN]) {
    const answer = await closed.say(whole(bodyOf('jane@example.org'), {}, token));
    assert.equal(statusOf(answer), 404, answer);
    assert.match(answer, /no such page/);
  }
  assert.equal(closed.recipients.inForce, null);
});

test('with the token: in force, kept, and told in the log', async () => {
  assert.ok(stage.knows('jane@example.org') && !stage.knows('john@example.org'));
  assert.deepEqual(stage.lines, [{ event: 'recipients-pushed', client: '127.0.0.1', recipients: 1 }]);
});

test('a wrong token is 401 and a log line that does not repeat it', async () => {
  const wrong = `${TOKEN.slice(0, -1)}x`;
  const credentials = ['', `Bearer ${wrong}`, `Basic ${TOKEN}`, `Bearer ${TOKEN} ${TOKEN}`, 'Bearer', TOKEN];
  for (const authorization of credentials) {
    const answer = await stage.say(whole(bodyOf('john@example.org'), { authorization }, null));
    assert.equal(statusOf(answer), 401, authorization);
    assert.match(answer, /www-authenticate: Bearer\r\n/i);
  }
  assert.equal(statusOf(await stage.say(whole(bodyOf('john@example.org'), {}, null))), 401);
  const refused = { event: 'push-refused', client: '127.0.0.1', status: 401, detail: 'no token, or a wrong one' };
  assert.deepEqual(stage.lines.slice(1), new Array(credentials.length + 1).fill(refused));
  unchanged();
});

test('who guesses is not listened to for a minute, whatever he brings; others are', async () => {
  const body = bodyOf('john@example.org');
  const push = (token: string, from: string) => stage.say(whole(body, {}, token), from).then(statusOf);
  for (let guess = 0; guess < LIMITS.pushFailuresMax; guess++) assert.equal(await push('guess', '127.0.0.2'), 401);
  const answer = await stage.say(whole(body), '127.0.0.2');
  assert.equal(statusOf(answer), 429);
  assert.match(answer, /retry-after: 60\r\n/i);
  unchanged();
  assert.equal(stage.lines.length, 1 + LIMITS.pushFailuresMax, 'nor does he fill the log');
  assert.equal(await push(TOKEN, '127.0.0.3'), 204);
  stage.nowMs += LIMITS.pushFailuresMs;
  assert.equal(await push(TOKEN, '127.0.0.2'), 204);
});

test('a token that was changed is asked for from the next push on', async () => {
  const other = 'another-token'.repeat(3);
  stage.token = tokenFrom(other);
  assert.equal(statusOf(await stage.say(whole(bodyOf('john@example.org')))), 401);
  assert.equal(statusOf(await stage.say(whole(bodyOf('john@example.org'), {}, other))), 204);
});

test('in chunks or by length: the same set', async () => {
  const body = bodyOf('john@example.org', '@example.net');
  const pieces = [body.slice(0, 1), body.slice(1, 70), body.slice(70)];
  const answer = await stage.say(head({ 'transfer-encoding': 'chunked' }) + chunked(...pieces));
  assert.equal(statusOf(answer), 204, answer);
  assert.ok(stage.knows('john@example.org') && stage.knows('x@example.net') && !stage.knows('jane@example.org'));
  assert.equal(statusOf(await stage.say(whole(bodyOf('jane@example.org')))), 204);
  assert.ok(stage.knows('jane@example.org') && !stage.knows('john@example.org'));
});

test('the type of the body says nothing', async () => {
  const body = bodyOf('john@example.org').repeat(100);
  for (const type of ['text/plain;charset=UTF-8', 'application/json', 'application/x-www-form-urlencoded', 'x/y'])
    assert.equal(statusOf(await stage.say(whole(body, { 'content-type': type }))), 204, type);
});

test('a body whose length is told twice, wrongly or not at all is refused', async () => {
  const body = bodyOf('john@example.org');
  for (const bytes of [
    head({ 'content-length': body.length, 'transfer-encoding': 'chunked' }) + chunked(body),
    head({ 'transfer-encoding': 'chunked' }) + chunked(body).replace('41\r\n', '4x\r\n'),
    head({ 'transfer-encoding': 'gzip' }) + body,
    head({ 'content-length': '-1' }) + body,
    head({ 'content-length': `${body.length}, 1` }) + body,
    head({}) + body,
    whole(''),
  ])
    assert.equal(statusOf(await stage.say(bytes)), 400, bytes);
  unchanged();
});

for (const [how, bytes] of [
  ['by length', head({ 'content-length': 130 }) + bodyOf('john@example.org')],
  ['in chunks', head({ 'transfer-encoding': 'chunked' }) + chunked(bodyOf('john@example.org')).slice(0, -5)],
] as const) {
  test(`half a body, ${how}: who hangs up, or says no more, has changed nothing`, async () => {
    for (const hangUp of ['destroy', 'resetAndDestroy', 'end'] as const) {
      stage.lines.length = 0;
      const socket = await stage.connect();
      const begun = stage.begun();
      socket.write(bytes);
      await begun;
      socket[hangUp]();
      const line = await stage.logged(({ event }) => event === 'push-refused');
      assert.equal(line.detail, 'the body was cut short', hangUp);
      socket.destroy();
    }
    unchanged();
  });
}

test('a body that is none of ours is answered, though much of it is still to come', async () => {
  const body = `${bodyOf('john@example.org')}no hash\n${hashOf('x').repeat(1)}\n`.padEnd(4_000_000, '\n');
  const answer = await stage.say(whole(body));
  assert.equal(statusOf(answer), 400);
  assert.match(answer, /after 1 hashes: not 64 hex digits/);
  const salted = await stage.say(whole(bodyOf('john@example.org'), { 'x-salt': 'short' }));
  assert.match(salted, /X-Salt is 16 to 64 bytes in hex/);
  unchanged();
});

test('who asks before he sends is told at once: too long, no token, or go on', async () => {
  const asking = { expect: '100-continue' };
  const tooLong = await stage.say(head({ ...asking, 'content-length': UPLOAD_BYTES_MAX + 1 }));
  assert.match(tooLong, /^HTTP\/1\.1 413 [\s\S]*connection: close/i);
  const wrong = await stage.say(head({ ...asking, 'content-length': 1_000_000 }, 'guess'));
  assert.match(wrong, /^HTTP\/1\.1 401 [\s\S]*connection: close/i);
  const body = bodyOf('john@example.org');
  const socket = await stage.connect();
  socket.write(head({ ...asking, 'content-length': body.length }));
  const [first] = (await once(socket, 'data')) as [Buffer];
  assert.equal(first.toString(), 'HTTP/1.1 100 Continue\r\n\r\n');
  socket.write(body);
  assert.equal(statusOf(await heard(socket)), 204);
  assert.ok(stage.knows('john@example.org'));
});

test('of several at once the last to begin is taken, and the others hear of it', async () => {
  const body = bodyOf('john@example.org');
  const sockets: net.Socket[] = [];
  for (let count = 0; count < 3; count++) {
    const socket = await stage.connect();
    const begun = stage.begun();
    socket.write(head({ 'content-length': body.length }) + body.slice(0, 30));
    await begun;
    sockets.push(socket);
  }
  const answers = sockets.map(async (socket) => {
    socket.write(body.slice(30));
    return statusOf(await heard(socket));
  });
  assert.deepEqual(await Promise.all(answers), [409, 409, 204]);
  assert.equal(stage.changes.length, 2);
});

test('more connections than there may be are closed', async () => {
  const count = LIMITS.adminConnectionsMax + 8; // one of an earlier test may be on its way out
  const sockets = await Promise.all(Array.from({ length: count }, () => stage.connect()));
  for (const socket of sockets) socket.write(head({ 'content-length': 1_000_000 }));
  assert.equal(await stage.say(whole(bodyOf('john@example.org'))), '');
  for (const socket of sockets) socket.destroy();
  unchanged();
});

const PATIENT: Patience = { pageMsMax: 60_000, pushMsMax: 60_000, pushSilenceMsMax: 60_000, sweepMs: 10 };

test('a push that stops in the middle is given up after a while', async () => {
  const brief = await started({ patience: { ...PATIENT, pushSilenceMsMax: 50 } });
  assert.equal(await brief.say(head({ 'content-length': 130 }) + bodyOf('john@example.org')), '');
  const line = await brief.logged(({ event }) => event === 'push-refused');
  assert.equal(line.detail, 'the body was cut short');
  assert.equal(brief.recipients.inForce, null);
});

test('a push that trickles is given up after a while, too', async () => {
  const brief = await started({ patience: { ...PATIENT, pageMsMax: 300, pushMsMax: 300 } });
  const socket = await brief.connect();
  socket.write(head({ 'content-length': 1_000_000 }));
  const trickle = setInterval(() => socket.write('\n'), 5);
  try {
    assert.notEqual(statusOf(await heard(socket)), 204);
  } finally {
    clearInterval(trickle);
  }
  await brief.logged(({ event }) => event === 'push-refused');
});

test('pages are asked for without a body: nobody holds a connection by sending one slowly', async () => {
  const answer = await stage.say('GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nx');
  assert.match(answer, /^HTTP\/1\.1 413 [\s\S]*connection: close/i);
  const plain = await stage.say(
    'GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
  );
  assert.equal(plain.match(/HTTP\/1\.1 200 /g)?.length, 2, 'and one without keeps its connection');
});

test('another name in Host is refused before the token is looked at', async () => {
  assert.equal(statusOf(await stage.say(whole(bodyOf('john@example.org'), { host: 'evil.example' }))), 421);
  unchanged();
});
