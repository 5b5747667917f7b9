/**
 * libuv's thread pool: one for the process, shared by all shards, read from the environment when it is first used.
 * Every
 * sync of a journal occupies a thread of it while the disk works, so with the usual four, four slow shards would stop
 * each other, and DNS and TLS with them.
 */
const VARIABLE = 'UV_THREADPOOL_SIZE';
const MAX = 1024;

/**
 * Two threads a shard (the sync of its journal, and a large content on its way to disk) and two for everybody. What the
 * operator set stays. Must be called before the first file is opened in the background.
 */
export function sizeThreadPool(shards: number, environment: NodeJS.ProcessEnv = process.env): void {
  environment[VARIABLE] ??= String(Math.min(MAX, Math.max(4, 2 * shards + 2)));
}
