/**
 * Question: what does it cost to verify a signed message while it streams, beside what mailauth takes for it?
 *
 * Bound by the processor, so it is CPU time that is compared, of both in this process and one after the other. Keys
 * and conclusions are known, as for the second message of a sender: the arithmetic of RSA is 0.03 ms and SHA-256 0.6
 * ms a megabyte; it would surprise us if all the rest were more than both, or if a megabyte cost more than a tenth of
 * mailauth's.
 */

import { chooseScanner } from '../../src/scanner/index.ts';
import { RELAXED, RELAXED_SLOTS } from '../../src/scanner/relaxer.ts';
import { relaxerTwin } from '../../src/scanner/relaxer_twin.ts';
import { SignedMail } from '../load/signed_mail.ts';
import { TIME_MS } from '../measure/micro.ts';
import { BODIES, byMailauth, byPostern, cpuMsOf } from '../measure/verifying.ts';

const CHUNK_BYTES = 65_536;
const CPU_MS_MIN = TIME_MS;
const { relaxer, why } = chooseScanner();

function relaxedSpeed(which: typeof relaxer, line: string): string {
  const body = Buffer.from(line.repeat(Math.ceil(CHUNK_BYTES / line.length)).slice(0, CHUNK_BYTES));
  const state = new Int32Array(RELAXED_SLOTS);
  const out = new Uint8Array(CHUNK_BYTES + 64);
  const begun = process.cpuUsage();
  let bytes = 0;
  for (let spent = 0; spent < TIME_MS * 500; ) {
    for (let at = 0; at < body.length; ) at = which.relax(body, at, body.length, state, out);
    if (state[RELAXED.begun] === 0) throw new Error('the relaxer wrote nothing');
    bytes += body.length;
    const { user, system } = process.cpuUsage(begun);
    spent = user + system;
  }
  const { user, system } = process.cpuUsage(begun);
  return `${(bytes / (user + system) / 1000).toFixed(2)} GB/s`;
}

const LINES = {
  'base64, 76 columns': `${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk'.repeat(2).slice(0, 76)}\r\n`,
  'text lines': 'A line of mail, as people write it.\r\n',
  'indented markup': '\t\t<td class="a">  x </td> \r\n',
  'nothing but runs of blanks': 'a  ',
} as const;
console.log(`\nscanner: ${why}; Node ${process.version}, ${process.arch}; relaxed canonicalisation\n`);
console.table(
  Object.fromEntries(
    Object.entries(LINES).map(([name, line]) => [
      name,
      { serving: relaxedSpeed(relaxer, line), twin: relaxedSpeed(relaxerTwin, line) },
    ]),
  ),
);

console.log('\nSPF, DKIM (RSA-2048, relaxed/relaxed) and DMARC by us; DKIM alone by mailauth; CPU ms a message\n');
const rows: Record<string, Record<string, string>> = {};
const mail = new SignedMail(1);
for (const [name, bytes] of [
  ['5 KB', 5_000],
  ['100 KB', 100_000],
  ['1 MB', 1_000_000],
] as const) {
  for (const [body, make] of Object.entries(BODIES)) {
    const letter = await mail.letter(make(bytes));
    const ours = await cpuMsOf(byPostern(letter, mail.zone), CPU_MS_MIN);
    const theirs = await cpuMsOf(byMailauth(letter, mail.zone), CPU_MS_MIN);
    rows[`${name}, ${body}`] = {
      ours: ours.toFixed(3),
      mailauth: theirs.toFixed(3),
      'ours / mailauth': (ours / theirs).toFixed(3),
    };
  }
}
console.table(rows);
