/**
 * Question: what does it cost to verify a signed message while it streams, beside what mailauth takes for it?
 *
 * Bound by the processor, so it is CPU time that is compared, of both in this process and one after the other. Keys
 * and conclusions are known, as for the second message of a sender: the arithmetic of RSA is 0.03 ms and SHA-256 0.6
 * ms a megabyte; it would surprise us if all the rest were more than both, or if a megabyte cost more than a tenth of
 * mailauth's.
 */
import { generateKeyPairSync } from 'node:crypto';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { Authenticator } from '../../src/facts/authentication.ts';
import type { Dns, DnsAnswer } from '../../src/net/dns.ts';
import { chooseScanner } from '../../src/scanner/index.ts';
import { RELAXED, RELAXED_SLOTS } from '../../src/scanner/relaxer.ts';
import { relaxerTwin } from '../../src/scanner/relaxer_twin.ts';

const CHUNK_BYTES = 65_536;
const CPU_MS_MIN = 400;
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = `v=DKIM1; k=rsa; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
const TEXTS: Readonly<Record<string, string>> = {
  's._domainkey.example.org': key,
  'example.org': 'v=spf1 ip4:192.0.2.0/24 -all',
  '_dmarc.example.org': 'v=DMARC1; p=reject',
};
const dns: Dns = {
  async query(name, type) {
    const text = type === 'TXT' ? TEXTS[name] : undefined;
    const common = { authentic: false, ttlSeconds: 3600 } as const;
    const answer =
      text === undefined ? { tag: 'none', why: 'nodata', ...common } : { tag: 'records', records: [text], ...common };
    return answer as DnsAnswer<typeof type>;
  },
};

const HEADER = [
  'From: Alice <alice@example.org>',
  'To: Bob <bob@example.com>',
  'Subject: a message of usual shape',
  'Date: Tue, 24 Nov 2026 12:00:00 +0000',
  'Message-ID: <1@example.org>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  '',
  '',
].join('\r\n');
const LINE = 'A line of mail, as people write it, with  two blanks now and then. \r\n';
const client = { address: '192.0.2.1', helo: 'mail.example.org', sender: 'alice@example.org' };
const signal = new AbortController().signal;
const { relaxer, why } = chooseScanner();

async function signedMessage(bytes: number): Promise<Buffer> {
  const message = HEADER + LINE.repeat(Math.ceil(bytes / LINE.length));
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const { signatures } = await dkimSign(message, {
    signatureData: [{ signingDomain: 'example.org', selector: 's', privateKey: pem }],
  } as unknown as Parameters<typeof dkimSign>[1]);
  return Buffer.from(signatures + message);
}

function oursOn(message: Buffer): () => Promise<void> {
  const authenticator = new Authenticator(dns, relaxer, 'mx.example.com');
  const bodyAt = message.indexOf('\r\n\r\n') + 4;
  return async () => {
    const authentication = authenticator.begin(authenticator.spf(client, signal), signal);
    authentication.headers(message.subarray(0, bodyAt), true);
    for (let at = bodyAt; at < message.length; at += CHUNK_BYTES)
      authentication.write(message, at, Math.min(message.length, at + CHUNK_BYTES));
    const { spf, dkim, dmarc } = await authentication.end();
    if (spf.result !== 'pass' || dkim[0]?.result !== 'pass' || dmarc.result !== 'pass') throw new Error('not verified');
  };
}

function theirsOn(message: Buffer): () => Promise<void> {
  const resolver = async (name: string) => [[TEXTS[name] ?? '']];
  return async () => {
    const { results } = await dkimVerify(message, { resolver } as unknown as Parameters<typeof dkimVerify>[1]);
    if (results[0]?.status.result !== 'pass') throw new Error('not verified');
  };
}

/** CPU milliseconds of one call, over as many as fill the time. */
async function cpuMs(once: () => Promise<void>): Promise<number> {
  for (let time = 0; time < 20; time++) await once();
  const begun = process.cpuUsage();
  const spent = (): number => {
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / 1000;
  };
  let times = 0;
  while (spent() < CPU_MS_MIN) {
    await once();
    times++;
  }
  return spent() / times;
}

function relaxedSpeed(which: typeof relaxer, line: string): string {
  const body = Buffer.from(line.repeat(Math.ceil(CHUNK_BYTES / line.length)).slice(0, CHUNK_BYTES));
  const state = new Int32Array(RELAXED_SLOTS);
  const out = new Uint8Array(CHUNK_BYTES + 64);
  const begun = process.cpuUsage();
  let bytes = 0;
  for (let spent = 0; spent < 200_000; ) {
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
for (const [name, bytes] of [
  ['5 KB', 5_000],
  ['100 KB', 100_000],
  ['1 MB', 1_000_000],
] as const) {
  const message = await signedMessage(bytes);
  const ours = await cpuMs(oursOn(message));
  const theirs = await cpuMs(theirsOn(message));
  rows[name] = { ours: ours.toFixed(3), mailauth: theirs.toFixed(3), 'ours / mailauth': (ours / theirs).toFixed(3) };
}
console.table(rows);
