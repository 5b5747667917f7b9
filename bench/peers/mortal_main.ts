/**
 * `src/main.ts` with shards that can be killed from outside, which a Postern in service has no door for: the parent
 * sends `{ kill: shard }` over the channel of `fork`.
 */
import { startAdmin } from '../../src/admin/server.ts';
import { loadConfig } from '../../src/config/load.ts';
import { startPostern } from '../../src/gate/postern.ts';

const loaded = loadConfig();
if ('faults' in loaded) throw new Error(loaded.faults.join('\n'));
const workerFile = new URL('./mortal_shard.ts', import.meta.url).href;
const postern = await startPostern(loaded.config, { startAdmin, workerFile });
const doom = new BroadcastChannel('mortal');
process.on('message', ({ kill }: { kill: number }) => doom.postMessage(kill));
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => void postern.stop(undefined, 'SIGTERM').then(() => process.exit(0)));
// Ctrl-C reaches the whole terminal: the parent decides what it means.
process.on('SIGINT', () => undefined);
