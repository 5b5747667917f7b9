/**
 * Question: what does looking at every byte of a message cost, beside merely copying it?
 *
 * Bound by the processor: everything is in cache (64 KiB, one socket read). It would surprise us if the native scanner
 * read less than 6 GB/s of base64, or text lines at less than ten times the twin's speed; or if a small mail cost more
 * than a microsecond (0.4 GB/s). There the two are alike: a call of the addon costs 0.1 µs, and a new state twice that,
 * since V8 moves it off its heap the first time that C++ asks for it. The last row is the worst a client can choose.
 */
import { Bench } from 'tinybench';
import { chooseScanner } from '../../src/scanner/index.ts';
import type { Scanner } from '../../src/scanner/scanner.ts';
import { CUT_SLOTS, CUTS_MAX, STATE, STATE_SLOTS } from '../../src/scanner/scanner.ts';
import { twin } from '../../src/scanner/twin.ts';
import { TIME_MS, WARM_MS } from '../measure/micro.ts';

const BYTES = 65_536;
const filled = (line: string): Buffer =>
  Buffer.from(line.repeat(Math.ceil(BYTES / line.length)).slice(0, BYTES), 'latin1');
const BASE64_LINE = `${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk'.repeat(2).slice(0, 76)}\r\n`;
const SMALL_MAIL = Buffer.from(
  [
    'Received: from mail.example.org (mail.example.org [192.0.2.1])',
    '\tby mx.example.com (Postern) with ESMTPS id mib3k2x9-a1b2c3-00-0001',
    '\tfor <bob@example.com>; Tue, 24 Nov 2026 12:00:00 +0000',
    'From: Alice <alice@example.org>',
    'To: Bob <bob@example.com>',
    'Subject: lunch',
    'Message-ID: <1234.5678@example.org>',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'Shall we meet at noon?',
    '.',
    '',
  ].join('\r\n'),
);
/** The header section is over, but in a small mail, which is read from its first byte. */
const BODIES = {
  'base64, 76 columns': filled(BASE64_LINE),
  'short text lines': filled('A line of mail, as people write it.\r\n'),
  'a dot at every line': filled('..dotted line, as a program might print it\r\n'),
  'no line end at all': filled('x'),
  'a small mail, with header': SMALL_MAIL,
  'bare CRs only': filled('\r'),
} as const;

const BODY_BEGINS = Buffer.from('\r\n');
const copied = Buffer.alloc(BYTES);
const cuts = new Int32Array(CUTS_MAX * CUT_SLOTS);

/** All of it through one scanner, as a session does it: with a state of its own. */
function scanAll(scanner: Scanner, body: Buffer): void {
  const state = new Int32Array(STATE_SLOTS);
  if (body !== SMALL_MAIL) scanner.scan(BODY_BEGINS, 0, BODY_BEGINS.length, state, cuts);
  for (let at = 0; at < body.length; ) at = scanner.scan(body, at, body.length, state, cuts);
  if (state[STATE.contentBytes]! < body.length / 2) throw new Error('the scanner did not read it all');
}

const native = chooseScanner();
const scanners = native.scanner === twin ? [twin] : [native.scanner, twin];
console.log(`scanner: ${native.why}; Node ${process.version}, ${process.arch}; GB/s (median)\n`);

const rows: Record<string, Record<string, string>> = {};
for (const [name, body] of Object.entries(BODIES)) {
  const bench = new Bench({ time: TIME_MS, warmupTime: WARM_MS });
  const times = Math.floor(BYTES / body.length); // so that a sample is never too short for the clock
  const add = (task: string, once: () => void): void => {
    bench.add(task, () => {
      for (let time = 0; time < times; time++) once();
    });
  };
  for (const scanner of scanners) add(scanner.name, () => scanAll(scanner, body));
  add('copy', () => void body.copy(copied));
  await bench.run();
  const speeds = new Map(bench.tasks.map((task) => [task.name, speedOf(task.result, body.length * times)]));
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

function speedOf(result: Bench['tasks'][number]['result'], bytes: number): number {
  if (!('latency' in result)) throw new Error('the benchmark did not finish');
  return bytes / result.latency.p50 / 1e6;
}
