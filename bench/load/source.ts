/**
 * The SMTP load source: a program, `npm run bench:source -- --help`, and as a forked child what takes the calls of
 * `SourceApi` (child.ts). The work is done in load_source.ts.
 *
 * Exit code 0: every message that was begun was answered 250. 1: not so. 2: the options are not right.
 */
import { parseOrExit } from '../arguments.ts';
import { CHILD_FLAG, serve } from './child.ts';
import { Source } from './load_source.ts';
import { progressLine, summaryOf } from './source_report.ts';
import type { Progress, SourceOptions, SourceReport } from './source_settings.ts';
import { SOURCE_PROGRAM, sourceOptionsOf } from './source_table.ts';

export { Source } from './load_source.ts';
export type { Progress, SourceOptions, SourceReport } from './source_settings.ts';

const GLANCE_MS = 1000;

/** What the program answers as a forked child. */
export type SourceApi = {
  readonly run: (options: SourceOptions) => Promise<SourceReport>;
  readonly progress: (nothing: undefined) => Progress;
  readonly stop: (nothing: undefined) => void;
  /** The bits of the numbers of the last run that were answered 250: `new Bitmap(bytes)`. */
  readonly acknowledged: (nothing: undefined) => Uint8Array;
};

function childApi(): SourceApi {
  let source: Source | undefined;
  return {
    run: (options) => {
      source = new Source(options);
      return source.run();
    },
    progress: () => source?.progress() ?? { attempted: 0, acknowledged: 0 },
    stop: () => source?.stop(),
    acknowledged: () => source?.acknowledgedNumbers.bytes() ?? new Uint8Array(1),
  };
}

/** A line a second; on a terminal each takes the place of the one before. */
function showProgress(source: Source): () => void {
  const startMs = performance.now();
  let before = source.glance();
  let beforeMs = startMs;
  const terminal = process.stderr.isTTY;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const now = source.glance();
    const line = progressLine((nowMs - startMs) / 1000, before, now, (nowMs - beforeMs) / 1000);
    process.stderr.write(terminal ? `\r${line}\x1b[K` : `${line}\n`);
    before = now;
    beforeMs = nowMs;
  }, GLANCE_MS);
  return () => {
    clearInterval(timer);
    if (terminal) process.stderr.write('\r\x1b[K');
  };
}

/** What cannot be had (a folder without messages, a password's file) is told as a wrong option is. */
function sourceOrExit(args: readonly string[]): {
  readonly source: Source;
  readonly quiet: boolean;
  readonly json: boolean;
} {
  const { values } = parseOrExit(SOURCE_PROGRAM, args);
  try {
    return { source: new Source(sourceOptionsOf(values)), quiet: values.quiet, json: values.json };
  } catch (error) {
    process.stderr.write(`${SOURCE_PROGRAM.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

async function program(): Promise<void> {
  const { source, quiet, json } = sourceOrExit(process.argv.slice(2));
  // Once: who asks twice does not want to wait for what is under way.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => source.stop());
  const hide = quiet ? undefined : showProgress(source);
  const report = await source.run();
  hide?.();
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : summaryOf(report));
  process.exitCode = report.acknowledged === report.attempted && !report.gaveUp ? 0 : 1;
}

if (import.meta.main) {
  if (process.argv[2] === CHILD_FLAG) serve(childApi());
  else await program();
}
