/** A source and a sink in this process, for the tests of the load programs. */
import { createServer, type Socket } from 'node:net';
import type { Load } from '../../../bench/load/outgoing.ts';
import { Sink, type SinkOptions } from '../../../bench/load/sink.ts';
import { Source, type SourceOptions, type SourceReport } from '../../../bench/load/source.ts';

export const RUN = 0xabcdef;

export async function withSink(options: SinkOptions, use: (sink: Sink) => Promise<void>): Promise<void> {
  const sink = await Sink.listen(options);
  try {
    await use(sink);
  } finally {
    await sink.close();
  }
}

export const sourceTo = (port: number, options: Partial<SourceOptions> = {}, load?: Load): Source =>
  new Source({ port, run: RUN, connections: 4, messages: 50, bytes: 1000, giveUpSeconds: 5, ...options }, load);

export const send = (sink: Sink, options: Partial<SourceOptions> = {}, load?: Load): Promise<SourceReport> =>
  sourceTo(sink.port, options, load).run();

/** A peer of its own kind, for what the sink would never do. */
export async function withPeer(serve: (socket: Socket) => void, use: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use((server.address() as { port: number }).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
