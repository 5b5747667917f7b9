/** One question over TCP as the wire may cut it. UDP is covered by dns.test.ts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { askTcp } from '../../../src/net/dns_exchange.ts';
import { encodeQuery } from '../../../src/net/dns_message.ts';
import { ManualTimers } from '../../support/timers.ts';

const QUERY = encodeQuery(7, 'example.test', 'A');
const REPLY = Buffer.from('any bytes will do: whether they answer is not decided here');

/** Each connection is given to `serve` when the query has arrived whole. */
async function serverThat(t: TestContext, serve: (socket: net.Socket, query: Buffer) => void) {
  const server = net.createServer((socket) => {
    const chunks: Buffer[] = [];
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      chunks.push(chunk as Buffer);
      const bytes = Buffer.concat(chunks);
      if (bytes.length === QUERY.length + 2) serve(socket, bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
}

const framed = (bytes: Buffer) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);

test('the query goes out behind its length', async (t) => {
  let seen: Buffer | null = null;
  const server = await serverThat(t, (socket, query) => {
    seen = query;
    socket.write(framed(REPLY));
  });
  assert.deepEqual(await askTcp(server, QUERY, 1000, new ManualTimers()), REPLY);
  assert.deepEqual(seen, framed(QUERY));
});

test('a reply may come byte by byte', async (t) => {
  const server = await serverThat(t, (socket) => {
    socket.setNoDelay();
    const bytes = framed(REPLY);
    const writeFrom = (at: number) => {
      if (at < bytes.length) socket.write(bytes.subarray(at, at + 1), () => setImmediate(writeFrom, at + 1));
    };
    writeFrom(0);
  });
  assert.deepEqual(await askTcp(server, QUERY, 1000, new ManualTimers()), REPLY);
});

test('what follows the reply is not looked at', async (t) => {
  const server = await serverThat(t, (socket) => socket.end(Buffer.concat([framed(REPLY), Buffer.from('more')])));
  assert.deepEqual(await askTcp(server, QUERY, 1000, new ManualTimers()), REPLY);
});

test('a reply that ends in the middle is malformed', async (t) => {
  for (const bytes of [0, 1, 2, 20]) {
    const server = await serverThat(t, (socket) => socket.end(framed(REPLY).subarray(0, bytes)));
    assert.equal(await askTcp(server, QUERY, 1000, new ManualTimers()), 'malformed', `${bytes} bytes`);
  }
});
