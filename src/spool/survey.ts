/**
 * What is in a shard's folder, found out without changing anything.
 *
 *   shard-NN/  NNNNNNNN.seg       a segment             NNNNNNNN.new   one that was being made: of no use
 *              NNNNNNNN.damaged   moved aside           content/       large content, a file a message
 *              checkpoint         a copy of the index   damaged-*      an adopted one, with damage in it
 *              adopting-*         the folder of a shard that no longer exists, being taken over; it looks the same
 *              inside
 *              removed-*          one that has been
 */

import { CHECKPOINT } from './checkpoint.ts';
import type { Disk, DiskFile } from './disk.ts';
import { codeOf, readFully } from './disk.ts';
import type { HeaderRead } from './record.ts';
import { BLOCK_BYTES, decodeSegmentHeader, FORMAT_VERSION, FRAME_HEADER_BYTES, peekSalt } from './record.ts';
import { SEGMENT_PATTERN } from './segment.ts';

/** The folder cannot be used as it is; the message tells the operator what to do. Nothing has been changed. */
export class SpoolFolderError extends Error {
  override readonly name = 'SpoolFolderError';
}

export type SurveyedSegment = {
  readonly generation: number;
  readonly name: string;
  readonly file: DiskFile;
  readonly bytes: number;
  readonly header: HeaderRead;
  /** Of the record at the first place where one can be, whatever became of the header. */
  readonly firstSalt: number | null;
};

export type Survey = {
  readonly folder: string;
  /** By generation. */
  readonly segments: readonly SurveyedSegment[];
  /** There is a file of this name. */
  readonly checkpoint: boolean;
  readonly unfinished: readonly string[];
  readonly adopting: readonly Survey[];
  readonly removed: readonly string[];
  /** Whatever nobody here has made, in the folder and in that of content; and what was kept of adopted ones. */
  readonly strays: readonly string[];
  readonly damaged: readonly string[];
};

/** A shard's folder in that of the spool. */
export const SHARD_PATTERN = /^shard-(\d{2,3})$/;

export const ADOPTING = 'adopting-';
export const REMOVED = 'removed-';
/** One that has been, but for what could not be read. */
export const DAMAGED = 'damaged-';
export const CONTENT = 'content';
export const CONTENT_PATTERN = /^\d{8,10}-[0-9a-z]+$/;

const UNFINISHED = /^(?:\d{8,10}|checkpoint)\.new$/;

/** Throws SpoolFolderError. The segments' files are open afterwards. */
export async function survey(disk: Disk, folder: string): Promise<Survey> {
  const segments: SurveyedSegment[] = [];
  const adopting: Survey[] = [];
  let checkpoint = false;
  const names = {
    unfinished: [] as string[],
    removed: [] as string[],
    strays: [] as string[],
    damaged: [] as string[],
  };
  try {
    for (const name of (await disk.list(folder)).sort()) {
      const path = `${folder}/${name}`;
      const entry = await disk.stat(path);
      const segment = SEGMENT_PATTERN.exec(name);
      if (entry?.tag === 'file' && segment !== null) {
        segments.push(await look(disk, path, name, Number(segment[1]), entry.bytes));
      } else if (entry?.tag === 'file' && name === CHECKPOINT) checkpoint = true;
      else if (entry?.tag === 'file' && UNFINISHED.test(name)) names.unfinished.push(name);
      else if (entry?.tag === 'file' && /^\d{8,10}\.damaged$/.test(name)) names.damaged.push(name);
      else if (entry?.tag === 'folder' && name.startsWith(ADOPTING)) adopting.push(await survey(disk, path));
      else if (entry?.tag === 'folder' && name.startsWith(REMOVED)) names.removed.push(name);
      else if (entry?.tag !== 'folder' || name !== CONTENT) names.strays.push(name);
      else names.strays.push(...(await contentStrays(disk, path)));
    }
  } catch (error) {
    await closeSurvey({ folder, segments, adopting, checkpoint, ...names });
    if (error instanceof SpoolFolderError) throw error;
    throw unusable(folder, error);
  }
  segments.sort((one, other) => one.generation - other.generation);
  return { folder, segments, adopting, checkpoint, ...names };
}

async function contentStrays(disk: Disk, path: string): Promise<string[]> {
  const odd = (await disk.list(path)).filter((name) => !CONTENT_PATTERN.test(name));
  return odd.map((name) => `${CONTENT}/${name}`);
}

export async function closeSurvey({ segments, adopting }: Survey): Promise<void> {
  for (const { file } of segments) await file.close().catch(() => {});
  for (const nested of adopting) await closeSurvey(nested);
}

async function look(
  disk: Disk,
  path: string,
  name: string,
  generation: number,
  bytes: number,
): Promise<SurveyedSegment> {
  const file = await disk.open(path, 'durable');
  const block = Buffer.alloc(BLOCK_BYTES + FRAME_HEADER_BYTES);
  // A block that cannot be read stays zero: that is damage, and found out by the scan.
  const part = (from: number, to: number): Promise<boolean> =>
    readFully(file, block, from, to, from).then(
      () => true,
      () => false,
    );
  let readable = await part(0, block.length);
  if (!readable) {
    await part(BLOCK_BYTES, block.length);
    readable = await part(0, BLOCK_BYTES);
  }
  const header = readable ? decodeSegmentHeader(block.subarray(0, BLOCK_BYTES)) : ({ tag: 'damaged' } as const);
  if (header.tag === 'version') {
    await file.close();
    throw new SpoolFolderError(
      `${path} is written in format ${header.version}, and this Postern reads format ${FORMAT_VERSION}: ` +
        `start the version that wrote it, or ${OTHER}`,
    );
  }
  return { generation, name, file, bytes, header, firstSalt: peekSalt(block, BLOCK_BYTES, generation) };
}

/** In the operator's words. */
export function unusable(folder: string, error: unknown): SpoolFolderError {
  const why = REASONS[codeOf(error)] ?? `cannot be used (${codeOf(error) || String(error)}): mend it, or ${OTHER}`;
  return new SpoolFolderError(`the spool folder ${folder} ${why}`, { cause: error });
}

const OTHER = 'set POSTERN_SPOOL_DIR to another folder';
const REASONS: Readonly<Record<string, string>> = {
  EACCES: `is not accessible: make the user that runs Postern its owner, or ${OTHER}`,
  EPERM: `may not be changed: make the user that runs Postern its owner, or ${OTHER}`,
  EROFS: `is on a read-only file system: mount it for writing, or ${OTHER}`,
  ENOTDIR: `is not a folder: remove the file of this name, or ${OTHER}`,
  EEXIST: `is not a folder: remove the file of this name, or ${OTHER}`,
  ENOSPC: `cannot be created, the disk is full: free some space, or ${OTHER}`,
  ELOOP: 'is a symbolic link that leads nowhere: set POSTERN_SPOOL_DIR to a real folder',
};
