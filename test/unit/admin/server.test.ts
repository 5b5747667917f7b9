import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import https from 'node:https';
import { test } from 'node:test';
import { buildAdmin, startAdmin } from '../../../src/admin/server.ts';
import type { StatusSource } from '../../../src/telemetry/status.ts';
import { type Issued, makeCertificate } from '../../support/certificates.ts';

const REPORT = { hostname: 'mx.example', state: 'serving', shards: [], refusals: [] };

const PRESSURE = { level: 1, reasons: ['queue'], quantities: [] };

function source(ok = true): StatusSource {
  return {
    health: () => ({ ok, stopping: !ok, shards: 2, shardsReady: ok ? 2 : 0, shardsBroken: 0, pressure: PRESSURE }),
    report: () => REPORT as unknown as ReturnType<StatusSource['report']>,
    metricsPage: async () => 'postern_commands_total 1\n',
  };
}

const admin = (ok = true) => buildAdmin({ source: source(ok), names: ['mx.example'] });
const ask = (url: string, options: { method?: 'GET' | 'HEAD' | 'POST' | 'DELETE'; host?: string; ok?: boolean } = {}) =>
  admin(options.ok).inject({
    method: options.method ?? 'GET',
    url,
    headers: { host: options.host ?? 'localhost:8025' },
  });

test('health is 200 while connections are served, else 503', async () => {
  const good = await ask('/healthz');
  assert.equal(good.statusCode, 200);
  assert.deepEqual(good.json(), {
    ...{ ok: true, stopping: false, shards: 2, shardsReady: 2, shardsBroken: 0 },
    pressure: PRESSURE,
  });
  const bad = await ask('/healthz', { ok: false });
  assert.equal(bad.statusCode, 503);
  assert.equal(bad.json().stopping, true);
});

test('metrics and status come with their types, and are not cached', async () => {
  const metrics = await ask('/metrics');
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(metrics.body, 'postern_commands_total 1\n');
  const status = await ask('/api/status');
  assert.match(String(status.headers['content-type']), /^application\/json/);
  assert.deepEqual(status.json(), REPORT);
  assert.equal(status.headers['cache-control'], 'no-store');
});

test('the dashboard may run its own script and style, and nothing from elsewhere', async () => {
  const { body, headers } = await ask('/');
  const policy = String(headers['content-security-policy']);
  for (const tag of ['script', 'style']) {
    const inner = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(body)![1]!;
    assert.ok(policy.includes(`${tag}-src 'sha256-${createHash('sha256').update(inner).digest('base64')}'`));
    assert.equal(body.split(`<${tag}`).length, 2, `one ${tag}, and it is in line`);
  }
  assert.ok(policy.startsWith("default-src 'none'") && !policy.includes('unsafe'));
  assert.ok(!/(?:src|href)="(?:https?:)?\/\//.test(body) && !/url\(|@import/.test(body), 'no external resource');
  assert.ok(!/ style="| on[a-z]+="/.test(body), 'nothing that the policy would block');
});

test('every answer has the security headers', async () => {
  for (const url of ['/', '/healthz', '/api/status', '/metrics', '/nowhere']) {
    const { headers } = await ask(url);
    assert.equal(headers['x-content-type-options'], 'nosniff', url);
    assert.equal(headers['x-frame-options'], 'DENY', url);
    assert.equal(headers['referrer-policy'], 'no-referrer', url);
    assert.match(String(headers['content-security-policy']), /default-src 'none'/, url);
  }
});

test('it reads and never changes: only GET and HEAD', async () => {
  for (const method of ['POST', 'DELETE'] as const) {
    const answer = await ask('/healthz', { method });
    assert.equal(answer.statusCode, 405);
    assert.equal(answer.headers.allow, 'GET, HEAD');
  }
  const head = await ask('/healthz', { method: 'HEAD' });
  assert.equal(head.statusCode, 200);
  assert.equal(head.body, '');
  assert.equal((await ask('/nowhere')).statusCode, 404);
  assert.equal((await ask('/../server.ts')).statusCode, 404);
});

test('a Host header with a name that is not ours is refused: DNS rebinding', async () => {
  const ours = [
    'localhost',
    'localhost:8025',
    'LOCALHOST',
    'a.localhost:1',
    '127.0.0.1:8025',
    '[::1]:8025',
    '10.1.2.3',
    'mx.example:8025',
    'MX.example',
  ];
  for (const host of ours) assert.equal((await ask('/healthz', { host })).statusCode, 200, host);
  const foreign = [
    'evil.example',
    'evil.example:8025',
    'mx.example.evil.test',
    'localhost.evil.test',
    '127.0.0.1.evil.test',
    '[::1',
    'a:b:c',
    '1.2.3',
  ];
  for (const host of foreign) {
    const answer = await ask('/api/status', { host });
    assert.equal(answer.statusCode, 421, host);
    assert.ok(!answer.body.includes('hostname'), 'and tells nothing');
  }
});

test('it listens where it is told, and gives the address back', { timeout: 10_000 }, async () => {
  const server = await startAdmin(
    { at: { host: '127.0.0.1', port: 0 }, hostname: 'mx.example', pushes: null, tls: null },
    source(),
  );
  const { host, port } = server.address;
  assert.equal(host, '127.0.0.1');
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  assert.equal(answer.status, 200);
  await assert.rejects(startAdmin({ at: { host, port }, hostname: 'mx.example', pushes: null, tls: null }, source()), {
    code: 'EADDRINUSE',
  });
  await server.close();
  await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
});

test('over TLS: with the certificate, the next one after a reload, and nothing in clear', {
  timeout: 10_000,
}, async () => {
  const names = ['mx.example'];
  const [first, second] = [makeCertificate({ names }), makeCertificate({ names })];
  const materialOf = ({ cert, key }: Issued) => ({ certs: [cert], keys: [key] });
  const door = { at: { host: '127.0.0.1', port: 0 }, hostname: 'mx.example', pushes: null };
  const server = await startAdmin({ ...door, tls: materialOf(first) }, source());
  const { port } = server.address;
  const health = (ca: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const where = { host: '127.0.0.1', port, path: '/healthz', ca, servername: 'mx.example', agent: false };
      https.get(where, (response) => resolve(response.resume().statusCode)).once('error', reject);
    });
  assert.equal(await health(first.cert), 200);
  await assert.rejects(health(second.cert), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
  server.reloadTls(materialOf(second));
  assert.equal(await health(second.cert), 200);
  await server.close();
});
