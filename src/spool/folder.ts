/**
 * The spool's own folder, before any shard opens its part of it, and the admin socket in it.
 *
 * A socket's path has at most 107 bytes (unix(7)), a folder's may have more: then the socket is reached through the
 * folder's descriptor, as /proc/self/fd/NN/admin.sock.
 */
import type { FileHandle } from 'node:fs/promises';
import { chmod, lstat, mkdir, open, stat, unlink } from 'node:fs/promises';
import { unusable } from './survey.ts';

const SOCKET = 'admin.sock';
const SOCKET_PATH_BYTES_MAX = 107;

/**
 * Creates it, 0700, where it is missing. Resolves to a name that is equal for equal folders, by whatever path. Rejects
 * with SpoolFolderError.
 */
export async function prepareFolder(directory: string): Promise<string> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      // On a read-only file system this is all that it says; the plain call says why.
      if (error.code === 'ENOENT') return mkdir(directory, { mode: 0o700 });
      throw error;
    });
    return await folderIdentity(directory);
  } catch (error) {
    throw unusable(directory, error);
  }
}

/** The same name, of a folder that is there. Rejects with the system's error. */
export async function folderIdentity(directory: string): Promise<string> {
  const { dev, ino } = await stat(directory, { bigint: true });
  return `${dev}-${ino}`;
}

export type SocketPlace = {
  /** Good for bind and connect until it is released. */
  readonly path: string;
  release(): Promise<void>;
};

/** Where the admin socket is, or will be. Rejects with the system's error. */
export async function socketPlace(directory: string): Promise<SocketPlace> {
  const path = `${directory}/${SOCKET}`;
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, release: async () => {} };
  const folder: FileHandle = await open(directory, 'r');
  return { path: `/proc/self/fd/${folder.fd}/${SOCKET}`, release: () => folder.close() };
}

/** Takes away the socket of a process that is no more; the spool's lock says that it is. Other files stay. */
export async function removeStaleSocket({ path }: SocketPlace): Promise<void> {
  try {
    if ((await lstat(path)).isSocket()) await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Until then, the umask and the folder's mode alone keep others out. */
export async function sealSocket({ path }: SocketPlace): Promise<void> {
  await chmod(path, 0o600);
}
