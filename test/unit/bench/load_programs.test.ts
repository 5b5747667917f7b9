/** The load programs as whoever types them has them: options, their faults, what they print, how they end. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Parsed, parse } from '../../../bench/arguments.ts';
import { PHASES } from '../../../bench/load/lane_owner.ts';
import { isLoopback } from '../../../bench/load/loopback.ts';
import type { SinkStats } from '../../../bench/load/sink.ts';
import { SINK_PROGRAM, sinkOptionsOf } from '../../../bench/load/sink_table.ts';
import type { SourceReport } from '../../../bench/load/source.ts';
import { SOURCE_PROGRAM, sourceOptionsOf } from '../../../bench/load/source_table.ts';
import { within } from '../../support/deadline.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { withSink } from './load_pair.ts';

const words = (line: string): string[] => (line === '' ? [] : line.split(' '));
const faultsOf = (parsed: { readonly tag: string; readonly faults?: readonly string[] }): readonly string[] =>
  parsed.tag === 'faults' ? (parsed.faults ?? []) : [];
const source = (line: string) => parse(SOURCE_PROGRAM, words(line));
const sink = (line: string) => parse(SINK_PROGRAM, words(line));

const mail = temporaryFolder('mail');
writeFileSync(join(mail, '1.eml'), 'Subject: x\n\nx\n');

describe('options that are not right', () => {
  const wrong: readonly (readonly [line: string, fault: RegExp])[] = [
    ['--prot 25', /^--prot is no option; did you mean --port\?/],
    ['--frobnicate', /^--frobnicate is no option \(--help/],
    ['--__proto__ 1', /^--__proto__ is no option/],
    ['--port', /^--port needs a value: --port N/],
    ['--port -1', /^--port needs a value/],
    ['--port 0x50', /^--port "0x50": what is right is a whole number from 1 to 65535/],
    ['--port 65536', /a whole number from 1 to 65535/],
    ['--port 25 --port 26', /^--port is given twice/],
    ['--json=yes', /^--json takes no value/],
    ['25', /^"25": every value belongs to an option/],
    ['--seconds 0', /a number from 0.001 to 86400/],
    ['--rate fast', /a number from/],
    ['--rate 1e9', /a number from/],
    ['--bytes 399', /from 400/],
    ['--sizes 20000', /MEDIAN:SIGMA/],
    ['--sizes 20000:1:5:9', /MEDIAN:SIGMA/],
    ['--sizes 20000:9', /MEDIAN:SIGMA/],
    ['--to u%{x}@example.org', /K is at least 1/],
    ['--to u%{0}@example.org', /K is at least 1/],
    ['--to <a@example.org>', /an address/],
    ['--hello a\x01b', /without control characters/],
    ['--auth CRAM-MD5', /PLAIN or LOGIN/],
    ['--auth PLAIN --user a', /^--auth, --user and --password-file: all of them or none/],
    ['--password-file /dev/null', /all of them or none/],
    ['--password-file /nonexistent', /^--password-file "\/nonexistent": what is right is a file/],
    ['--tls --starttls', /one of them is right/],
    ['--resume', /^--resume needs/],
    ['--ahead', /^--ahead needs --pipelining/],
    ['--ahead --pipelining --bdat', /^--ahead needs --pipelining, and no --bdat/],
    ['--ahead --pipelining --think-ms 1', /who thinks does not send ahead/],
    ['--chunk-bytes 1000', /^--chunk-bytes needs --bdat/],
    ['--bdat --chunk-bytes 127', /from 128/],
    ['--rate 1 --sessions-per-second 1', /one of them is right/],
    ['--rate 1 --think-ms 1', /messages are due when they are due/],
    [`--eml ${mail} --sizes 1000:1`, /one of them is right/],
    [`--eml ${mail} --bytes 1000`, /one of them is right/],
    ['--sizes 1000:1 --bytes 1000', /one of them is right/],
    ['--slow-byte-ms 5', /^--slow-byte-ms needs --slow-share/],
    ['--eml /nonexistent', /^--eml "\/nonexistent": what is right is a folder with \.eml files in it/],
    [`--eml ${temporaryFolder('no-mail')}`, /what is right is a folder with \.eml files in it/],
    ['--sizes 50000000:0', /^--sizes: .* a smaller MAX is right/],
    ['--connections 2 --slow-share 0.5 --misbehaving-share 0.1', /leave no connection/],
    ['--host 192.0.2.1', /^--host 192.0.2.1 is not this machine: --yes-i-may-load-this-host/],
    ['--host mail.example.org', /is not this machine/],
  ];
  for (const [line, fault] of wrong)
    it(`source ${line}`, () => {
      const faults = faultsOf(source(line));
      assert.equal(faults.length, 1, faults.join('\n'));
      assert.match(faults[0] ?? '', fault);
    });

  const wrongOfSink: readonly (readonly [line: string, fault: RegExp])[] = [
    ['--without PIPELINE', /what is right is PIPELINING or SIZE/],
    ['--delay end', /STAGE:MS/],
    ['--delay ende:5', /STAGE is connect, hello/],
    ['--delay end:20-10', /STAGE:MS/],
    ['--delay end:5,end:6', /has end twice/],
    ['--refuse rcpt', /STAGE:CODE/],
    ['--refuse quit:451', /STAGE:CODE/],
    ['--refuse rcpt:250', /STAGE:CODE/],
    ['--refuse rcpt:451:1.1', /STAGE:CODE/],
    ['--refuse rcpt:451:0.6,rcpt:550:0.6', /more than all/],
    ['--tls', /needs --tls-cert/],
    ['--tls-cert /dev/null', /both or neither/],
    ['--tls-cert /nonexistent', /a file that can be read/],
  ];
  for (const [line, fault] of wrongOfSink)
    it(`sink ${line}`, () => assert.match(faultsOf(sink(line))[0] ?? 'none', fault));

  it('are all told at once', () => assert.equal(faultsOf(source('--port x --rate y --frobnicate z')).length, 3));
});

describe('options that are right', () => {
  const valuesOf = <V>(parsed: {
    readonly tag: string;
    readonly values?: V;
    readonly faults?: readonly string[];
  }): V => {
    assert.equal(parsed.tag, 'values', `${parsed.faults}`);
    return parsed.values as V;
  };
  const optionsOf = (line: string) => sourceOptionsOf(valuesOf(source(line)));

  it('a run has an end, whatever is said', () => {
    assert.deepEqual([optionsOf('').messages, optionsOf('').seconds], [1000, 3600]);
    assert.deepEqual([optionsOf('--messages 5').messages, optionsOf('--messages 5').seconds], [5, 3600]);
    assert.deepEqual([optionsOf('--seconds 2').messages, optionsOf('--seconds 2').seconds], [undefined, 2]);
  });

  it('shares are connections, one at least', () => {
    const { connections, slow, misbehaving } = optionsOf('--connections 20 --slow-share 0.01 --misbehaving-share 0.25');
    assert.deepEqual([connections, slow, misbehaving], [14, 1, 5]);
  });

  it('other hosts take load from who may', () => {
    assert.equal(optionsOf('--host mail.example.org --yes-i-may-load-this-host').host, 'mail.example.org');
    for (const host of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1', 'LOCALHOST'])
      assert.ok(isLoopback(host));
    for (const host of ['0.0.0.0', '::', '::ffff:10.0.0.1', '128.0.0.1', '127.0.0.1.example.org', ''])
      assert.equal(isLoopback(host), false);
  });

  it('every option of the source gets where it belongs', () => {
    const folder = temporaryFolder('password');
    writeFileSync(join(folder, 'password'), 'hush\nnot this\n');
    const options = optionsOf(
      '--host localhost --port 25 --local-addresses 127.0.0.1,127.0.0.2 --lmtp --hello h --connections 9 ' +
        '--messages 8 --seconds 7 --sessions-per-second 6.5 --ramp 5 --messages-per-connection 4 --think-ms 3 ' +
        '--silence-seconds 2 --give-up-seconds 1 --pipelining --bdat --chunk-bytes 500 --starttls --resume ' +
        `--auth login --user u --password-file ${folder}/password --from f@x --to t@x --recipients 11 ` +
        '--sizes 2000:1:3000 --slow-share 0.1 --slow-byte-ms 12',
    );
    assert.deepEqual(options, {
      host: 'localhost',
      port: 25,
      localAddresses: ['127.0.0.1', '127.0.0.2'],
      lmtp: true,
      hello: 'h',
      connections: 8,
      messages: 8,
      seconds: 7,
      sessionsPerSecond: 6.5,
      rampSeconds: 5,
      messagesPerConnection: 4,
      thinkMs: 3,
      silenceSecondsMax: 2,
      giveUpSeconds: 1,
      pipelining: true,
      ahead: false,
      bdat: true,
      chunkBytes: 500,
      starttls: true,
      implicitTls: false,
      resumeTls: true,
      auth: { mechanism: 'LOGIN', user: 'u', password: 'hush' },
      from: 'f@x',
      to: 't@x',
      recipients: 11,
      sizes: { medianBytes: 2000, sigma: 1, bytesMax: 3000 },
      slow: 1,
      misbehaving: 0,
      slowByteMs: 12,
    });
    assert.equal(optionsOf(`--eml ${mail}`).emlFolder, mail);
    assert.equal(optionsOf('--bytes 5000').bytes, 5000);
    assert.equal(optionsOf('--pipelining --ahead').ahead, true);
    assert.deepEqual([optionsOf('--rate 2.5').rate, optionsOf('--tls').implicitTls], [2.5, true]);
  });

  it('every option of the sink gets where it belongs', () => {
    const line =
      '--host ::1 --port 0 --hostname h --lmtp --without CHUNKING,dsn --delay end:20,mail:1-5 ' +
      '--refuse rcpt:451:0.25,rcpt:550,end:452:.5'.replace('550', '550:0.1') +
      ' --message-bytes-max 9 --recipients-max 8 --messages-per-connection-max 7 --connections-max 6' +
      ' --store x --checksums y';
    assert.deepEqual(sinkOptionsOf(valuesOf(sink(line))), {
      host: '::1',
      port: 0,
      hostname: 'h',
      lmtp: true,
      without: ['CHUNKING', 'DSN'],
      implicitTls: false,
      delays: { end: 20, mail: [1, 5] },
      refuse: {
        rcpt: [
          { code: 451, share: 0.25 },
          { code: 550, share: 0.1 },
        ],
        end: [{ code: 452, share: 0.5 }],
      },
      messageBytesMax: 9,
      recipientsMax: 8,
      messagesPerConnectionMax: 7,
      connectionsMax: 6,
      messagesMax: 100_000,
      storeFolder: 'x',
      checksumsFile: 'y',
    });
    assert.equal(sinkOptionsOf(valuesOf(sink('--messages-max 5'))).messagesMax, 5);
  });

  it('the help has every option, and its default', () => {
    const helped: readonly [Parsed<typeof SOURCE_PROGRAM.table> | Parsed<typeof SINK_PROGRAM.table>, object][] = [
      [source('--port x --help'), SOURCE_PROGRAM.table],
      [sink('-h'), SINK_PROGRAM.table],
    ];
    for (const [parsed, table] of helped) {
      assert.equal(parsed.tag, 'help');
      const text = parsed.tag === 'help' ? parsed.text : '';
      for (const name of Object.keys(table)) assert.ok(text.includes(`  --${name}`), name);
      assert.match(text, /--port N .*\(default: 2\d\d\d\)/);
      assert.ok(text.split('\n').every((line) => line.length <= 120));
    }
  });
});

type Ended = { readonly code: number | null; readonly output: string; readonly errors: string };

function start(
  program: string,
  args: readonly string[],
): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const path = fileURLToPath(new URL(`../../../bench/load/${program}.ts`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const closed = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, output, errors })));
  return { child, ended: within(program, closed).finally(() => child.kill('SIGKILL')) };
}

describe('the programs', { timeout: 60_000 }, () => {
  it('end with 2 and touch nothing where an option is wrong', async () => {
    const [one, two] = await Promise.all([
      start('source', ['--port', 'x', '--host', '192.0.2.1']).ended,
      start('sink', ['--delay', 'x']).ended,
    ]);
    assert.deepEqual([one.code, two.code, one.output, two.output], [2, 2, '', '']);
    assert.match(one.errors, /^bench:source: --port "x": what is right/);
    assert.match(two.errors, /^bench:sink: --delay "x": what is right/);
  });

  it('end with 2 where something cannot be had', async () => {
    await withSink({}, async ({ port }) => {
      const [key, taken] = await Promise.all([
        start('sink', ['--port', '0', '--tls-cert', '/dev/null', '--tls-key', '/dev/null']).ended,
        start('sink', ['--port', `${port}`]).ended,
      ]);
      assert.deepEqual([key.code, taken.code], [2, 2]);
      assert.match(key.errors, /^bench:sink: .*PEM/);
      assert.match(taken.errors, /EADDRINUSE/);
    });
  });

  it('show progress, and print one line of JSON in the end', async () => {
    const folder = temporaryFolder('programs');
    writeFileSync(join(folder, 'password'), 'hush-hush\n');
    const serving = start('sink', ['--port', '0', '--json', '--seconds', '300', '--refuse', 'end:451:0.1']);
    const port = await new Promise<number>((resolve) =>
      serving.child.stdout?.once('data', (text: string) => resolve((JSON.parse(text) as { port: number }).port)),
    );
    const login = ['--auth', 'PLAIN', '--user', 'u', '--password-file', join(folder, 'password')];
    const run = start('source', ['--port', `${port}`, '--json', '--rate', '100', '--messages', '130', ...login]);
    const { code, output, errors } = await run.ended;
    assert.equal(code, 1); // a tenth has no 250
    assert.match(errors, /^ +1 s +\d+\/s \d+ answered 250, \d+ errors, p99 \d+\.\d ms, \d+ connections$/m);
    assert.equal(`${output}${errors}`.includes('hush'), false);
    assert.equal(output.trimEnd().includes('\n'), false);
    const report = JSON.parse(output) as SourceReport;
    assert.deepEqual([report.attempted, report.acknowledged, report.failed], [130, 117, { 451: 13 }]);
    assert.deepEqual(Object.keys(report.phases), [...PHASES]);
    for (const latency of Object.values(report.phases))
      assert.deepEqual(Object.keys(latency), [
        'count',
        'meanUs',
        'p50Us',
        'p90Us',
        'p99Us',
        'p999Us',
        'p9999Us',
        'maxUs',
      ]);
    serving.child.kill('SIGTERM');
    const served = await serving.ended;
    assert.equal(served.code, 0);
    const stats = JSON.parse(served.output.trimEnd().split('\n').at(-1) ?? '') as SinkStats;
    assert.deepEqual([stats.messages, stats.logins, stats.refusals], [117, 1, { 451: 13 }]);
    assert.equal(stats.runs[0]?.endToEnd.count, 117);
  });

  it('print tables for people', async () => {
    const serving = start('sink', ['--port', '0']);
    const port = await new Promise<string>((resolve) =>
      serving.child.stdout?.once('data', (text: string) => resolve(/:(\d+)\n/.exec(text)?.[1] ?? '')),
    );
    const { code, output, errors } = await start('source', ['--port', port, '--messages', '20', '--quiet']).ended;
    assert.deepEqual([code, errors], [0, '']);
    assert.match(output, /^20 of 20 acknowledged, \d+\/s/);
    assert.match(output, /p99\.9 +p99\.99 +max +count\n/);
    assert.match(output, /^message( +\d+\.\d\d){6} +20$/m);
    serving.child.kill('SIGINT');
    const served = await serving.ended;
    assert.equal(served.code, 0);
    assert.match(served.output, /20 messages, 20 recipients/);
    assert.match(served.output, /from the source to here, ms: p50 [\d.]+ {2}p90/);
  });

  it('end by themselves', async () => {
    const { code, output } = await start('sink', ['--port', '0', '--seconds', '0.1']).ended;
    assert.deepEqual([code, /^listening on 127\.0\.0\.1:\d+\n0 messages/.test(output)], [0, true]);
  });
});
