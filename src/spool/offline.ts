/**
 * A spool whose process is down, opened to be read: nothing is written, made, moved or locked.
 *
 *   every shard-NN, and every folder that one was taking over ─survey─► recover ─► index; records read when woken
 *
 * Whoever opens it makes sure that no process has the spool: one that starts meanwhile makes messages unreadable here,
 * no more. A message of an adoption that was interrupted may be seen twice.
 */
import { BufferPool } from '../base/buffer_pool.ts';
import type { Disk } from './disk.ts';
import { systemDisk } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import { Message } from './message.ts';
import { readCopy, readFile } from './reading.ts';
import type { Recovered } from './recovery.ts';
import { recover } from './recovery.ts';
import type { Row, Spool, SpoolOptions, Stored } from './spool.ts';
import { SpoolFailure } from './spool.ts';
import type { Survey } from './survey.ts';
import { CONTENT, closeSurvey, SHARD_PATTERN, survey, unusable } from './survey.ts';

/** One shard's. `rest` has nothing to let go of: nobody is served here for long. */
export interface OfflineSpool extends Pick<Spool, 'index' | 'wake' | 'rest' | 'read'> {
  readonly folder: string;
  close(): Promise<void>;
}

/** By shard. Rejects with SpoolFolderError. `report` hears of torn tails and damage. */
export async function readSpool(
  directory: string,
  report: SpoolOptions['report'],
  disk: Disk = systemDisk,
): Promise<OfflineSpool[]> {
  const reading = readOnly(disk);
  const names = await disk.list(directory).catch((error: unknown) => {
    throw unusable(directory, error);
  });
  const opened: OfflineSpool[] = [];
  try {
    for (const name of names.sort()) {
      const path = `${directory}/${name}`;
      if (!SHARD_PATTERN.test(name) || (await disk.stat(path))?.tag !== 'folder') continue;
      await open(reading, await survey(reading, path), report, opened);
    }
  } catch (error) {
    for (const spool of opened) await spool.close();
    throw error;
  }
  return opened;
}

async function open(
  disk: Disk,
  surveyed: Survey,
  report: SpoolOptions['report'],
  opened: OfflineSpool[],
): Promise<void> {
  opened.push(new JournalReader(disk, surveyed, await recover(disk, surveyed, report)));
  for (const nested of surveyed.adopting) await open(disk, nested, report, opened);
}

class JournalReader implements OfflineSpool {
  readonly folder: string;
  readonly #disk: Disk;
  readonly #surveyed: Survey;
  readonly #recovered: Recovered;
  readonly #reads = new BufferPool(SPOOL_LIMITS.readBytesMax, 1);

  constructor(disk: Disk, surveyed: Survey, recovered: Recovered) {
    this.folder = surveyed.folder;
    this.#disk = disk;
    this.#surveyed = surveyed;
    this.#recovered = recovered;
  }

  get index(): Recovered['index'] {
    return this.#recovered.index;
  }

  async wake(row: Row): Promise<Stored> {
    const { index, chain } = this.#recovered;
    const place = index.place(row);
    const segment = chain.find(({ generation }) => generation === place.generation);
    if (segment === undefined) throw new SpoolFailure('unreadable', `message ${index.key(row)} has no record`);
    const { envelope, content } = await readCopy(segment, place);
    return new Message(index, row, envelope, content, 0);
  }

  rest(): void {}

  async *read(message: Stored): AsyncGenerator<Buffer> {
    if (message.content !== null) {
      if (message.content.length > 0) yield message.content;
      return;
    }
    const file = this.#recovered.index.file(message.row);
    if (file !== null) yield* readFile(this.#disk, `${this.folder}/${CONTENT}`, file, this.#reads);
  }

  close(): Promise<void> {
    return closeSurvey({ ...this.#surveyed, adopting: [] });
  }
}

/** The same disk without its pen: segments are opened to be read, and whatever would change something is refused. */
function readOnly(disk: Disk): Disk {
  const refuse = () => Promise.reject(new SpoolFailure('unreadable', 'this spool is only read'));
  return {
    open: (path, mode) => (mode === 'create' ? refuse() : disk.open(path, 'read')),
    list: (path) => disk.list(path),
    stat: (path) => disk.stat(path),
    rename: refuse,
    link: refuse,
    unlink: refuse,
    mkdir: refuse,
    rmdir: refuse,
    syncFolder: refuse,
  };
}
