#!/usr/bin/env node
/** `npx postern`: the operator's commands, and `postern start`, which is `npm start`. */
import { startAdmin, startOperator } from './admin/server.ts';
import { runCommandLine } from './cli/run.ts';
import { commandLine } from './config/command_line.ts';
import { loadConfig } from './config/load.ts';
import { runProcess } from './gate/process.ts';
import { isSpoolLocked } from './gate/spool_lock.ts';

const start = () => runProcess(loadConfig(), { startAdmin, startOperator });
const code = await runCommandLine(commandLine(), { start, isSpoolLocked });
if (code !== null) process.exitCode = code;
