/** `npm start`: the environment's Postern, with its admin server. */
import { startAdmin, startOperator } from './admin/server.ts';
import { loadConfig } from './config/load.ts';
import { runProcess } from './gate/process.ts';

await runProcess(loadConfig(), { startAdmin, startOperator });
