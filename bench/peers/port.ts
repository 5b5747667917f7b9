/** TCP ports of relays under test: a free one, and whether somebody greets there. Loopback only. */
import { connect, createServer } from 'node:net';

const GREETING_MS_MAX = 2_000;
const POLL_MS = 20;

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** Resolves with the first banner; rejects after `msMax`, or where `ended` says that nobody will come. */
export async function untilGreeted(port: number, msMax: number, ended: () => boolean): Promise<string> {
  const endMs = performance.now() + msMax;
  while (performance.now() < endMs) {
    if (ended()) throw new Error('ended before it greeted');
    const banner = await bannerOf(port);
    if (banner.startsWith('220')) return banner;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`no banner within ${msMax} ms`);
}

/** Its first piece, or nothing. */
function bannerOf(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const done = (banner = ''): void => {
      socket.destroy();
      resolve(banner);
    };
    socket.setTimeout(GREETING_MS_MAX, () => done());
    socket.once('data', (bytes) => done(bytes.toString('latin1')));
    socket.once('error', () => done());
    socket.once('close', () => done());
  });
}
