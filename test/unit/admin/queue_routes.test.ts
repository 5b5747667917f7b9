import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { buildAdmin, startOperator } from '../../../src/admin/server.ts';
import { NoProcess, queueClient } from '../../../src/cli/client.ts';
import { EVERYTHING } from '../../../src/relay/queue_filter.ts';
import type { QueueChunk, QueueRequest, QueueSource } from '../../../src/relay/queue_requests.ts';
import { QueueFailure } from '../../../src/relay/queue_requests.ts';
import type { StatusSource } from '../../../src/telemetry/status.ts';
import { temporaryFolder } from '../../support/folders.ts';

const STATUS = { health: () => ({ ok: true }) } as unknown as StatusSource;
const LIST = { action: 'list', filter: EVERYTHING, rowsMax: 10 } as const;
const CAT = { action: 'cat', id: 'one', raw: false } as const;
const rows = (...ids: string[]): QueueChunk => ({ tag: 'rows', rows: ids.map((id) => ({ id }) as never) });
const content = (text: string): QueueChunk => ({ tag: 'content', bytes: Buffer.from(text) });

/** A queue that answers every question with these chunks, and keeps the questions. */
function queueOf(...chunks: (QueueChunk | Error)[]) {
  const asked: QueueRequest[] = [];
  const source: QueueSource = {
    async *ask(request) {
      asked.push(request);
      for (const chunk of chunks) {
        if (chunk instanceof Error) throw chunk;
        yield chunk;
      }
    },
  };
  return { asked, source };
}

function post(url: string, payload: string | object, source = queueOf().source, contentType = 'application/json') {
  const headers = { host: 'localhost', 'content-type': contentType };
  return buildAdmin({ source: STATUS, queue: source }).inject({ method: 'POST', url, headers, payload });
}

/** An operator's server on a socket of its own, gone after the test. */
async function served(context: { after(end: () => Promise<void>): void }, source: QueueSource): Promise<string> {
  const socket = path.join(temporaryFolder('socket'), 'admin.sock');
  const server = await startOperator(socket, STATUS, source);
  context.after(() => server.close());
  return socket;
}

test('over TCP there is no command', async () => {
  const app = buildAdmin({ source: STATUS });
  for (const url of ['/api/queue/list', '/api/queue/delete', '/api/queue/']) {
    const answer = await app.inject({ method: 'POST', url, headers: { host: 'localhost' }, payload: {} });
    assert.equal(answer.statusCode, 405, url);
  }
});

test('on the socket: POST for commands only, the pages as everywhere', async () => {
  const app = buildAdmin({ source: STATUS, queue: queueOf().source });
  const ask = (method: 'GET' | 'POST' | 'PUT', url: string, host = 'localhost') =>
    app.inject({ method, url, headers: { host } }).then(({ statusCode }) => statusCode);
  assert.equal(await ask('GET', '/healthz'), 200);
  assert.equal(await ask('POST', '/healthz'), 405);
  assert.equal(await ask('PUT', '/api/queue/list'), 405);
  assert.equal(await ask('GET', '/api/queue/list'), 404);
  assert.equal(await ask('POST', '/api/queue/nothing'), 404);
  assert.equal(await ask('POST', '/api/queue/list', 'evil.example'), 421);
});

test('a request becomes a question with its defaults, the answer a line a chunk', async () => {
  const { asked, source } = queueOf(rows('one'), rows('two'));
  const answer = await post('/api/queue/list', {}, source);
  assert.equal(answer.headers['content-type'], 'application/x-ndjson');
  assert.equal(
    answer.body,
    '{"tag":"rows","rows":[{"id":"one"}]}\n{"tag":"rows","rows":[{"id":"two"}]}\n{"tag":"end"}\n',
  );
  await post('/api/queue/hold', { filter: { senders: ['a@b.c'] } }, source);
  assert.deepEqual(asked, [
    { action: 'list', filter: EVERYTHING, rowsMax: 1000 },
    { action: 'hold', filter: { ...EVERYTHING, senders: ['a@b.c'] }, dryRun: false, reason: '' },
  ]);
});

test('bodies that are none of ours are refused, each with a reason, and nothing is asked', async () => {
  const { asked, source } = queueOf();
  const bad: [url: string, payload: string | object, status: number, error: RegExp][] = [
    ['list', '{"filter":', 400, /JSON/i],
    ['list', '[]', 400, /object/],
    ['list', 'null', 400, /object/],
    ['list', '"x"', 400, /object/],
    ['list', { rows: 5 }, 400, /rows/],
    ['list', { rowsMax: 0 }, 400, /rowsMax/],
    ['list', { rowsMax: 1.5 }, 400, /rowsMax/],
    ['list', { filter: { sender: ['a@b.c'] } }, 400, /filter.*sender/],
    ['list', { filter: { senders: 'a@b.c' } }, 400, /filter\.senders/],
    ['list', { filter: { ids: ['../../etc'] } }, 400, /is no message id/],
    ['list', { filter: { states: ['lost'] } }, 400, /states/],
    ['list', { filter: { ageSecondsMin: -1 } }, 400, /ageSecondsMin/],
    ['list', '{"__proto__":{"x":1}}', 400, /./],
    ['delete', {}, 400, /filter/],
    ['delete', { filter: null }, 400, /filter/],
    ['delete', { filter: {}, dryrun: true }, 400, /dryrun/],
    ['bounce', { filter: {}, reason: 'a\r\nb' }, 400, /reason/],
    ['cat', { id: '' }, 400, /id/],
    ['stats', { by: 'sender' }, 400, /by/],
    ['list', { filter: { senders: ['x'.repeat(70_000)] } }, 413, /large/i],
  ];
  for (const [action, payload, status, error] of bad) {
    const answer = await post(`/api/queue/${action}`, payload, source);
    assert.equal(answer.statusCode, status, `${JSON.stringify(payload).slice(0, 80)}: ${answer.body}`);
    assert.match(answer.json().error, error, answer.body);
  }
  const form = await post('/api/queue/list', 'a=b', source, 'application/x-www-form-urlencoded');
  assert.equal(form.statusCode, 415);
  assert.deepEqual(asked, []);
});

test("a body cannot change the path's action", async () => {
  const { asked, source } = queueOf();
  await post('/api/queue/list', { action: 'delete' }, source);
  assert.deepEqual(
    asked.map(({ action }) => action),
    ['list'],
  );
});

test('ids by the thousand, as many as fit a body; other terms by the hundred', async () => {
  const { asked, source } = queueOf();
  const ids = Array.from({ length: 2000 }, (_, n) => `mib3k2x9-a1b2c3-00-${n}`);
  assert.equal((await post('/api/queue/list', { filter: { ids } }, source)).statusCode, 200);
  const senders = ids.slice(0, 101).map(() => '*a*a*');
  const refused = await post('/api/queue/list', { filter: { senders } }, source);
  assert.match(refused.json().error, /101 terms: name at most 100 at once/);
  assert.equal(asked.length, 1);
});

test('what cannot be answered at all is 503 in its own words; a defect says nothing', async () => {
  const busy = await post('/api/queue/list', {}, queueOf(new QueueFailure('refused', 'too many')).source);
  assert.equal(busy.statusCode, 503);
  assert.deepEqual(busy.json(), { error: 'too many' });
  assert.equal((await post('/api/queue/list', {}, queueOf(new TypeError('x')).source)).statusCode, 500);
});

test('the client reads what the server says', { timeout: 20_000 }, async (context) => {
  const { asked, source } = queueOf(rows('one'), { tag: 'fault', detail: 'shard 1 is away' });
  const client = queueClient(await served(context, source));
  assert.deepEqual(await Array.fromAsync(client.ask(LIST)), [rows('one'), { tag: 'fault', detail: 'shard 1 is away' }]);
  assert.deepEqual(asked, [LIST]);
});

test('cat: the bytes as they are; none where there is no message', { timeout: 20_000 }, async (context) => {
  const text = 'a\u0000\u00ff\r\n'.repeat(50_000);
  const found = queueClient(await served(context, queueOf(content(''), content(text), content('end')).source));
  const bytes = (await Array.fromAsync(found.ask(CAT))).map((chunk) => (chunk.tag === 'content' ? chunk.bytes : []));
  assert.equal(Buffer.concat(bytes.map((each) => Buffer.from(each))).toString(), `${text}end`);
  const none = queueClient(await served(context, queueOf().source));
  assert.deepEqual(await Array.fromAsync(none.ask(CAT)), []);
});

test('an empty message is a message', { timeout: 20_000 }, async (context) => {
  const client = queueClient(await served(context, queueOf(content('')).source));
  const chunks = await Array.fromAsync(client.ask(CAT));
  assert.ok(chunks.length > 0, 'and not taken for none');
});

test('an answer that breaks off is a failure, never a short answer', { timeout: 20_000 }, async (context) => {
  const broken = queueClient(await served(context, queueOf(content('half'), new QueueFailure('refused', 'x')).source));
  await assert.rejects(Array.fromAsync(broken.ask(CAT)), { name: 'QueueFailure', message: /broke off/ });
  const defect = queueClient(await served(context, queueOf(rows('one'), new TypeError('x')).source));
  await assert.rejects(Array.fromAsync(defect.ask(LIST)), { name: 'QueueFailure', message: /broke off/ });
});

test('a refusal comes in the words of the server', { timeout: 20_000 }, async (context) => {
  const client = queueClient(await served(context, queueOf(new QueueFailure('refused', 'ask again')).source));
  await assert.rejects(Array.fromAsync(client.ask(LIST)), { name: 'QueueFailure', message: 'ask again' });
  const strange = { ...LIST, filter: { ...EVERYTHING, ids: ['A/B'] } };
  await assert.rejects(Array.fromAsync(client.ask(strange)), { message: /no message id/ });
});

test('where nobody listens there is no process', async () => {
  const nobody = queueClient(path.join(temporaryFolder('socket'), 'admin.sock'));
  await assert.rejects(Array.fromAsync(nobody.ask(LIST)), NoProcess);
});

test('a client that hangs up in the middle of a list ends the work', { timeout: 20_000 }, async (context) => {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const socketPath = await served(context, {
    async *ask() {
      try {
        for (;;) yield rows('x'.repeat(10_000));
      } finally {
        resolve();
      }
    },
  });
  const headers = { 'content-type': 'application/json', host: 'localhost' };
  const request = http.request({ socketPath, method: 'POST', path: '/api/queue/list', headers });
  request.on('error', () => {});
  request.end('{}');
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response, 'data');
  request.destroy();
  await ended;
});

test('a client that hangs up before the answer begins ends the work, too', { timeout: 20_000 }, async (context) => {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
  const { promise: gone, resolve: isGone } = Promise.withResolvers<void>();
  const app = buildAdmin({
    source: STATUS,
    queue: {
      async *ask() {
        try {
          isAsked();
          await gone;
          for (;;) yield rows('x'.repeat(10_000));
        } finally {
          resolve();
        }
      },
    },
  });
  context.after(() => app.close());
  app.server.once('connection', (socket) => socket.once('close', isGone));
  const socketPath = path.join(temporaryFolder('socket'), 'admin.sock');
  await app.listen({ path: socketPath });
  const headers = { 'content-type': 'application/json', host: 'localhost' };
  const request = http.request({ socketPath, method: 'POST', path: '/api/queue/list', headers });
  request.on('error', () => {});
  request.end('{}');
  await asked;
  request.destroy();
  await ended;
});
