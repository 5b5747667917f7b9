/**
 * Takes over what a shard left that does not exist any more, because there are fewer workers now.
 *
 *   shard-05 ─rename─► shard-01/adopting-05 ─copy what is live─► shard-01/removed-05 ─► gone
 *
 * The first rename makes the folder part of this shard's own: whatever is interrupted, and however many workers the
 * next start has, the copies already made and the originals meet in the same place, where equal message ids are one
 * message. The second is the moment from which only the copies count.
 */
import { assert } from '../base/assert.ts';
import { hashOf } from '../base/hash.ts';
import type { Disk } from './disk.ts';
import { isShortage } from './disk.ts';
import type { Copy } from './entries.ts';
import type { ContentFile } from './message.ts';
import { readCopy } from './reading.ts';
import { checkContent, recover } from './recovery.ts';
import { RowTable } from './row_table.ts';
import type { Rows } from './rows.ts';
import type { Segment } from './segment.ts';
import type { Row, SpoolOptions } from './spool.ts';
import { SpoolFailure } from './spool.ts';
import type { JournalSpool } from './store.ts';
import type { Survey } from './survey.ts';
import { ADOPTING, CONTENT, closeSurvey, DAMAGED, REMOVED, SHARD_PATTERN, survey, unusable } from './survey.ts';

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
      const names = await disk.list(folder);
      // Free under every name that it will have: one that was kept is never in the way of the next.
      const taken = new Set(names.map((name) => name.replace(/^[a-z]+-/, '')));
      let free = number;
      for (let again = 2; taken.has(free); again++) free = `${number}-${again}`;
      await disk.rename(path, `${folder}/${ADOPTING}${free}`);
      await disk.syncFolder(folder);
      await disk.syncFolder(directory);
    }
  } catch (error) {
    throw unusable(directory, error);
  }
}

/** `kept`: what it had beside its mail is not ours to remove. `waits`: there is no space for all of its mail. */
type Outcome = 'removed' | 'kept' | 'waits';

/** Copies the live messages of a claimed folder, and of those that it had claimed itself, then removes it. */
export async function adopt(
  spool: JournalSpool,
  disk: Disk,
  surveyed: Survey,
  options: SpoolOptions,
): Promise<Outcome> {
  const { folder } = surveyed;
  const nested = [...surveyed.adopting];
  let copied = 0;
  let whole = surveyed.strays.length === 0 && surveyed.damaged.length === 0;
  try {
    const { index, chain, unused } = await recover(disk, surveyed, options.report);
    if (!(await checkContent(disk, folder, index, options.report))) whole = false;
    if ([...chain, ...unused].some(({ damaged }) => damaged)) whole = false;
    const known = new KnownIds(spool);
    for (const row of index.rows()) {
      const copy = await copyOf(chain, index, row, options);
      if (copy === null) whole = false;
      if (copy === null || (await known.has(copy.envelope.id))) continue;
      const states = copy.envelope.recipients.map((_, at) => index.state(row, at));
      await spool.adopt({ ...copy, file: await linked(spool, disk, folder, copy.file) }, states);
      copied++;
    }
    for (let next = nested.shift(); next !== undefined; next = nested.shift()) {
      const outcome = await adopt(spool, disk, next, options);
      if (outcome === 'waits') return outcome;
      if (outcome === 'kept') whole = false;
    }
  } catch (error) {
    if (error instanceof SpoolFailure ? error.reason !== 'full' : !isShortage(error)) throw error;
    // The folder stays as it is: the next start finds it, and knows by their ids the messages that are copied.
    options.report('spool-full', { folder, detail: `its mail waits for the next start: ${(error as Error).message}` });
    return 'waits';
  } finally {
    // Each file once: segments are views of these.
    await closeSurvey({ ...surveyed, adopting: nested });
  }
  const left = await leave(disk, folder, whole);
  options.report('spool-adopted', { folder, messages: copied });
  if (!whole) options.report('spool-stray', { path: left });
  return whole ? 'removed' : 'kept';
}

/** Null for a message that cannot be read: reported, and its folder is kept. */
async function copyOf(
  chain: readonly Segment[],
  index: Rows,
  row: Row,
  { report }: SpoolOptions,
): Promise<Copy | null> {
  const place = index.place(row);
  const segment = chain.find(({ generation }) => generation === place.generation);
  assert(segment !== undefined, 'a record is in a segment of the chain');
  try {
    return await readCopy(segment, place);
  } catch (error) {
    report('spool-lost', { sequence: index.key(row), domain: index.domain(row, 0), detail: String(error) });
    return null;
  }
}

/** Large content under a name of this spool's. */
async function linked(
  spool: JournalSpool,
  disk: Disk,
  folder: string,
  file: ContentFile | null,
): Promise<ContentFile | null> {
  if (file === null) return null;
  const name = spool.nextContentName();
  await disk.link(`${folder}/${CONTENT}/${file.name}`, `${spool.contentFolder}/${name}`);
  await disk.syncFolder(spool.contentFolder);
  return { ...file, name };
}

/** Which messages an interrupted adoption has copied already. The index has hashes of ids; equal ones are looked at. */
class KnownIds {
  readonly #spool: JournalSpool;
  readonly #rows: RowTable;

  constructor(spool: JournalSpool) {
    this.#spool = spool;
    this.#rows = new RowTable(spool.index.rows(), (row) => spool.index.idHash(row));
  }

  async has(id: string): Promise<boolean> {
    for (const row of this.#rows.all(hashOf(id))) {
      if ((await this.#idOf(row)) === id) return true;
    }
    return false;
  }

  /** Null for one that cannot be read: then the original may well be the better copy. */
  async #idOf(row: Row): Promise<string | null> {
    try {
      const message = await this.#spool.wake(row);
      this.#spool.rest(message);
      return message.envelope.id;
    } catch (error) {
      if (error instanceof SpoolFailure && error.reason === 'unreadable') return null;
      throw error;
    }
  }
}

/** A folder with damage in it, or with what nobody knows, is kept under another name, for whoever can tell more. */
async function leave(disk: Disk, folder: string, whole: boolean): Promise<string> {
  const parent = folder.slice(0, folder.lastIndexOf('/'));
  const left = folder.replace(/adopting-([^/]*)$/, `${whole ? REMOVED : DAMAGED}$1`);
  await disk.rename(folder, left);
  await disk.syncFolder(parent);
  if (whole) await removeAdopted(disk, left);
  return left;
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
