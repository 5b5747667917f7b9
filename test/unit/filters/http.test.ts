/** Filters that speak HTTP: rspamd and our own hook, against servers by script. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, test } from 'node:test';
import { z } from 'zod';
import type { FilteredEnvelope, Findings } from '../../../src/filters/filter.ts';
import { hookRequestSchema, hookSchemas } from '../../../src/filters/hook_schema.ts';
import { Changes, within } from '../../support/deadline.ts';
import { ENVELOPE, examine, MESSAGE, startFilter, startPeer, trickle } from '../../support/filters.ts';
import { ManualTimers } from '../../support/timers.ts';

type Heard = { readonly request: IncomingMessage; readonly body: string };
type Talk = { readonly findings: Findings; readonly heard: Heard; readonly connections: number };

/** `answer` gets the request when it has been read, unless it `interrupts`. */
async function talk(
  row: Record<string, unknown>,
  answer: (response: ServerResponse, heard: Heard) => unknown,
  content: string | Buffer = MESSAGE,
  envelope: FilteredEnvelope = ENVELOPE,
): Promise<Talk> {
  let heard!: Heard;
  let connections = 0;
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (text: string) => {
      body += text;
    });
    request.on('error', () => undefined);
    request.on('end', () => {
      heard = { request, body };
      answer(response, heard);
    });
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { filter } = startFilter({ at: `http://127.0.0.1:${port}`, ...row });
  const findings = await within('findings', examine(filter, content, envelope));
  await filter.close();
  server.closeAllConnections();
  server.close();
  return { findings, heard, connections };
}

const json = (value: unknown) => (response: ServerResponse) => response.end(JSON.stringify(value));

describe('rspamd', () => {
  const ask = (answer: (response: ServerResponse, heard: Heard) => unknown, row = {}): Promise<Talk> =>
    talk({ type: 'rspamd', password: 'secret', ...row }, answer);
  const USUAL = { action: 'no action', score: 1.5, required_score: 15, symbols: { ONE: { score: 1.5 }, 'T WO': {} } };

  test('is told the envelope in headers, and the content is the body', async () => {
    const { findings, heard } = await ask(json(USUAL));
    const { request, body } = heard;
    assert.equal(`${request.method} ${request.url}`, 'POST /checkv2');
    assert.equal(body, MESSAGE);
    const of = (name: string): string[] | undefined => request.headersDistinct[name];
    assert.deepEqual(of('rcpt'), ENVELOPE.recipients);
    assert.deepEqual(of('from'), ['alice@client.example']);
    assert.deepEqual(of('ip'), ['192.0.2.7']);
    assert.deepEqual(of('helo'), ['client.example']);
    assert.deepEqual(of('queue-id'), [ENVELOPE.id]);
    assert.deepEqual(of('password'), ['secret']);
    assert.deepEqual(of('deliver-to'), undefined);
    assert.deepEqual(findings, {
      verdict: 'accept',
      score: 1.5,
      action: 'no_action',
      names: ['ONE', 'T?WO'],
      headers: [],
    });
  });

  test('what a client says cannot become another header', async () => {
    const envelope: FilteredEnvelope = {
      ...ENVELOPE,
      helo: 'a\r\nPassword: x',
      sender: 'grün@ex.test',
      recipients: ['x@y.test'],
    };
    const { heard } = await talk({ type: 'rspamd' }, json(USUAL), MESSAGE, envelope);
    assert.deepEqual(heard.request.headersDistinct.helo, ['aPassword: x']);
    assert.equal(heard.request.headersDistinct.password, undefined);
    assert.equal(Buffer.from(heard.request.headersDistinct.from![0]!, 'latin1').toString(), 'grün@ex.test');
    assert.deepEqual(heard.request.headersDistinct['deliver-to'], ['x@y.test']);
  });

  const ACTIONS: readonly (readonly [answer: object, verdict: string, code?: number])[] = [
    [{ action: 'reject', messages: { smtp_message: 'go\r\naway' } }, 'reject', 550],
    [{ action: 'reject', milter: { reject: 'discard' } }, 'discard'],
    [{ action: 'reject', milter: { reject: 'quarantine' } }, 'hold'],
    [{ action: 'soft reject' }, 'defer', 451],
    [{ action: 'greylist' }, 'accept'],
    [{ action: 'discard' }, 'discard'],
    [{ action: 'quarantine' }, 'hold'],
    [{ action: 'toString' }, 'accept'],
  ];
  for (const [answer, verdict, code] of ACTIONS) {
    test(`${JSON.stringify(answer)}: ${verdict}`, async () => {
      const { findings } = await ask(json({ ...USUAL, ...answer }));
      assert.deepEqual([findings.verdict, findings.reply?.code, findings.failure], [verdict, code, undefined]);
    });
  }

  test('its milter block, its signature and its subject', async () => {
    const milter = {
      add_headers: { 'X-A': { value: 'a', order: 1 }, 'X-B': ['b', { value: 'c' }] },
      remove_headers: { 'X-C': 0, 'X-D': -1, 'X-E': [1, 2] },
      change_from: 'new@x.test',
      add_rcpt: ['d@x.test'],
      del_rcpt: ['bob@postern.test'],
    };
    const subject = 'Spam: ein sehr langer Betreff mit ü und 日本語, länger als ein Wort';
    const { findings } = await ask(
      json({ ...USUAL, action: 'rewrite subject', subject, milter, 'dkim-signature': 'v=1;\r\n\ta=b' }),
    );
    const rewritten = findings.headers.at(-1);
    assert.ok(rewritten?.tag === 'change' && rewritten.name === 'Subject');
    const words = rewritten.value.trim().split('\r\n ');
    assert.ok(words.every((word) => word.length <= 75));
    assert.equal(words.map((word) => Buffer.from(word.slice(10, -2), 'base64').toString()).join(''), subject);
    assert.deepEqual(findings.headers.slice(0, -1), [
      { tag: 'remove', name: 'X-C', nth: 'all' },
      { tag: 'remove', name: 'X-D', nth: -1 },
      { tag: 'remove', name: 'X-E', nth: 1 },
      { tag: 'remove', name: 'X-E', nth: 2 },
      { tag: 'add', before: 1, name: 'X-A', value: ' a' },
      { tag: 'add', before: 'end', name: 'X-B', value: ' b' },
      { tag: 'add', before: 'end', name: 'X-B', value: ' c' },
      { tag: 'add', before: 0, name: 'DKIM-Signature', value: ' v=1;\r\n\ta=b' },
    ]);
    assert.equal(findings.sender, 'new@x.test');
    assert.deepEqual(findings.recipients, { add: ['d@x.test'], remove: ['bob@postern.test'] });
  });

  test('spam gets its header field', async () => {
    const { findings } = await ask(json({ ...USUAL, action: 'add header' }));
    assert.deepEqual(findings.headers, [{ tag: 'add', before: 'end', name: 'X-Spam', value: ' Yes' }]);
  });

  const WRONG: readonly (readonly [what: string, answer: (response: ServerResponse) => unknown, reason: string])[] = [
    ['status 403', (response) => response.writeHead(403).end('{}'), 'error'],
    ['no JSON', (response) => response.end('<html>'), 'malformed'],
    ['half of it', (response) => response.end(JSON.stringify(USUAL).slice(0, -9)), 'malformed'],
    ['no score', json({ action: 'reject' }), 'malformed'],
    ['a score that is a text', json({ ...USUAL, score: '3' }), 'malformed'],
    ['a smuggled field', json({ ...USUAL, milter: { add_headers: { 'X-A': 'a\r\nX-B: b' } } }), 'malformed'],
    ['a smuggled name', json({ ...USUAL, milter: { add_headers: { 'X-A: b\r\nX-C': 'a' } } }), 'malformed'],
    ['too long an answer', (response) => response.end(Buffer.alloc(2_000_000, ' ')), 'bounds'],
    [
      'an end in mid-answer',
      (response) => response.writeHead(200, { 'content-length': 100 }).end('{"a"', () => response.destroy()),
      'died',
    ],
    ['nothing', (response) => response.destroy(), 'died'],
  ];
  for (const [what, answer, reason] of WRONG) {
    test(`says ${what}`, async () => {
      const { findings } = await ask(answer);
      assert.deepEqual([findings.verdict, findings.failure?.reason], ['defer', reason]);
    });
  }
});

describe('the hook', () => {
  const ask = (
    answer: (response: ServerResponse, heard: Heard) => unknown,
    content: string | Buffer = MESSAGE,
  ): Promise<Talk> => talk({ type: 'http', token: 'abc' }, answer, content);

  test('is sent what its schema says, and the message, in two parts', async () => {
    const { findings, heard } = await ask((response) => response.writeHead(204).end());
    assert.deepEqual(findings, { verdict: 'accept', headers: [] });
    assert.equal(heard.request.headers.authorization, 'Bearer abc');
    const boundary = /^multipart\/form-data; boundary=(\w+)$/.exec(heard.request.headers['content-type']!)![1]!;
    const parts = heard.body.split(`--${boundary}`);
    assert.equal(parts.length, 4);
    const [, first] = parts[1]!.split('\r\n\r\n');
    const request = hookRequestSchema.parse(JSON.parse(first!));
    assert.deepEqual(request, { version: 1, filter: 'under-test', ...ENVELOPE });
    assert.match(parts[2]!, /^\r\nContent-Disposition: form-data; name="message"; filename="message.eml"\r\n/);
    assert.equal(parts[2]!.slice(parts[2]!.indexOf('\r\n\r\n') + 4), `${MESSAGE}\r\n`);
    assert.equal(parts[3], '--\r\n');
  });

  test('any verdict and edit', async () => {
    const { findings } = await ask(
      json({
        verdict: 'hold',
        score: 3,
        action: 'look at this',
        names: ['RULE 1'],
        headers: [
          { do: 'add', name: 'X-A', value: 'a', at: 'top' },
          { do: 'add', name: 'X-B', value: 'b\n\tc' },
          { do: 'change', name: 'Subject', value: 'new' },
          { do: 'remove', name: 'X-C' },
        ],
        sender: '',
        recipients: { add: ['x@y.test'], remove: ['bob@postern.test'] },
        body: Buffer.from('new\nbody\r\n').toString('base64'),
      }),
    );
    assert.deepEqual(findings, {
      verdict: 'hold',
      score: 3,
      action: 'look?at?this',
      names: ['RULE?1'],
      headers: [
        { tag: 'add', before: 0, name: 'X-A', value: ' a' },
        { tag: 'add', before: 'end', name: 'X-B', value: ' b\r\n\tc' },
        { tag: 'change', name: 'Subject', nth: 1, value: ' new' },
        { tag: 'remove', name: 'X-C', nth: 'all' },
      ],
      sender: '',
      recipients: { add: ['x@y.test'], remove: ['bob@postern.test'] },
      body: Buffer.from('new\r\nbody\r\n'),
    });
  });

  test('its words for a refusal', async () => {
    const { findings } = await ask(
      json({ verdict: 'reject', reply: { code: 554, enhanced: '5.7.2', text: 'no\r\nno' } }),
    );
    assert.deepEqual(findings.reply, { code: 554, enhanced: '5.7.2', text: 'no no' });
    assert.equal((await ask(json({ verdict: 'defer' }))).findings.reply?.code, 451);
  });

  const WRONG: readonly object[] = [
    { verdict: 'perhaps' },
    { verdict: 'accept', unknown: 1 },
    { verdict: 'accept', reply: { code: 550 } },
    { verdict: 'reject', reply: { code: 451 } },
    { verdict: 'reject', reply: { code: 550, enhanced: '4.7.1' } },
    { verdict: 'accept', headers: [{ do: 'add', name: 'A B', value: 'c' }] },
    { verdict: 'accept', headers: [{ do: 'change', name: 'A', nth: 0, value: 'c' }] },
    { verdict: 'accept', recipients: { add: ['a@b> RCPT TO:<c@d'] } },
    { verdict: 'accept', body: '&&&' },
    [],
  ];
  for (const answer of WRONG) {
    test(`${JSON.stringify(answer)} is malformed`, async () => {
      assert.equal((await ask(json(answer))).findings.failure?.reason, 'malformed');
    });
  }

  test('connections are used again', async () => {
    let connections = 0;
    const server = http.createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(204).end());
    });
    server.on('connection', () => connections++);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { filter } = startFilter({
      type: 'http',
      at: `http://127.0.0.1:${(server.address() as AddressInfo).port}/x?y=z`,
    });
    for (let message = 0; message < 5; message++) assert.equal((await examine(filter)).failure, undefined);
    await filter.close();
    server.closeAllConnections();
    server.close();
    assert.ok(connections <= 2, `${connections} connections for five messages`);
  });

  test('an answer before the end of the content counts', async () => {
    const peer = await startPeer((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"verdict":"reject"}'));
    });
    const { filter } = startFilter({ type: 'http', at: peer.at.replace('tcp:', 'http:') });
    const findings = await within('findings', examine(filter, Buffer.alloc(20_000_000, 'x')));
    assert.equal(findings.verdict, 'reject');
    await peer.close();
    await filter.close();
  });

  test('its schemas are JSON Schema, with words', () => {
    const { request, answer } = hookSchemas();
    assert.equal(answer.type, 'object');
    assert.ok(JSON.stringify(answer).includes('in order'));
    assert.ok((request.required as string[]).includes('recipients'));
    assert.ok(z.toJSONSchema(hookRequestSchema));
  });
});

const raw = (script: (socket: Socket) => unknown) => startPeer((socket) => socket.once('data', () => script(socket)));

const NONSENSE: readonly (readonly [what: string, script: (socket: Socket) => unknown, reason: RegExp])[] = [
  ['no HTTP', (socket) => socket.end('220 mx ESMTP\r\n'), /malformed|died/],
  [
    'header fields without end',
    (socket) => socket.write(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(10_000)}`),
    /malformed|died/,
  ],
  ['a reset', (socket) => socket.resetAndDestroy(), /died/],
  [
    'a chunk of no size',
    (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
    /malformed|died/,
  ],
];
for (const [what, script, reason] of NONSENSE) {
  test(`over HTTP, ${what}`, async () => {
    const peer = await raw(script);
    const { filter } = startFilter({ type: 'http', at: peer.at.replace('tcp:', 'http:') });
    assert.match((await within('findings', examine(filter))).failure!.reason, reason);
    await peer.close();
    await filter.close();
  });
}

test('over HTTP, an answer byte by byte', async () => {
  const answer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"verdict":"accept"}');
  const peer = await raw((socket) => trickle(socket, answer));
  const { filter } = startFilter({ type: 'http', at: peer.at.replace('tcp:', 'http:') });
  assert.deepEqual(await within('findings', examine(filter)), { verdict: 'accept', headers: [] });
  await peer.close();
  await filter.close();
});

test('over HTTP and a Unix socket', async () => {
  const peer = await startPeer((socket) => socket.on('data', () => socket.end('HTTP/1.1 204 No\r\n\r\n')), 'unix');
  const { filter } = startFilter({ type: 'http', at: peer.at });
  assert.equal((await within('findings', examine(filter))).failure, undefined);
  await peer.close();
  await filter.close();
});

test('over HTTP, a server that is silent times out; one that is not there is unreachable', async () => {
  const changes = new Changes();
  const peer = await startPeer((socket) => socket.on('data', () => changes.note()));
  const timers = new ManualTimers();
  const { filter } = startFilter({ type: 'http', at: peer.at.replace('tcp:', 'http:'), stepMs: 1000 }, timers);
  const findings = examine(filter);
  await changes.until('the whole request', () => (peer.connections[0]?.bytesRead ?? 0) > MESSAGE.length + 500);
  timers.advance(1001);
  assert.equal((await within('findings', findings)).failure?.reason, 'timeout');
  await peer.close();
  assert.equal((await within('findings', examine(filter))).failure?.reason, 'unreachable');
  await filter.close();
});

test('over HTTP, who comes after the close is examined still: a transaction keeps its policy', async () => {
  const peer = await startPeer((socket) => socket.on('data', () => socket.end('HTTP/1.1 204 No\r\n\r\n')));
  const { filter } = startFilter({ type: 'http', at: peer.at.replace('tcp:', 'http:'), connectionsMax: 1 });
  const under = [filter.begin(ENVELOPE), filter.begin(ENVELOPE)];
  const closed = filter.close();
  const late = filter.begin(ENVELOPE);
  for (const examination of [...under, late]) {
    assert.equal((await within('findings', examination.end())).failure, undefined);
  }
  await within('the close', closed);
  await peer.close();
});
