/** `npm start`: the environment's Postern, with its admin server. */
import { startAdmin } from './admin/server.ts';
import { loadConfig } from './config/load.ts';
import { runProcess } from './gate/process.ts';

await runProcess(loadConfig(), { startAdmin });
