import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import { startPostern } from '../../../src/gate/postern.ts';
import { Client, startFake, temporary, testConfig, until, WAYS } from './support.ts';

const shardOf = (hello: string | null) => Number(/^hello (\d+) /.exec(hello ?? '')?.[1]);

test('connections are spread over the shards, the least loaded first', { timeout: 20_000 }, async (context) => {
  const { postern } = await startFake(context, { POSTERN_WORKERS: '3' });
  const at = postern.listening.outside[0]!;
  const clients = [];
  const shards = [];
  for (let n = 0; n < 6; n++) {
    const client = new Client(at);
    clients.push(client);
    shards.push(shardOf(await client.read()));
  }
  assert.deepEqual([...shards].sort(), [0, 0, 1, 1, 2, 2]);
  const leaving = shards.indexOf(1);
  clients[leaving]!.say('quit');
  assert.equal(await clients[leaving]!.read(), 'bye');
  await until(() => postern.report().shards[1]!.sessions === 1);
  const next = new Client(at);
  assert.equal(shardOf(await next.read()), 1);
  for (const client of [...clients, next]) client.socket.destroy();
});

test('a shard has a small young heap, of its full size from the start', { timeout: 20_000 }, async (context) => {
  const { postern } = await startFake(context, { POSTERN_WORKERS: '1' });
  const client = new Client(postern.listening.outside[0]!);
  await client.read();
  client.say('heap');
  assert.equal(await client.read(), `heap ${3 * LIMITS.shardHalfSpaceMib} ${LIMITS.shardHalfSpaceMib}`);
  client.socket.destroy();
});

test('a shard dies: its peers see a close, the others notice nothing, and it comes back', {
  timeout: 20_000,
}, async (context) => {
  const { postern, log } = await startFake(context, { POSTERN_CLIENT_CONNECTIONS_MAX: '4' });
  const at = postern.listening.outside[0]!;
  const clients = [new Client(at), new Client(at), new Client(at), new Client(at)];
  const shards = await Promise.all(clients.map(async (client) => shardOf(await client.read())));
  const doomed = clients.filter((_, index) => shards[index] === 0);
  const others = clients.filter((_, index) => shards[index] === 1);
  assert.equal(doomed.length, 2);

  const refused = new Client(at);
  assert.match((await refused.read())!, /^421 4\.7\.0 mx\.example has too many connections from your address/);
  assert.equal(await refused.read(), null);

  doomed[0]!.say('die');
  assert.deepEqual(await Promise.all(doomed.map((client) => client.read())), [null, null]);
  await until(() => postern.health().shardsReady === 2);
  for (const client of others) {
    client.say('quit');
    assert.equal(await client.read(), 'bye');
  }
  await until(() => postern.report().shards.every(({ sessions }) => sessions === 0));
  const back = [new Client(at), new Client(at), new Client(at), new Client(at)]; // who died is counted no more
  const newShards = await Promise.all(back.map(async (client) => shardOf(await client.read())));
  assert.deepEqual([...newShards].sort(), [0, 0, 1, 1]);
  assert.equal(postern.report().shards[0]!.restarts, 1);
  const died = log().find(({ event }) => event === 'shard-died');
  assert.equal(died?.shard, 0);
  assert.equal(died?.detail, 'died on command');
  assert.equal(died?.sessions, 2);
  for (const client of back) client.socket.destroy();
});

test('a shard that hangs is ended and run again; the others notice nothing', { timeout: 60_000 }, async (context) => {
  const { postern, log } = await startFake(context, {}, { patience: { lookMs: 200, looksMax: 20 } });
  const at = postern.listening.outside[0]!;
  const clients = [new Client(at), new Client(at)];
  const shards = await Promise.all(clients.map(async (client) => shardOf(await client.read())));
  const hanging = clients[shards.indexOf(0)]!;
  const other = clients[shards.indexOf(1)]!;
  hanging.say('spin');
  assert.equal(await hanging.read(), null, 'its peers see a close');
  await until(() => postern.health().shardsReady === 2);
  other.say('quit');
  assert.equal(await other.read(), 'bye');
  const back = [new Client(at), new Client(at)];
  const newShards = await Promise.all(back.map(async (client) => shardOf(await client.read())));
  assert.deepEqual([...newShards].sort(), [0, 1]);
  assert.deepEqual(
    postern.report().shards.map(({ restarts }) => restarts),
    [1, 0],
  );
  const told = log().filter(({ event }) => event === 'shard-hung' || event === 'shard-died');
  assert.deepEqual(
    told.map(({ event, shard, sessions }) => [event, shard, sessions]),
    [
      ['shard-hung', 0, 1],
      ['shard-died', 0, 1],
    ],
  );
  for (const client of back) client.socket.destroy();
});

const descriptors = () => readdirSync('/proc/self/fd').length;

for (const [way, listen] of WAYS)
  test(`who is on the way to a shard that dies sees a close, and leaves no descriptor behind, ${way}`, {
    timeout: 20_000,
  }, async (context) => {
    const { postern } = await startFake(context, { POSTERN_WORKERS: '1' }, { listen });
    const at = postern.listening.outside[0]!;
    const before = descriptors();
    const first = new Client(at);
    await first.read();
    const file = path.join(temporary(), 'die');
    first.say(`stall ${file}`);
    assert.equal(await first.read(), 'stalling');
    const late = Array.from({ length: 20 }, () => new Client(at));
    await until(() => postern.report().shards[0]!.sessions === 21);
    writeFileSync(file, '');
    for (const client of [first, ...late]) assert.equal(await client.read(), null);
    await until(() => postern.health().ok && postern.report().shards[0]!.restarts === 1);
    await until(() => descriptors() === before);
    const next = new Client(at);
    assert.match((await next.read())!, /^hello 0/);
    next.socket.destroy();
  });

test('what a dying shard had logged is not lost with it', { timeout: 20_000 }, async (context) => {
  const { postern, log } = await startFake(context, { POSTERN_WORKERS: '1' });
  const client = new Client(postern.listening.outside[0]!);
  await client.read();
  client.socket.write('log the very last\ndie\n'); // both in one turn: no timer runs between them
  assert.equal(await client.read(), null);
  await until(() => log().some(({ event }) => event === 'shard-died'));
  assert.ok(log().some(({ name }) => name === 'the very last'));
});

test('while no shard is ready, clients are told so', { timeout: 20_000 }, async (context) => {
  const { postern } = await startFake(context, { POSTERN_WORKERS: '1' });
  const at = postern.listening.outside[0]!;
  const first = new Client(at);
  await first.read();
  first.say('die');
  assert.equal(await first.read(), null);
  await until(() => postern.health().shardsReady === 0);
  assert.equal(postern.health().ok, false);
  const early = new Client(at);
  assert.match((await early.read())!, /^421 4\.3\.2 mx\.example is starting/);
  assert.equal(await early.read(), null);
  await until(() => postern.health().ok);
  const later = new Client(at);
  assert.match((await later.read())!, /^hello 0/);
  later.socket.destroy();
});

test('a shard with a broken journal gets no more connections; all broken is unhealthy', {
  timeout: 20_000,
}, async (context) => {
  const { postern } = await startFake(context);
  const at = postern.listening.outside[0]!;
  const client = new Client(at);
  const broken = shardOf(await client.read());
  client.say('break');
  await until(() => postern.health().shardsBroken === 1);
  assert.equal(postern.health().ok, true);
  for (let n = 0; n < 3; n++) {
    const next = new Client(at);
    assert.equal(shardOf(await next.read()), 1 - broken);
    if (n === 2) next.say('break');
    else next.socket.destroy();
  }
  await until(() => postern.health().shardsBroken === 2);
  assert.equal(postern.health().ok, false);
  const last = new Client(at);
  assert.match((await last.read())!, /^421 4\.3\.0 mx\.example cannot store mail/);
  assert.equal(await last.read(), null);
  client.say('quit');
  assert.equal(await client.read(), 'bye', 'its open sessions go on');
});

test('a shard that cannot start is reported, and nothing keeps running', { timeout: 20_000 }, async () => {
  const workerFile = new URL('./fake_shard.ts', import.meta.url).href;
  const config = testConfig({ POSTERN_HOSTNAME: 'fails.example' });
  await assert.rejects(startPostern(config, { workerFile, logTo: '/dev/null' }), /the journal is corrupt/);
  const again = startPostern({ ...config, hostname: 'mx.example' }, { workerFile, logTo: '/dev/null' });
  await (await again).stop(0); // the lock and the addresses were given back
});

test('a crash on demand is one like any other', { timeout: 20_000 }, async (context) => {
  const { postern, log } = await startFake(context, { POSTERN_WORKERS: '1' });
  const client = new Client(postern.listening.outside[0]!);
  await client.read();
  postern.crashShard(0);
  assert.equal(await client.read(), null);
  await until(() => postern.health().ok && postern.report().shards[0]!.restarts === 1);
  assert.equal(log().find(({ event }) => event === 'shard-died')?.detail, 'asked to die');
});
