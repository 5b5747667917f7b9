/**
 * Takes over what a shard left that does not exist any more, because there are fewer workers now.
 *
 *   shard-05 ─rename─► shard-01/adopting-05 ─copy what is live─► shard-01/removed-05 ─► gone
 *
 * The first rename makes the folder part of this shard's own: whatever is interrupted, and however many workers the
 * next start has, the copies already made and the originals meet in the same place, where equal message ids are one
 * message. The second is the moment from which only the copies count.
 */
import type { Disk } from './disk.ts';
import type { ContentFile } from './message.ts';
import { Message } from './message.ts';
import { readInline } from './reading.ts';
import { recover, withContent } from './recovery.ts';
import type { SpoolOptions } from './spool.ts';
import { SpoolFailure } from './spool.ts';
import type { JournalSpool } from './store.ts';
import type { Survey } from './survey.ts';
import { ADOPTING, CONTENT, closeSurvey, REMOVED, survey, unusable } from './survey.ts';

const SHARD_PATTERN = /^shard-(\d{2,3})$/;

/** Moves the folders that are this shard's to adopt into its own. Looks at all of them before it moves the first. */
export async function claim(disk: Disk, options: SpoolOptions, folder: string): Promise<void> {
  const { directory, shard, workers } = options;
  const orphans: { path: string; number: string }[] = [];
  for (const name of (await disk.list(directory)).sort()) {
    const number = SHARD_PATTERN.exec(name)?.[1];
    if (number === undefined || Number(number) < workers || Number(number) % workers !== shard) continue;
    const path = `${directory}/${name}`;
    if ((await disk.stat(path))?.tag === 'folder') orphans.push({ path, number });
  }
  await closeSurvey(await survey(disk, folder));
  for (const { path } of orphans) await closeSurvey(await survey(disk, path));
  try {
    for (const { path, number } of orphans) {
      const taken = new Set(await disk.list(folder));
      let name = ADOPTING + number;
      for (let again = 2; taken.has(name); again++) name = `${ADOPTING}${number}-${again}`;
      await disk.rename(path, `${folder}/${name}`);
      await disk.syncFolder(folder);
      await disk.syncFolder(directory);
    }
  } catch (error) {
    throw unusable(directory, error);
  }
}

/** Copies the live messages of a claimed folder, and of those that it had claimed itself, then removes it. */
export async function adopt(spool: JournalSpool, disk: Disk, surveyed: Survey, options: SpoolOptions): Promise<void> {
  const { folder } = surveyed;
  const { messages, chain, unused } = await recover(surveyed, options.report);
  const whole = await withContent(disk, folder, messages, options.report);
  const known = new Set<string>();
  for (const { envelope } of spool.live) known.add(envelope.id);
  let copied = 0;
  try {
    for (const message of whole) {
      if (known.has(message.envelope.id)) continue;
      await copy(spool, disk, folder, message);
      copied++;
    }
    for (const nested of surveyed.adopting) await adopt(spool, disk, nested, options);
  } catch (error) {
    if (!(error instanceof SpoolFailure)) throw error;
    // The folder stays as it is: the next start finds it, and knows by their ids the messages that are copied.
    options.report(error.reason === 'full' ? 'spool-full' : 'spool-broken', { folder, detail: error.message });
    if (error.reason === 'broken') throw error;
    return;
  } finally {
    for (const segment of [...chain, ...unused]) await segment.close().catch(() => {});
  }
  const removed = folder.replace(/adopting-([^/]*)$/, `${REMOVED}$1`);
  await disk.rename(folder, removed);
  await disk.syncFolder(folder.slice(0, folder.lastIndexOf('/')));
  await removeAdopted(disk, removed);
  options.report('spool-adopted', { folder, messages: copied });
}

async function copy(spool: JournalSpool, disk: Disk, folder: string, message: Message): Promise<void> {
  const { envelope, states } = message;
  const content = message.file === null ? await readInline(message) : null;
  let file: ContentFile | null = null;
  if (message.file !== null) {
    file = { ...message.file, name: spool.nextContentName() };
    await disk.link(`${folder}/${CONTENT}/${message.file.name}`, `${spool.contentFolder}/${file.name}`);
    await disk.syncFolder(spool.contentFolder);
  }
  await spool.append(new Message(envelope, [...states], message.contentCrc, file), content);
}

/** Everything in it has been copied, or was not wanted. */
export async function removeAdopted(disk: Disk, folder: string): Promise<void> {
  for (const name of await disk.list(folder)) {
    const path = `${folder}/${name}`;
    if ((await disk.stat(path))?.tag === 'folder') await removeAdopted(disk, path);
    else await disk.unlink(path);
  }
  await disk.rmdir(folder);
}
