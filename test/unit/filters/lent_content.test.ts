/** Memory of content is used again while filters are behind: what each of them hears is its own message, whole. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { within } from '../../support/deadline.ts';
import { FakeMilter } from '../../support/fake_milter.ts';
import { ENVELOPE, examine, startFilter, startPeer } from '../../support/filters.ts';

/** At once, so that each uses what another has given back. */
const MESSAGES = 3;
const HEADER = 'Subject: x\r\n\r\n';
/** Each of its lines says whose it is and where. */
const contentOf = (message: number, lines: number): string =>
  HEADER + Array.from({ length: lines }, (_, line) => `${message} ${line} text\r\n`).join('');

/** SMFIP_NR_BODY: nothing but the socket holds us up then. */
const NO_REPLY_TO_BODY = 0x80000;

type Stage = { readonly row: Record<string, unknown>; readonly heard: () => readonly string[]; close(): Promise<void> };

/** Takes a piece, and then nothing until the others have had a turn. */
function slowly(socket: Socket): void {
  socket.on('data', () => {
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
}

async function clamd(): Promise<Stage> {
  const heard: string[] = [];
  const peer = await startPeer((socket) => {
    slowly(socket);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (!Buffer.concat(chunks.slice(-4)).subarray(-4).equals(Buffer.alloc(4))) return;
      const told = Buffer.concat(chunks);
      let content = '';
      for (let at = 'zINSTREAM\0'.length; told.readUInt32BE(at) > 0; at += 4 + told.readUInt32BE(at))
        content += told.toString('latin1', at + 4, at + 4 + told.readUInt32BE(at));
      heard.push(content);
      socket.end('stream: OK\0');
    });
  });
  return { row: { type: 'clamd', at: peer.at }, heard: () => heard, close: () => peer.close() };
}

async function spamd(): Promise<Stage> {
  const heard: string[] = [];
  const peer = await startPeer((socket) => {
    slowly(socket);
    let told = '';
    socket.on('data', (chunk: Buffer) => {
      told += chunk.toString('latin1');
    });
    socket.on('end', () => {
      heard.push(told.slice(told.indexOf('\r\n\r\n') + 4));
      socket.end('SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; 1.0 / 5.0\r\n\r\n');
    });
  });
  return { row: { type: 'spamd', at: peer.at }, heard: () => heard, close: () => peer.close() };
}

async function rspamd(): Promise<Stage> {
  const heard: string[] = [];
  const server = http.createServer((request, response) => {
    let told = '';
    request.on('data', (chunk: Buffer) => {
      told += chunk.toString('latin1');
      request.pause();
      setTimeout(() => request.resume(), 5);
    });
    request.on('end', () => {
      heard.push(told);
      response.end(JSON.stringify({ action: 'no action', score: 1, required_score: 10, symbols: {} }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { row: { type: 'rspamd', at: `http://127.0.0.1:${port}` }, heard: () => heard, close };
}

async function milter(): Promise<Stage> {
  const fake = await FakeMilter.start({ slowReader: true, steps: NO_REPLY_TO_BODY });
  const heard = (): string[] => {
    const bodies = new Map<number, string>();
    for (const { letter, data, connection } of fake.commands)
      if (letter === 'B') bodies.set(connection, (bodies.get(connection) ?? HEADER) + data.toString('latin1'));
    return [...bodies.values()];
  };
  return { row: { type: 'milter', at: fake.at }, heard, close: () => fake.close() };
}

/** Lines of a message, and how it comes: one that is more than sockets hold, and one in pieces that are gathered. */
const SHAPES = [
  [600_000, 65_536],
  [10_000, 1000],
] as const;

for (const [type, start] of Object.entries({ clamd, spamd, rspamd, milter }))
  for (const [lines, pieceBytes] of SHAPES)
    test(`${type} hears its own message, whole, in pieces of ${pieceBytes}`, async () => {
      const stage = await start();
      const { filter } = startFilter({ ...stage.row, contentBytesMax: 0 });
      try {
        const messages = Array.from({ length: MESSAGES }, (_, message) => contentOf(message, lines));
        const all = messages.map((content, at) => examine(filter, content, { ...ENVELOPE, id: `${at}` }, pieceBytes));
        for (const { failure } of await within('findings', Promise.all(all))) assert.equal(failure, undefined);
        const heard = stage.heard().toSorted();
        assert.equal(heard.length, MESSAGES);
        for (const [at, content] of heard.entries()) assert.ok(content === messages[at], `${type} ${at}`);
      } finally {
        await filter.close();
        await stage.close();
      }
    });
