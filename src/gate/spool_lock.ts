/**
 * One process per spool: two writers would destroy the journals. The lock is an abstract Unix socket (unix(7)) named
 * after the folder; the kernel holds it, so that it is taken at once or not at all, and gone with the process, however
 * that ends: nothing can be left behind. It is seen by all processes of one network namespace; containers that share a
 * spool but no network are not kept apart.
 */
import net from 'node:net';
import { StartFailure } from './listeners.ts';

export type SpoolLock = { release(): void };

const lockName = (identity: string): string => `\0postern-spool-${identity}`;

/** `identity` is equal for equal folders, by whatever path. Rejects with StartFailure when another process has it. */
export async function lockSpool(identity: string, directory: string): Promise<SpoolLock> {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'another Postern has this spool; stop it, or write another folder'
          : error.message;
      reject(new StartFailure([`POSTERN_SPOOL_DIR=${JSON.stringify(directory)}: ${why}`]));
    });
    server.listen({ path: lockName(identity) }, resolve);
  });
  server.unref(); // it alone does not keep the process
  return { release: () => server.close() };
}

/** A running Postern has the spool of this identity. Asking takes nothing. */
export function isSpoolLocked(identity: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path: lockName(identity) });
    const end = (locked: boolean) => () => {
      socket.destroy();
      resolve(locked);
    };
    socket.once('connect', end(true));
    socket.once('error', end(false));
  });
}
