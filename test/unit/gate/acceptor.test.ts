/** Accepting, in both ways by the same cases; then what the addon's has to itself. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { INTERFACE_VERSION, loadAddon } from '../../../src/base/addon.ts';
import { LIMITS } from '../../../src/config/limits.ts';
import type { HostPort } from '../../../src/config/options.ts';
import type { Listen, Listener } from '../../../src/gate/acceptor.ts';
import { chooseListen, nativeListen, serverListen } from '../../../src/gate/acceptor.ts';
import { socketOf } from '../../../src/net/accepted.ts';
import { readWith } from '../../../src/net/in_place.ts';
import { temporary, until, WAYS } from './support.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const ACCEPTOR = import.meta.resolve('../../../src/gate/acceptor.ts');
const skip = nativeListen() === null && 'the addon was not built';

/** Listens, and makes sockets of who comes; all is closed after the test. */
async function heard(context: TestContext, listen: Listen, at: HostPort = LOOPBACK) {
  const visitors: { readonly socket: net.Socket; readonly address: string; said: string }[] = [];
  const faults: string[] = [];
  const listener = await listen(at, {
    accepted: (accepted, address) => {
      const socket = socketOf(accepted);
      socket.on('error', () => {});
      const visitor = { socket, address, said: '' };
      readWith(socket, (bytes) => {
        visitor.said += bytes.toString();
      });
      visitors.push(visitor);
    },
    fault: (code) => faults.push(code),
  });
  context.after(() => {
    listener.close();
    for (const { socket } of visitors) socket.destroy();
  });
  return { listener, visitors, faults };
}

/** How a connection ends that is tried: '' for one that stands. */
function connectTo(context: TestContext, port: number, host = '127.0.0.1') {
  const client = net.connect({ host, port });
  context.after(() => client.destroy());
  const outcome = new Promise<string>((resolve) => {
    client.once('connect', () => resolve(''));
    client.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? '?'));
  });
  return { client, outcome };
}

const codeOf = (at: HostPort, listen: Listen) =>
  listen(at, { accepted() {}, fault() {} }).then(
    (listener) => {
      listener.close();
      return '';
    },
    ({ code }: NodeJS.ErrnoException) => code,
  );

for (const [way, listen] of WAYS)
  describe(way, () => {
    test('who connects is told once, with the address; bytes go both ways', { timeout: 20_000 }, async (context) => {
      const { listener, visitors } = await heard(context, listen);
      const { client } = connectTo(context, listener.port);
      client.write('a line');
      await until(() => visitors.length === 1);
      const { socket, address } = visitors[0]!;
      assert.equal(address, '127.0.0.1');
      assert.equal(socket.allowHalfOpen, false);
      socket.resume();
      await until(() => visitors[0]!.said === 'a line');
      socket.end('and back');
      assert.equal(String((await once(client, 'data'))[0]), 'and back');
      await once(client, 'end');
      assert.equal(visitors.length, 1);
    });

    test('a crowd that comes while nobody looks is told whole', { timeout: 20_000 }, async (context) => {
      const { listener, visitors, faults } = await heard(context, listen);
      const crowd = Array.from({ length: 300 }, () => connectTo(context, listener.port));
      assert.deepEqual(new Set(await Promise.all(crowd.map(({ outcome }) => outcome))), new Set(['']));
      await until(() => visitors.length === crowd.length);
      assert.deepEqual(faults, []);
    });

    test('IPv6 stands beside IPv4 on one port, with addresses of its own', { timeout: 20_000 }, async (context) => {
      const four = await heard(context, listen, { host: '0.0.0.0', port: 0 });
      const { port } = four.listener;
      const six = await heard(context, listen, { host: '::', port });
      assert.equal(six.listener.port, port);
      connectTo(context, port, '::1');
      await until(() => six.visitors.length === 1);
      connectTo(context, port);
      await until(() => four.visitors.length === 1);
      assert.deepEqual([six.visitors[0]!.address, four.visitors[0]!.address], ['::1', '127.0.0.1']);
    });

    test('an address that cannot be had is named by its code', { timeout: 20_000 }, async (context) => {
      const { listener } = await heard(context, listen);
      assert.equal(await codeOf({ host: '127.0.0.1', port: listener.port }, listen), 'EADDRINUSE');
      assert.equal(await codeOf({ host: '203.0.113.1', port: 0 }, listen), 'EADDRNOTAVAIL');
      assert.equal(await codeOf({ host: '2001:db8::1', port: 0 }, listen), 'EADDRNOTAVAIL');
    });

    test('closed: the address is free at once, and who was accepted stays', { timeout: 20_000 }, async (context) => {
      const { listener, visitors } = await heard(context, listen);
      const { client } = connectTo(context, listener.port);
      await until(() => visitors.length === 1);
      listener.close();
      listener.close();
      const { outcome } = connectTo(context, listener.port);
      assert.equal(await outcome, 'ECONNREFUSED');
      // SO_REUSEADDR: a connection of the old listener is still there.
      const next = await heard(context, listen, { host: '127.0.0.1', port: listener.port });
      visitors[0]!.socket.write('still here');
      assert.equal(String((await once(client, 'data'))[0]), 'still here');
      connectTo(context, listener.port);
      await until(() => next.visitors.length === 1);
      assert.equal(visitors.length, 1);
    });

    test('it may be closed by who is just told of a connection', { timeout: 20_000 }, async (context) => {
      let told = 0;
      const listener: Listener = await listen(LOOPBACK, {
        accepted: (accepted) => {
          told++;
          listener.close();
          socketOf(accepted).destroy();
        },
        fault: () => assert.fail('nothing is wrong'),
      });
      const { client } = connectTo(context, listener.port);
      await once(client, 'close');
      assert.equal(told, 1);
      assert.equal(await connectTo(context, listener.port).outcome, 'ECONNREFUSED');
    });
  });

test('what is built is what serves', () => {
  assert.equal(chooseListen() === serverListen, nativeListen() === null);
  assert.equal(nativeListen(path.join(temporary(), 'absent.node')), null);
});

/** An addon whose connections and faults are the test's; `calls` is what it was told. */
function fakeAddon() {
  const file = path.join(temporary(), 'fake.cjs');
  writeFileSync(
    file,
    `exports.version = ${INTERFACE_VERSION};
     exports.calls = [];
     exports.listen = (host, port, backlog, heard) => {
       exports.calls.push(['listen', host, port, backlog].join(' '));
       exports.heard = heard;
       const noted = (name) => () => { exports.calls.push(name); };
       return { port: 2525, pause: noted('pause'), resume: noted('resume'), close: noted('close') };
     };`,
  );
  type Heard = (descriptors: readonly number[], addresses: readonly string[], fault: string) => void;
  const loaded = loadAddon<{ readonly calls: string[]; readonly heard: Heard }>(file);
  assert.ok('addon' in loaded);
  return { addon: loaded.addon, listen: nativeListen(file)! };
}

test('no descriptors left: told once, no turning of the loop, tried again until there are some', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { addon, listen } = fakeAddon();
  const seen: unknown[] = [];
  const listener = await listen(LOOPBACK, {
    accepted: (accepted, address) => seen.push([accepted, address]),
    fault: (code) => seen.push(code),
  });
  addon.heard([7], ['192.0.2.1'], 'EMFILE');
  assert.deepEqual(seen.splice(0), [[7, '192.0.2.1'], 'EMFILE']);
  assert.deepEqual(addon.calls.splice(0), [`listen 127.0.0.1 0 ${LIMITS.listenBacklog}`, 'pause']);
  context.mock.timers.tick(LIMITS.acceptPauseMs);
  addon.heard([], [], 'EMFILE');
  assert.deepEqual([seen.splice(0), addon.calls.splice(0)], [[], ['resume', 'pause']]);
  context.mock.timers.tick(LIMITS.acceptPauseMs);
  addon.heard([8], ['192.0.2.2'], '');
  addon.heard([], [], 'ENFILE');
  assert.deepEqual(seen, [[8, '192.0.2.2'], 'ENFILE'], 'another time is told again');
  assert.deepEqual(addon.calls.splice(0), ['resume', 'pause']);
  listener.close();
  context.mock.timers.tick(LIMITS.acceptPauseMs);
  assert.deepEqual(addon.calls, ['close'], 'who is closed does not come back');
});

describe('the addon', { skip }, () => {
  test('descriptors run out: who waits is accepted when there are some again', { timeout: 20_000 }, async (context) => {
    const program = `
      import fs from 'node:fs';
      import { nativeListen } from ${JSON.stringify(ACCEPTOR)};
      const taken = [];
      const say = (line) => process.stdout.write(line + '\\n');
      const listener = await nativeListen()({ host: '127.0.0.1', port: 0 }, {
        accepted: () => say('accepted'),
        fault: (code) => {
          say(code);
          for (const descriptor of taken.splice(0, 20)) fs.closeSync(descriptor);
        },
      });
      for (;;) try { taken.push(fs.openSync('/dev/null')); } catch { break; }
      say(listener.port);`;
    const script = path.join(temporary(), 'starved.mjs');
    writeFileSync(script, program);
    const child = spawn('sh', ['-c', 'ulimit -n 100; exec "$0" "$1"', process.execPath, script]);
    context.after(() => child.kill('SIGKILL'));
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await until(() => text.endsWith('\n'));
    const port = Number(text);
    text = '';
    for (let n = 0; n < 3; n++) connectTo(context, port);
    await until(() => text.split('\n').length === 5);
    assert.deepEqual(text.split('\n'), ['EMFILE', 'accepted', 'accepted', 'accepted', '']);
  });

  test('a thread that ends while it listens gives the address back', { timeout: 20_000 }, async (context) => {
    const worker = workerWith(`accepted: () => {}, fault: () => {}`);
    const [port] = (await once(worker, 'message')) as [number];
    await worker.terminate();
    assert.equal(await connectTo(context, port).outcome, 'ECONNREFUSED');
  });

  test('what the hearer throws is an uncaught exception like any other', { timeout: 20_000 }, async (context) => {
    const worker = workerWith(`accepted: () => { throw new Error('a defect of the hearer'); }, fault: () => {}`);
    const [port] = (await once(worker, 'message')) as [number];
    const died = once(worker, 'error');
    connectTo(context, port);
    assert.equal(((await died)[0] as Error).message, 'a defect of the hearer');
  });

  /** Calls that break the contract. */
  const MISUSE: Readonly<Record<string, readonly unknown[]>> = {
    'no arguments': [],
    'a port that is none': ['127.0.0.1', 65_536, 1, () => {}],
    'no backlog': ['127.0.0.1', 0, 0, () => {}],
    'no hearer': ['127.0.0.1', 0, 1, null],
    'no host': [null, 0, 1, () => {}],
  };
  const listenOf = () => {
    const loaded = loadAddon<{ listen(...args: readonly unknown[]): Listener }>();
    assert.ok('addon' in loaded);
    return loaded.addon.listen;
  };
  for (const [name, args] of Object.entries(MISUSE))
    test(`misuse throws: ${name}`, () => {
      assert.throws(() => listenOf()(...args), TypeError);
    });
  test('misuse throws: a name for an address, and methods of another object', () => {
    assert.throws(() => listenOf()('localhost', 0, 1, () => {}), { code: 'EINVAL' });
    assert.throws(() => listenOf()(`127.0.0.1${' '.repeat(100)}`, 0, 1, () => {}), { code: 'EINVAL' });
    const listener = listenOf()('127.0.0.1', 0, 1, () => {});
    assert.throws(() => listener.close.call({} as Listener), TypeError);
    listener.close();
  });
});

/** A thread that listens on a port, which it tells, and hears as it is written. */
const workerWith = (hearer: string): Worker =>
  new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort } from 'node:worker_threads';
        import { nativeListen } from ${JSON.stringify(ACCEPTOR)};
        const { port } = await nativeListen()({ host: '127.0.0.1', port: 0 }, { ${hearer} });
        parentPort.postMessage(port);`)}`,
    ),
  );
