/** main.ts with fake shards, for the tests of signals and exit codes. */
import { startAdmin } from '../../../src/admin/server.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { runProcess } from '../../../src/gate/process.ts';

const workerFile = new URL('./fake_shard.ts', import.meta.url).href;

await runProcess(loadConfig(), { startAdmin, workerFile });
