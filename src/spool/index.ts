/**
 * Opens a shard's spool: what an earlier run left is replayed, folders of shards that no longer exist are taken over.
 *
 *   look at everything (changes nothing, refuses what it does not know) ─► claim orphaned folders ─► replay
 *   ─► write anew what is uncertain, or in damaged segments, or adopted ─► remove what is not wanted ─► open
 *
 * A crash anywhere in between is met by the next start doing the same again: nothing is removed before what replaces
 * it is durable.
 */
import { adopt, claim, removeAdopted } from './adoption.ts';
import type { Disk } from './disk.ts';
import { codeOf, systemDisk } from './disk.ts';
import { checkOwner } from './inspection.ts';
import { SPOOL_LIMITS } from './limits.ts';
import { BLOCK_BYTES } from './record.ts';
import type { Recovered } from './recovery.ts';
import { checkContent, recover } from './recovery.ts';
import type { Spool, SpoolOptions } from './spool.ts';
import { SpoolFailure } from './spool.ts';
import { JournalSpool } from './store.ts';
import type { Survey } from './survey.ts';
import { CONTENT, CONTENT_PATTERN, closeSurvey, survey, unusable } from './survey.ts';

export type { Disk } from './disk.ts';
export { SpoolFolderError } from './survey.ts';

const shardFolder = (directory: string, shard: number): string =>
  `${directory}/shard-${String(shard).padStart(2, '0')}`;

/** Rejects with SpoolFolderError where the folder cannot be used, with SpoolFailure where the disk fails. */
export async function openSpool(options: SpoolOptions, disk: Disk = systemDisk): Promise<Spool> {
  const folder = shardFolder(options.directory, options.shard);
  try {
    await checkOwner(disk, options.directory);
    await checkOwner(disk, folder);
    await makeFolders(disk, options.directory, folder);
    await claim(disk, options, folder);
    return await openFolder(options, disk, folder);
  } catch (error) {
    throw told(folder, error);
  }
}

async function openFolder(options: SpoolOptions, disk: Disk, folder: string): Promise<Spool> {
  const surveyed = await survey(disk, folder);
  const adopting = [...surveyed.adopting];
  let spool: JournalSpool | null = null;
  try {
    const recovered = await recover(disk, surveyed, options.report);
    // First of all: on a full disk its space may be what the next segment needs.
    for (const name of surveyed.unfinished) await disk.unlink(`${folder}/${name}`);
    await checkContent(disk, folder, recovered.index, options.report);
    spool = await JournalSpool.start(options, disk, {
      folder,
      index: recovered.index,
      segmentBytes: segmentBytesOf(options),
      chain: recovered.chain,
      unused: recovered.unused,
      previous: recovered.previous,
      nextGeneration: recovered.generationMax + 1,
      lastSequence: recovered.lastSequence,
      durable: recovered.durable,
    });
    await writeUncertain(spool, recovered);
    await spool.retirement.leaveDamaged();
    for (let next = adopting.shift(); next !== undefined; next = adopting.shift()) {
      await adopt(spool, disk, next, options);
    }
    if (spool.failure !== null) throw spool.failure;
    await tidy(spool, disk, surveyed, options);
    spool.retirement.sweep();
    reportRecovery(options, recovered, spool);
    return spool;
  } catch (error) {
    if (spool === null) await closeSurvey({ ...surveyed, adopting });
    else for (const nested of adopting) await closeSurvey(nested);
    await spool?.close();
    throw error;
  }
}

/** The system's own words are nobody's. Where the disk failed under the journal, its cause may tell more. */
function told(folder: string, error: unknown): unknown {
  const { cause } = error as Error;
  if (error instanceof SpoolFailure && FORBIDDEN.has(codeOf(cause))) return unusable(folder, cause);
  return codeOf(error) === '' ? error : unusable(folder, error);
}

/** Not a disk that fails but one that we may not write to. */
const FORBIDDEN: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS']);

const segmentBytesOf = ({ segmentBytes }: SpoolOptions): number => {
  const { segmentBytesMin, segmentBytesMax } = SPOOL_LIMITS;
  const within = Math.min(Math.max(segmentBytes, segmentBytesMin), segmentBytesMax);
  return Math.floor(within / BLOCK_BYTES) * BLOCK_BYTES;
};

async function makeFolders(disk: Disk, directory: string, folder: string): Promise<void> {
  try {
    await disk.mkdir(directory);
    await disk.mkdir(folder);
    await disk.mkdir(`${folder}/${CONTENT}`);
    await disk.syncFolder(folder);
    await disk.syncFolder(directory);
  } catch (error) {
    throw unusable(directory, error);
  }
}

/**
 * The last batch before a crash may be in the page cache only, and after a failed sync it may even stay there without
 * ever reaching the disk. So what it said is said again, in fresh pages. Where there is no space for that, the old
 * records stand alone.
 */
async function writeUncertain(spool: JournalSpool, { uncertain }: Recovered): Promise<void> {
  for (const row of uncertain) {
    if (spool.index.key(row) === 0) continue; // lost with its content
    if (spool.index.final(row)) spool.markAgain(row);
    else await spool.copyForward([row]);
  }
  await spool.idle();
}

/** Removes content without a message, segments that were never finished, and folders that were adopted. */
async function tidy(spool: JournalSpool, disk: Disk, surveyed: Survey, options: SpoolOptions): Promise<void> {
  const { folder } = surveyed;
  const wanted = new Set<string>();
  for (const [, file] of spool.index.files()) wanted.add(file.name);
  for (const name of await disk.list(spool.contentFolder)) {
    if (CONTENT_PATTERN.test(name) && !wanted.has(name)) await disk.unlink(`${spool.contentFolder}/${name}`);
  }
  for (const name of surveyed.removed) await removeAdopted(disk, `${folder}/${name}`);
  for (const name of surveyed.strays) options.report('spool-stray', { path: `${folder}/${name}` });
}

function reportRecovery({ shard, report }: SpoolOptions, { chain }: Recovered, spool: Spool): void {
  if (chain.length === 0 && spool.index.messages === 0) return;
  report('spool-recovered', { shard, messages: spool.index.messages, segments: chain.length });
}
