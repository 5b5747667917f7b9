import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import { startPostern } from '../../../src/gate/postern.ts';
import { Refusals } from '../../../src/gate/refusal.ts';
import { replyLine } from '../../../src/smtp/replies.ts';
import { Client, startFake, temporary, testConfig, until, WAYS } from './support.ts';

for (const [way, listen] of WAYS)
  describe(way, () => {
    test('each door has its side, and the inside door is for inside networks', { timeout: 20_000 }, async (context) => {
      const { postern } = await startFake(context, { POSTERN_INSIDE_NETWORKS: '127.0.0.0/8' }, { listen });
      const { outside, inside } = postern.listening;
      const [stranger, friend] = [new Client(outside[0]!), new Client(inside[0]!)];
      assert.equal((await stranger.read())!.replace(/\d/, 'N'), `hello N outside at 127.0.0.1:${outside[0]!.port}`);
      assert.equal((await friend.read())!.replace(/\d/, 'N'), `hello N inside at 127.0.0.1:${inside[0]!.port}`);
      stranger.socket.destroy();
      friend.socket.destroy();
    });

    test('a stranger on the inside door gets 554 and a close', { timeout: 20_000 }, async (context) => {
      const { postern, log } = await startFake(context, { POSTERN_INSIDE_NETWORKS: '10.0.0.0/8' }, { listen });
      const client = new Client(postern.listening.inside[0]!);
      assert.equal(`${await client.read()}\r\n`, replyLine('insideOnly'));
      assert.equal(await client.read(), null);
      const line = () => log().find(({ event }) => event === 'connection-refused');
      await until(() => line() !== undefined);
      const { side, client: address, code, reason } = line()!;
      assert.deepEqual(
        { side, address, code, reason },
        { side: 'inside', address: '127.0.0.1', code: 554, reason: 'insideOnly' },
      );
    });

    test('an inside client on the outside door is inside only where an option says so', {
      timeout: 20_000,
    }, async (context) => {
      const { postern } = await startFake(context, { POSTERN_INSIDE_ON_OUTSIDE: '1' }, { listen });
      const client = new Client(postern.listening.outside[0]!);
      assert.match((await client.read())!, /^hello \d inside /);
      client.socket.destroy();
    });

    test('a client may come again as soon as its shard has closed its session', {
      timeout: 20_000,
    }, async (context) => {
      const { postern, log } = await startFake(context, { POSTERN_CLIENT_CONNECTIONS_MAX: '1' }, { listen });
      const at = postern.listening.outside[0]!;
      for (let round = 1; round <= 3; round++) {
        const client = new Client(at);
        assert.match((await client.read())!, /^hello/);
        const second = new Client(at);
        assert.match((await second.read())!, /^421 /);
        client.say('quit');
        await until(() => log().filter(({ name }) => name === 'closed').length === round);
      }
    });
    test('IPv6 listeners stand beside IPv4 ones on the same port', { timeout: 20_000 }, async (context) => {
      const { postern } = await startFake(context, { POSTERN_OUTSIDE_LISTEN: '[::1]:0,127.0.0.1:0' }, { listen });
      const [six, four] = postern.listening.outside;
      assert.equal(six!.host, '::1');
      const client = new Client(six!);
      assert.match((await client.read())!, / outside at \[::1\]:\d+$/);
      client.socket.destroy();
      const both = await startFake(
        context,
        { POSTERN_OUTSIDE_LISTEN: `0.0.0.0:${four!.port + 0},[::]:0` },
        { listen },
      ).catch((error: Error) => error);
      assert.ok(
        both instanceof Error && /POSTERN_OUTSIDE_LISTEN.*EADDRINUSE/.test(both.message),
        'the port is taken, and named',
      );
    });

    test('an address in use is named, and nothing is left behind', { timeout: 20_000 }, async (context) => {
      const { postern } = await startFake(context, {}, { listen });
      const taken = `127.0.0.1:${postern.listening.outside[0]!.port}`;
      const config = testConfig({ POSTERN_OUTSIDE_LISTEN: `${taken},203.0.113.1:0` });
      const error = await startPostern(config, { logTo: '/dev/null', listen }).catch((caught: Error) => caught);
      assert.ok(error instanceof Error);
      const { faults } = error as Error & { faults: string[] };
      assert.match(faults[0]!, new RegExp(`^POSTERN_OUTSIDE_LISTEN="${taken}": cannot listen \\(EADDRINUSE\\)`));
      assert.match(faults[1]!, /^POSTERN_OUTSIDE_LISTEN="203\.0\.113\.1:0": cannot listen \(EADDRNOTAVAIL\)/);
    });

    test('stop: no new connection, open sessions finish, last words arrive', { timeout: 20_000 }, async (context) => {
      const { postern, log } = await startFake(context, {}, { listen });
      const at = postern.listening.outside[0]!;
      const client = new Client(at);
      await client.read();
      const stopped = postern.stop(10_000, 'test');
      assert.equal(await client.read(), 'draining');
      assert.equal(postern.health().stopping, true);
      const late = new Client(at);
      assert.equal(await late.read(), null, 'nobody listens any more');
      client.say('quit');
      assert.equal(await client.read(), 'bye');
      await stopped;
      const lines = log();
      assert.deepEqual(
        lines
          .filter(({ name }) => name === 'last words')
          .map(({ shard }) => shard)
          .sort(),
        [0, 1],
      );
      assert.equal(lines.at(-1)?.event, 'stopped');
    });

    test('stop: who does not finish in time is cut', { timeout: 20_000 }, async (context) => {
      const { postern } = await startFake(context, {}, { listen });
      const client = new Client(postern.listening.outside[0]!);
      await client.read();
      const stopped = postern.stop(50);
      assert.equal(await client.read(), 'draining');
      assert.equal(await client.read(), null);
      await stopped;
    });

    test('a refused client that talks on reads its line, and sees no reset', { timeout: 20_000 }, async (context) => {
      const { postern } = await startFake(context, { POSTERN_INSIDE_NETWORKS: '10.0.0.0/8' }, { listen });
      const { host, port } = postern.listening.inside[0]!;
      const client = net.connect({ host, port, allowHalfOpen: true });
      const errors: Error[] = [];
      client.on('error', (error) => errors.push(error));
      let text = '';
      client.on('data', (chunk) => {
        text += chunk.toString();
      });
      const written = new Promise((resolve) => client.write(Buffer.alloc(8 << 20, 'x'), resolve));
      await new Promise((resolve) => client.once('end', resolve));
      await written;
      client.end();
      await new Promise((resolve) => client.once('close', resolve));
      assert.equal(text, replyLine('insideOnly'));
      assert.deepEqual(errors, []);
    });
  });

test('the queues of all shards together are the queue that is limited, from the start', {
  timeout: 20_000,
}, async (context) => {
  // Each of the two fake shards says that it holds seven messages.
  const { postern, log } = await startFake(context, { POSTERN_QUEUE_MESSAGES_MAX: '15' });
  const { outside, inside } = postern.listening;
  const [stranger, friend] = [new Client(outside[0]!), new Client(inside[0]!)];
  assert.equal(`${await stranger.read()}\r\n`, replyLine('closedForQueue', 'mx.example'));
  assert.match((await friend.read())!, /^hello \d inside /, 'level 1 is about outside only');
  friend.socket.destroy();
  const { ok, pressure } = postern.health();
  assert.deepEqual([ok, pressure.level, pressure.reasons], [true, 1, ['queue']]);
  assert.equal(postern.report().totals.connectionsRefused, 1);
  const line = () => log().find(({ event }) => event === 'pressure');
  await until(() => line() !== undefined);
  assert.deepEqual([line()!.level, (line()!.readings as Record<string, number>).queue], [1, 14]);
});

test('one process has the spool', { timeout: 20_000 }, async (context) => {
  const spool = `${temporary()}/spool`;
  const { postern } = await startFake(context, { POSTERN_SPOOL_DIR: spool });
  const second = startPostern(testConfig({ POSTERN_SPOOL_DIR: `${spool}/../spool` }), { logTo: '/dev/null' });
  await assert.rejects(second, /POSTERN_SPOOL_DIR=.*another Postern has this spool/);
  await postern.stop(0);
  const { postern: third } = await startFake(context, { POSTERN_SPOOL_DIR: spool });
  assert.ok(third.health().ok);
});

test('who starts it is told before it serves', { timeout: 20_000 }, async (context) => {
  const seen: boolean[] = [];
  const { postern } = await startFake(context, {}, { onStarted: (started) => seen.push(started.health().ok) });
  assert.deepEqual([...seen, postern.health().ok], [false, true]);
});

test('the log says ready once, with the addresses', { timeout: 20_000 }, async (context) => {
  const { postern, log } = await startFake(context);
  await until(() => log().some(({ event }) => event === 'ready'));
  const ready = log().filter(({ event }) => event === 'ready');
  assert.equal(ready.length, 1);
  assert.deepEqual(ready[0]!.outside, postern.listening.outside);
});

test('refused clients that linger are bounded in number', { timeout: 20_000 }, async (context) => {
  const refusals = new Refusals();
  const server = net.createServer({ pauseOnConnect: true }, (socket) => refusals.refuse(socket, '421 no\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    refusals.destroy();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  // They read their line and keep their half open, so that the server's side lingers.
  const clients = Array.from({ length: LIMITS.refusedSocketsMax + 20 }, () =>
    net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }),
  );
  const lines = await Promise.all(
    clients.map((client) => new Promise((resolve) => client.once('data', (line) => resolve(line.toString())))),
  );
  assert.ok(
    lines.every((line) => line === '421 no\r\n'),
    'nobody is refused in silence',
  );
  assert.ok(refusals.lingering <= LIMITS.refusedSocketsMax);
  for (const client of clients) client.destroy();
  await until(() => refusals.lingering === 0);
});
