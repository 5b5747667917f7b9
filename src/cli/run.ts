/**
 * `postern`: from the command line to an exit code.
 *
 *   parse ─► ask the process over its socket ─► print chunk by chunk ─► exit code
 *              └ nobody there ─► is the spool free? ─► list, show, cat, stats: read it ─► print …
 */

import { unreachable } from '../base/assert.ts';
import { loadSpoolDir } from '../config/load.ts';
import { QueueDesk } from '../relay/queue_desk.ts';
import { QueueReader } from '../relay/queue_reader.ts';
import type { QueueRequest, QueueSource } from '../relay/queue_requests.ts';
import { QueueFailure } from '../relay/queue_requests.ts';
import { folderIdentity, socketPlace } from '../spool/folder.ts';
import { SpoolFolderError } from '../spool/index.ts';
import type { OfflineSpool } from '../spool/offline.ts';
import { readSpool } from '../spool/offline.ts';
import type { Output } from '../telemetry/console.ts';
import { printFaults, standardOutput } from '../telemetry/console.ts';
import type { QueueOrder } from './arguments.ts';
import { parseCommandLine } from './arguments.ts';
import { check } from './check_command.ts';
import { NoProcess, queueClient } from './client.ts';
import { policyFaults, policySchema } from './config_command.ts';
import type { Ending } from './exit_codes.ts';
import { EXIT } from './exit_codes.ts';
import { Printer } from './printer.ts';

export type CommandParts = {
  /** The relay itself; resolves when it runs. */
  readonly start: () => Promise<void>;
  /** A process has the spool of this identity (gate/spool_lock.ts). */
  readonly isSpoolLocked: (identity: string) => Promise<boolean>;
};

/** Resolves to the exit code; null: the relay runs, and ends in its own way. */
export async function runCommandLine(args: readonly string[], parts: CommandParts): Promise<number | null> {
  const parsed = parseCommandLine(args);
  const output = standardOutput();
  switch (parsed.tag) {
    case 'start':
      await parts.start();
      return null;
    case 'help':
      await output.print(parsed.text);
      return EXIT.ok[0];
    case 'faults':
      printFaults(parsed.faults);
      return EXIT.usage[0];
    case 'schema':
      await output.print(policySchema());
      return EXIT.ok[0];
    case 'check':
      return EXIT[await check(parsed, output)][0];
    case 'policy-faults': {
      const faults = policyFaults(parsed.file);
      printFaults(faults);
      return EXIT[faults.length === 0 ? 'ok' : 'failed'][0];
    }
    case 'queue':
      return EXIT[await obey(parsed, parts, output)][0];
    default:
      return unreachable(parsed);
  }
}

async function obey(order: QueueOrder, parts: CommandParts, output: Output): Promise<Ending> {
  const directory = order.spoolDir ?? loadSpoolDir();
  try {
    return await askProcess(order, directory, output);
  } catch (error) {
    if (!(error instanceof NoProcess)) return complain(error);
  }
  try {
    return await askSpool(order, directory, parts, output);
  } catch (error) {
    return complain(error);
  }
}

function complain(error: unknown): Ending {
  if (!(error instanceof QueueFailure) && !(error instanceof SpoolFolderError)) throw error;
  printFaults([error.message]);
  return error instanceof QueueFailure && error.reason === 'refused' ? 'failed' : 'unreachable';
}

async function askProcess(order: QueueOrder, directory: string, output: Output): Promise<Ending> {
  const place = await socketPlace(directory).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new NoProcess(error.message) : cannotRead(directory, error);
  });
  try {
    return await answer(order, queueClient(place.path), output);
  } finally {
    await place.release();
  }
}

async function askSpool(
  order: QueueOrder,
  directory: string,
  { isSpoolLocked }: CommandParts,
  output: Output,
): Promise<Ending> {
  const identity = await folderIdentity(directory).catch((error: NodeJS.ErrnoException) => {
    throw cannotRead(directory, error);
  });
  if (await isSpoolLocked(identity)) throw unreachableProcess(directory);
  if (!order.offline) {
    throw new QueueFailure(
      'unreachable',
      `no Postern runs with the spool ${directory}, and ${order.request.action} needs one`,
    );
  }
  const notes: string[] = [];
  const spools = await readSpool(directory, (event, fields) => notes.push(`${event}: ${JSON.stringify(fields)}`));
  try {
    const ending = await answer(order, new QueueDesk(spools.map(shardOf), { log: () => {} }), output);
    if (await isSpoolLocked(identity)) notes.push('a Postern was started meanwhile: ask again for what it has now');
    if (notes.length > 0) printFaults(notes);
    return ending;
  } finally {
    for (const spool of spools) await spool.close();
  }
}

const shardOf = (spool: OfflineSpool) => ({ shard: spool.folder, queue: new QueueReader(spool), missing: null });

function cannotRead(directory: string, { code, message }: NodeJS.ErrnoException): QueueFailure {
  const advice = 'set POSTERN_SPOOL_DIR as Postern has it, or write --spool FOLDER';
  if (code === 'ENOENT') return new QueueFailure('unreachable', `there is no spool folder ${directory}; ${advice}`);
  if (code === 'EACCES')
    return new QueueFailure(
      'unreachable',
      `the spool folder ${directory} is not ours to read: be the user that runs Postern`,
    );
  return new QueueFailure(
    'unreachable',
    `the spool folder ${directory} cannot be used (${code ?? message}); ${advice}`,
  );
}

const unreachableProcess = (directory: string): QueueFailure =>
  new QueueFailure(
    'unreachable',
    `a Postern has the spool ${directory}, but its admin socket does not answer: it is starting or stopping, or its ` +
      'log says why it has none (admin-socket-failed)',
  );

/** Prints the answer as it comes; its end says how the command ends. */
async function answer(order: QueueOrder, source: QueueSource, output: Output): Promise<Ending> {
  const printer = new Printer(order, output);
  for await (const chunk of source.ask(oneMore(order.request))) if (!(await printer.take(chunk))) return 'ok';
  return await printer.end();
}

/** A list asks for one row more than it shows: so it knows whether there are more. */
const oneMore = (request: QueueRequest): QueueRequest =>
  request.action === 'list' ? { ...request, rowsMax: request.rowsMax + 1 } : request;
