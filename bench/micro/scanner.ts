/**
 * Question: what does looking at every byte of a message cost, beside merely copying it?
 *
 * Bound by the processor: everything is in cache (64 KiB, one socket read). It would surprise us if the native scanner
 * took longer than a few copies, or less than ten times the twin's speed on lines of text.
 */
import { Bench } from 'tinybench';
import { chooseScanner } from '../../src/scanner/index.ts';
import type { Scanner } from '../../src/scanner/scanner.ts';
import { CUT_SLOTS, CUTS_MAX, STATE, STATE_SLOTS } from '../../src/scanner/scanner.ts';
import { twin } from '../../src/scanner/twin.ts';

const BYTES = 65_536;
const HEADER = Buffer.from('Subject: x\r\n\r\n');

const filled = (line: string): Buffer =>
  Buffer.from(line.repeat(Math.ceil(BYTES / line.length)).slice(0, BYTES), 'latin1');
const BASE64_LINE = `${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk'.repeat(2).slice(0, 76)}\r\n`;
const BODIES = {
  'base64, 76 columns': filled(BASE64_LINE),
  'short text lines': filled('A line of mail, as people write it.\r\n'),
  'a dot at every line': filled('..dotted line, as a program might print it\r\n'),
  'no line end at all': filled('x'),
} as const;

const copied = Buffer.alloc(BYTES);
const cuts = new Int32Array(CUTS_MAX * CUT_SLOTS);

/** The whole body through one scanner, as a session does it: the header section is over. */
function scanBody(scanner: Scanner, body: Buffer): void {
  const state = new Int32Array(STATE_SLOTS);
  scanner.scan(HEADER, 0, HEADER.length, state, cuts);
  for (let at = 0; at < body.length; ) at = scanner.scan(body, at, body.length, state, cuts);
  if (state[STATE.contentBytes]! < BYTES / 2) throw new Error('the scanner did not read the body');
}

const native = chooseScanner();
const scanners = native.scanner === twin ? [twin] : [native.scanner, twin];
console.log(`scanner: ${native.why}; Node ${process.version}, ${process.arch}; ${BYTES} bytes a call, GB/s (median)\n`);

const rows: Record<string, Record<string, string>> = {};
for (const [name, body] of Object.entries(BODIES)) {
  const bench = new Bench({ time: 400, warmupTime: 100 });
  for (const scanner of scanners) bench.add(scanner.name, () => scanBody(scanner, body));
  bench.add('copy', () => {
    body.copy(copied);
  });
  await bench.run();
  const speeds = new Map(bench.tasks.map((task) => [task.name, speedOf(task.result)]));
  const shown = Object.fromEntries([...speeds].map(([task, speed]) => [task, speed.toFixed(2)]));
  const ratios: Record<string, string> = { 'twin / copy': (speeds.get('twin')! / speeds.get('copy')!).toFixed(3) };
  const fast = speeds.get('native');
  if (fast !== undefined) {
    ratios['native / copy'] = (fast / speeds.get('copy')!).toFixed(2);
    ratios['native / twin'] = (fast / speeds.get('twin')!).toFixed(1);
  }
  rows[name] = { ...shown, ...ratios };
}
console.table(rows);

function speedOf(result: Bench['tasks'][number]['result']): number {
  if (!('latency' in result)) throw new Error('the benchmark did not finish');
  return BYTES / result.latency.p50 / 1e6;
}
