/**
 * A worker for tests of the gate: the real wire to main (shard_runner.ts) with a shard behind it that obeys its
 * clients.
 *
 *   greets with "hello SHARD SIDE at ADDRESS"; then, a line each: die · spin · break · log TEXT · quit · tls · heap ·
 *   stall FILE (hears nothing until there is such a file, and dies)
 */
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { getHeapSpaceStatistics } from 'node:v8';
import { resourceLimits } from 'node:worker_threads';
import type { ShardTask } from '../../../src/gate/messages.ts';
import { runShard } from '../../../src/gate/shard_runner.ts';
import { readWith } from '../../../src/net/in_place.ts';
import type { Door, ShardContext } from '../../../src/relay/shard.ts';

/** Where a test wants the start to fail. */
const FAILING_HOSTNAME = 'fails.example';

const SPOOL_STATS = { syncs: 5, records: 9, segments: 2, bytesOnDisk: 4096, bytesInMemory: 100, broken: false };

export default (task: ShardTask) => runShard(task, start);

async function start(context: ShardContext) {
  if (context.config.hostname === FAILING_HOSTNAME) throw new Error('the journal is corrupt');
  const sockets = new Set<Socket>();
  let tls = context.tls?.certs.length ?? 0;
  let drained: (() => void) | null = null;
  return {
    accept(socket: Socket, door: Door, place: number) {
      sockets.add(socket);
      context.metrics.count('commands');
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        context.onSessionClosed(place);
        context.logger.log('scanner', { name: 'closed', why: '' });
        if (sockets.size === 0) drained?.();
      });
      readWith(socket, (lines) => {
        for (const line of lines.toString().trim().split('\n')) obey(socket, line);
      });
      socket.resume();
      socket.write(`hello ${context.shard} ${door.side} at ${door.local}\n`);
    },
    reloadTls: () => {
      tls += 100;
    },
    reloadPolicy: () => {},
    drain(msMax: number) {
      context.logger.log('scanner', { name: 'last words', why: String(context.shard) });
      for (const socket of sockets) socket.write('draining\n');
      if (sockets.size === 0) return Promise.resolve();
      setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, msMax).unref();
      return new Promise<void>((resolve) => {
        drained = resolve;
      });
    },
    queue: { ask: () => noChunks() },
    status: () => ({
      sessions: sockets.size,
      messages: 7,
      ready: 1,
      scheduled: 2,
      held: 0,
      oldestDueSeconds: 0,
      stalled: 0,
      sites: 1,
      connectionsOut: 3,
      spool: SPOOL_STATS,
    }),
  };

  function obey(socket: Socket, line: string) {
    const [word, ...rest] = line.split(' ');
    if (word === 'stall') {
      socket.write('stalling\n'); // leaves within the call
      stallUntil(rest[0]!);
    }
    if (word === 'die' || word === 'stall') throw new Error('died on command');
    while (word === 'spin');
    if (word === 'break') context.onBroken('disk on fire');
    if (word === 'log') context.logger.log('scanner', { name: rest.join(' '), why: '' });
    if (word === 'tls') socket.write(`tls ${tls}\n`);
    if (word === 'heap') socket.write(`heap ${resourceLimits.maxYoungGenerationSizeMb} ${halfSpaceMib()}\n`);
    if (word === 'quit') socket.end('bye\n');
  }
}

/** Nothing else runs in this thread meanwhile. */
function stallUntil(file: string): void {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(file)) Atomics.wait(clock, 0, 0, 5);
}

async function* noChunks(): AsyncGenerator<never> {}

function halfSpaceMib(): number {
  const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')!;
  return Math.ceil((young.space_used_size + young.space_available_size) / 2 ** 20);
}
