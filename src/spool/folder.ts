/** The spool's own folder, before any shard opens its part of it. */
import { mkdir, stat } from 'node:fs/promises';

/** Creates it, 0700, where it is missing. Resolves to a name that is equal for equal folders, by whatever path. */
export async function prepareFolder(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { dev, ino } = await stat(directory, { bigint: true });
  return `${dev}-${ino}`;
}
