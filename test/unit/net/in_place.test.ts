/** Sockets that read in place, on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Connection, Deadlines } from '../../../src/net/connection.ts';

const MEGABYTE = 1 << 20;

/** What an owner of a connection has been told. */
class Owner {
  readonly chunks: { readonly memory: ArrayBufferLike; readonly bytes: Buffer }[] = [];
  readonly connected = Promise.withResolvers<void>();
  readonly closed = Promise.withResolvers<string>();
  readonly heard = Promise.withResolvers<void>();
  onConnect(): void {
    this.connected.resolve();
  }
  onBytes(chunk: Buffer): void {
    this.chunks.push({ memory: chunk.buffer, bytes: Buffer.from(chunk) });
    this.heard.resolve();
  }
  onDeadline(): void {}
  onSlow(): void {}
  onTls(): void {}
  onClose(reason: string): void {
    this.closed.resolve(reason);
  }
}

describe('a connection that was opened by us', () => {
  const deadlines = new Deadlines();
  const server = net.createServer({ allowHalfOpen: true });
  const peers: net.Socket[] = [];
  before(async () => {
    server.on('connection', (socket) => peers.push(socket.on('error', () => {})));
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  after(() => {
    deadlines.stop();
    for (const peer of peers) peer.destroy();
    server.close();
  });

  async function open(): Promise<{ owner: Owner; connection: Connection; peer: net.Socket }> {
    const owner = new Owner();
    const accepted = once(server, 'connection');
    const { port } = server.address() as AddressInfo;
    const connection = Connection.open('127.0.0.1', port, deadlines, owner);
    await owner.connected.promise;
    return { owner, connection, peer: (await accepted)[0] as net.Socket };
  }

  test('hears what a peer has said before it hung up over what we were sending', async () => {
    for (const pieces of [1, 2]) {
      const { owner, connection, peer } = await open();
      peer.write('552 too large');
      peer.resetAndDestroy();
      // Before the event loop has looked at what has come.
      connection.sendLent(Array.from({ length: pieces }, () => Buffer.alloc(1000, 'x')));
      assert.equal(await owner.closed.promise, 'error');
      assert.equal(Buffer.concat(owner.chunks.map(({ bytes }) => bytes)).toString(), '552 too large');
    }
  });

  test('reads into memory that it shares with all others', async () => {
    const [one, other] = [await open(), await open()];
    one.peer.write('one');
    await one.owner.heard.promise;
    other.peer.write('other');
    await other.owner.heard.promise;
    assert.equal(String(one.owner.chunks[0]!.bytes), 'one');
    assert.equal(String(other.owner.chunks[0]!.bytes), 'other');
    assert.equal(one.owner.chunks[0]!.memory, other.owner.chunks[0]!.memory);
    one.connection.destroy();
    other.connection.destroy();
  });

  test('hears all of a megabyte, in order, and then the end', async () => {
    const { owner, peer } = await open();
    const sent = Buffer.from(Array.from({ length: MEGABYTE }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
    peer.end(sent);
    assert.equal(await owner.closed.promise, 'peer-closed');
    assert.ok(Buffer.concat(owner.chunks.map(({ bytes }) => bytes)).equals(sent));
  });

  test('hears nothing while it is paused', async () => {
    const { owner, connection, peer } = await open();
    connection.pause();
    peer.end('later');
    await new Promise((resolve) => peer.once('finish', resolve));
    const round = await open(); // what was sent before this went through has long been there
    round.peer.end('x');
    await round.owner.closed.promise;
    assert.equal(owner.chunks.length, 0);
    connection.resume();
    await owner.closed.promise;
    assert.equal(String(owner.chunks[0]!.bytes), 'later');
  });

  test('gives lent memory back when it has left, not before', async () => {
    const { connection, peer } = await open();
    peer.pause();
    const piece = Buffer.alloc(16 * MEGABYTE, 'a'); // more than any socket takes by itself
    let back = false;
    const lent = connection.sendLent([Buffer.from('<'), piece])!.then(() => {
      back = true;
    });
    await new Promise(setImmediate);
    assert.equal(back, false);
    let received = 0;
    peer.on('data', (chunk) => {
      received += chunk.length;
    });
    peer.resume();
    await lent;
    connection.finish('');
    await once(peer, 'end');
    assert.equal(received, piece.length + 1);
    peer.end();
  });

  test('gives lent memory back when the connection breaks', async () => {
    const { connection, owner, peer } = await open();
    peer.pause();
    const lent = connection.sendLent([Buffer.alloc(16 * MEGABYTE)]);
    connection.destroy();
    await lent;
    assert.equal(await owner.closed.promise, 'destroyed');
    await connection.sendLent([Buffer.alloc(1)]); // at once: nothing is sent any more
  });
});
