/**
 * A look at a whole spool before any shard opens its part: whatever of it cannot be used stops the start while nothing
 * has been changed, in the other shards' folders neither.
 */
import type { Disk } from './disk.ts';
import { systemDisk } from './disk.ts';
import { closeSurvey, SHARD_PATTERN, survey, unusable } from './survey.ts';

/** Rejects with SpoolFolderError. */
export async function inspectSpool(directory: string, disk: Disk = systemDisk): Promise<void> {
  await checkOwner(disk, directory);
  const names = await disk.list(directory).catch((error: unknown) => {
    throw unusable(directory, error);
  });
  for (const name of names.sort()) {
    const path = `${directory}/${name}`;
    if (!SHARD_PATTERN.test(name) || (await look(disk, path))?.tag !== 'folder') continue;
    await checkOwner(disk, path);
    await closeSurvey(await survey(disk, path));
  }
}

/** Nothing there is no fault: it will be made. A link to a folder is taken for what it leads to. */
export async function checkOwner(disk: Disk, path: string): Promise<void> {
  const entry = await look(disk, path);
  if (entry?.tag === 'file') throw unusable(path, { code: 'ENOTDIR' });
  if (entry?.tag === 'folder' && !entry.ours) throw unusable(path, { code: 'EPERM' });
}

const look = (disk: Disk, path: string): ReturnType<Disk['stat']> =>
  disk.stat(path).catch((error: unknown) => {
    throw unusable(path, error);
  });
