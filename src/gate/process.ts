/**
 * Postern as a process of its own: exit codes and signals.
 *
 *   SIGTERM, SIGINT   drain, exit 0 (a second SIGINT: exit 130 at once)
 *   SIGHUP            certificates, keys, the token for pushes and the policy file are read again
 *   exit 78           the environment has faults (EX_CONFIG); each is a line on standard error
 *   exit 1            an address or the spool cannot be had, or a defect of ours
 */

import type { Loaded } from '../config/load.ts';
import type { Config } from '../config/options.ts';
import { printFaults } from '../telemetry/console.ts';
import { StartFailure } from './listeners.ts';
import type { Postern, PosternParts } from './postern.ts';
import { startPostern } from './postern.ts';

const EX_CONFIG = 78; // sysexits.h
const EX_INTERRUPTED = 130; // 128 and the number of SIGINT, as shells have it

export async function runProcess(loaded: Loaded, parts: PosternParts): Promise<void> {
  if ('faults' in loaded) {
    printFaults(loaded.faults);
    process.exit(EX_CONFIG);
  }
  // Before "ready" is told: who reads that line may send a signal the moment after.
  await startOrExit(loaded.config, { ...parts, onStarted: handleSignals });
}

function handleSignals(postern: Postern): void {
  process.on('uncaughtException', (error) => {
    postern.logFatal(error);
    process.exit(1);
  });
  process.on('SIGHUP', () => {
    postern.reloadTls();
    postern.reloadToken();
    void postern.reloadPolicy();
  });
  process.on('SIGTERM', () => stopAndExit(postern, 'SIGTERM'));
  process.once('SIGINT', () => {
    process.on('SIGINT', () => process.exit(EX_INTERRUPTED));
    stopAndExit(postern, 'SIGINT');
  });
}

/** A signal while it starts ends it: no client has been promised anything by then. */
async function startOrExit(config: Config, parts: PosternParts): Promise<void> {
  try {
    await startPostern(config, parts);
  } catch (error) {
    const { message } = error as Error;
    printFaults(error instanceof StartFailure ? error.faults : [`cannot start: ${message}`]);
    process.exit(1);
  }
}

async function stopAndExit(postern: Postern, signal: string): Promise<void> {
  await postern.stop(undefined, signal);
  process.exit(0);
}
