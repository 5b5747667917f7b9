/** clamd's sessions: kept for the next message, and dead ones that cost none. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { Piece } from '../../../src/filters/content_pieces.ts';
import { within } from '../../support/deadline.ts';
import type { Harness, Peer } from '../../support/filters.ts';
import { ENVELOPE, examine, MESSAGE, startFilter, startPeer } from '../../support/filters.ts';

/** What it says to a message, or what it does. Numbers are those of the message on its connection, and of that. */
type Clamd = (socket: Socket, number: number, connection: number, told: Buffer) => unknown;

const END = Buffer.alloc(4);
const okay: Clamd = (socket, number) => socket.write(`${number}: stream: OK\0`);

type Stage = Harness & { readonly peer: Peer; readonly told: readonly Buffer[] };

/** Each message ends with an empty chunk; `told` has them all, with their commands. */
async function started(answer: Clamd): Promise<Stage> {
  const told: Buffer[] = [];
  const peer = await startPeer((socket, connection) => {
    let number = 0;
    let heard = Buffer.alloc(0);
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      if (!heard.subarray(-END.length).equals(END)) return;
      const message = heard;
      heard = Buffer.alloc(0);
      told.push(message);
      answer(socket, ++number, connection, message);
    });
  });
  return { ...startFilter({ type: 'clamd', at: peer.at }), peer, told };
}

async function ended({ filter, peer }: Stage): Promise<void> {
  await filter.close();
  await peer.close();
}

const chunk = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
};
const once = (commands: string): Buffer => Buffer.concat([Buffer.from(commands), chunk(MESSAGE), END]);

describe('a session', () => {
  test('carries one message after the other, with clamd’s numbers', async () => {
    const stage = await started(okay);
    for (let message = 0; message < 3; message++)
      assert.deepEqual(await within('findings', examine(stage.filter)), { verdict: 'accept', headers: [] });
    assert.equal(stage.peer.connections.length, 1);
    const later = once('zINSTREAM\0');
    assert.deepEqual(stage.told, [once('zIDSESSION\0zINSTREAM\0'), later, later]);
    await ended(stage);
  });

  test('has one message at a time', async () => {
    const stage = await started(okay);
    const all = await within('findings', Promise.all([1, 2, 3].map(() => examine(stage.filter))));
    assert.ok(all.every(({ failure }) => failure === undefined));
    assert.equal(stage.peer.connections.length, 3);
    await ended(stage);
  });

  test('is kept after a find, and not after an error', async () => {
    for (const [said, connections] of [
      ['stream: Evil FOUND', 1],
      ['stream: Cannot allocate ERROR', 2],
    ] as const) {
      const stage = await started((socket, number) => socket.write(`${number}: ${said}\0`));
      for (let message = 0; message < 2; message++) await within('findings', examine(stage.filter));
      assert.equal(stage.peer.connections.length, connections);
      await ended(stage);
    }
  });

  /** What may have become of one that was kept, when the second message is told on it. */
  const DEAD: Readonly<Record<string, (socket: Socket) => unknown>> = {
    'hangs up': (socket) => socket.end(),
    'breaks off': (socket) => socket.resetAndDestroy(),
    'says that its time is over': (socket) => socket.end('COMMAND READ TIMED OUT\0'),
    'answers something else': (socket) => socket.write('1: stream: OK\0'),
    'breaks off in its answer': (socket) => socket.end('2: stream: O'),
  };
  for (const [what, dies] of Object.entries(DEAD)) {
    test(`that ${what} costs nothing: the message is told anew`, async () => {
      const stage = await started((socket, number, connection, told) => {
        if (connection === 1 && number === 2) dies(socket);
        else okay(socket, number, connection, told);
      });
      for (let message = 0; message < 2; message++)
        assert.equal((await within('findings', examine(stage.filter))).failure, undefined);
      assert.equal(stage.peer.connections.length, 2);
      assert.deepEqual(stage.told.at(-1), once('zIDSESSION\0zINSTREAM\0'));
      await ended(stage);
    });
  }

  test('a new one that dies fails the message, which is told once', async () => {
    const stage = await started((socket) => socket.end());
    assert.equal((await within('findings', examine(stage.filter))).failure?.reason, 'died');
    assert.equal(stage.told.length, 1);
    await ended(stage);
  });

  test('is not opened again for a clamd that knows none', async () => {
    const stage = await started((socket, _number, _connection, told) => {
      socket.end(told.includes('zIDSESSION') ? 'UNKNOWN COMMAND\0' : 'stream: OK\0');
    });
    for (let message = 0; message < 2; message++)
      assert.equal((await within('findings', examine(stage.filter))).failure, undefined);
    const plain = once('zINSTREAM\0');
    assert.deepEqual(stage.told, [once('zIDSESSION\0zINSTREAM\0'), plain, plain]);
    await ended(stage);
  });

  test('ends with the filter', async () => {
    const stage = await started(okay);
    await examine(stage.filter);
    const closed = new Promise((resolve) => stage.peer.connections[0]!.on('close', resolve));
    await stage.filter.close();
    await within('the end of the session', closed);
    await stage.peer.close();
  });
});

test('a large message streams, on a connection of its own', async () => {
  const stage = await started((socket) => socket.end('stream: OK\0'));
  const content = 'x'.repeat(70_000);
  const findings = await within('findings', examine(stage.filter, content, ENVELOPE, 35_000));
  assert.equal(findings.failure, undefined);
  const parts = [0, 16_384, 35_000, 49_152].map((from, at, all) => chunk(content.slice(from, all[at + 1])));
  assert.deepEqual(stage.told, [Buffer.concat([Buffer.from('zINSTREAM\0'), ...parts, END])]);
  await ended(stage);
});

test('of a small message that is not coming nothing is told', async () => {
  const stage = await started(okay);
  const examination = stage.filter.begin(ENVELOPE);
  const content = Buffer.from(MESSAGE);
  await examination.write(new Piece(content), 0, content.length);
  examination.abort();
  assert.equal((await within('findings', examination.end())).failure?.reason, 'aborted');
  assert.equal((await within('findings', examine(stage.filter))).failure, undefined);
  assert.equal(stage.told.length, 1);
  await ended(stage);
});
