/** `postern check` as a person has it: what it says is what a session is told, and it changes nothing. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CheckReport } from '../../src/relay/check.ts';
import { within } from '../support/deadline.ts';
import type { DnsServer } from '../support/dns_server.ts';
import { startDnsServer } from '../support/dns_server.ts';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const COMMAND = fileURLToPath(new URL('../../src/postern.ts', import.meta.url));
const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

async function run(environment: Readonly<Record<string, string>>, args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(process.execPath, [COMMAND, 'check', ...args], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  child.stdin.on('error', () => {}); // it may have seen enough
  child.stdin.end(input);
  const [code] = (await within(() => `postern check ${args.join(' ')}\n${err}`, once(child, 'close'))) as [
    number | null,
  ];
  return { code, out, err };
}

const folder = temporaryFolder('check');
const fileOf = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const ENVIRONMENT = {
  POSTERN_DOMAINS: DOMAIN,
  POSTERN_INSIDE_ROUTE: 'smtp://127.0.0.1:2',
  POSTERN_HOSTNAME: 'mx.example.org',
  POSTERN_SPOOL_DIR: join(folder, 'spool'),
  POSTERN_DNS_SERVERS: '127.0.0.1:9',
};

const CLIENT = ['--ip', '192.0.2.7', '--helo', 'mail.example.net', '--from', 'a@example.net'];
const BOB = `bob@${DOMAIN}`;

describe('the example in README', () => {
  let dns: DnsServer;
  before(async () => {
    dns = await startDnsServer({
      zone: {
        'example.net.dbl.example.net': { A: ['127.0.0.2'] },
        'example.net': { TXT: ['v=spf1 ip4:203.0.113.1 -all'] },
      },
    });
  });
  after(() => dns.close());

  test('is what the program prints', async () => {
    const [, example = ''] = /<!-- check -->\n```text\n([\s\S]*?)```\n<!-- \/check -->/.exec(README) ?? [];
    const [command = '', ...expected] = example.split('\n');
    const [, args = ''] = /^\$ npx postern check (.*)$/.exec(command) ?? [];
    const policy = fileOf(
      'readme.yaml',
      `
rules:
  - { id: friends, when: { client.address: { in: friends } }, do: { accept: true } }
  - { id: watch, when: { spf: fail, side: outside }, do: { reject: "Not yours to send" }, dryRun: true }
lists: { friends: { entries: [198.51.100.0/24] } }
dnsLists: [ { zone: dbl.example.net, weight: 5, of: sender } ]
authentication: { privateClients: true }
`,
    );
    const environment = {
      ...ENVIRONMENT,
      POSTERN_DOMAINS: 'example.org',
      POSTERN_CONFIG: policy,
      POSTERN_DNS_SERVERS: `${dns.host}:${dns.port}`,
    };
    const { code, out, err } = await run(environment, args.split(' '));
    assert.equal(code, 1, err);
    const timeless = (text: string): string => text.replace(/ +\d+\.\d ms/g, ' (time)');
    assert.equal(timeless(out), timeless(expected.join('\n')));
  });
});

const POLICY = `
rules:
  - { id: bad-helo, when: { helo: { like: "*.spam.example" } }, do: { reject: "Not you" } }
  - { id: friend, when: { from: friend@client.example }, do: { accept: true } }
  - { id: slow, when: { from: slow@client.example }, do: { tarpit: 1 } }
  - { id: bad-sender, when: { from.domain: bad.example }, do: { defer: "Not now" } }
  - { id: gone, when: { rcpt: { like: "gone@*" } }, do: { reject: { text: "Gone", status: 5.1.1 } } }
  - { id: mark, when: { side: outside }, do: { tag: { header: X-Seen, value: "yes" } } }
  - { id: lottery, when: { header.subject: { like: "*lottery*" } }, do: { reject: "No luck" } }
  - { id: away, when: { from: away@client.example }, do: { discard: true } }
  - { id: keep, when: { mime.extensions: [exe] }, do: { hold: true } }
  - { id: elsewhere, when: { rcpt: { like: "list@*" } }, do: { route: "smtp://192.0.2.25:25" } }
  - { id: never, when: { client.country: XX }, do: { reject: "No" } }
rewrite: { addresses: [ { inside: "alice@${DOMAIN}", outside: "a.liddell@${DOMAIN}" } ] }
`;
const EXE = 'Content-Type: application/x-program; name=a.exe\r\n';

type Case = {
  readonly title: string;
  readonly helo?: string;
  readonly from?: string;
  readonly to?: readonly string[];
  readonly text?: string;
  readonly verdict: CheckReport['verdict'];
};

const CASES: readonly Case[] = [
  { title: 'a name that a rule refuses', helo: 'a.spam.example', verdict: 'refused' },
  { title: 'a sender that is deferred', from: 'a@bad.example', verdict: 'deferred' },
  { title: 'a domain that is not ours', to: ['bob@elsewhere.example'], verdict: 'refused' },
  { title: 'one of two recipients', to: [`gone@${DOMAIN}`, BOB], text: 'Subject: x\r\n\r\n', verdict: 'accepted' },
  { title: 'a subject', text: 'Subject: =?utf-8?q?l=6Fttery?=\r\n\r\n', verdict: 'refused' },
  {
    title: 'a subject of a friend',
    from: 'friend@client.example',
    text: 'Subject: lottery\r\n\r\n',
    verdict: 'accepted',
  },
  { title: 'what is dropped', from: 'away@client.example', text: 'Subject: x\r\n\r\n', verdict: 'discarded' },
  { title: 'what is held', text: `${EXE}\r\nx`, verdict: 'held' },
  { title: 'a loop', text: `${'Received: x\r\n'.repeat(101)}\r\n`, verdict: 'refused' },
];

describe('beside a session under the same policy', () => {
  const policy = fileOf('policy.yaml', POLICY);
  const clients: SmtpClient[] = [];
  let peer: SmtpPeer;
  let postern: PosternProcess;
  before(async () => {
    peer = await SmtpPeer.start();
    postern = await startPostern({ INSIDE_ROUTE: peer.url, CONFIG: policy, HOSTNAME: 'mx.example.org' });
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await postern?.stop();
    await peer?.close();
  });

  for (const { title, helo = 'a.example', from = 'a@client.example', to = [BOB], text, verdict } of CASES) {
    test(`${title}: the client is told the same`, async () => {
      const client = await SmtpClient.connect(postern.outside);
      clients.push(client);
      const told = [(await client.expect(220)).text];
      for (const line of [`EHLO ${helo}`, `MAIL FROM:<${from}>`, ...to.map((each) => `RCPT TO:<${each}>`)]) {
        await client.send(`${line}\r\n`);
        const reply = await client.reply();
        told.push(reply.text);
        if (reply.code >= 400 && !line.startsWith('RCPT')) break;
      }
      if (text !== undefined) {
        await client.command('DATA', 354);
        await client.send(`${text}\r\n.\r\n`);
        told.push((await client.reply()).text);
      }
      const { code, out, err } = await run(
        { ...ENVIRONMENT, POSTERN_CONFIG: policy },
        [
          ...['--ip', '127.0.0.1', '--helo', helo, '--from', from, ...to.flatMap((each) => ['--to', each]), '--json'],
          ...(text === undefined ? [] : ['-']),
        ],
        `${text}\r\n`,
      );
      const report = JSON.parse(out) as CheckReport;
      const said = report.stages.map(({ reply }) => reply.join('\n')).filter((each) => each !== '');
      const anyId = (line: string): string => line.replace(/queued as \S+/, 'queued as ID');
      assert.deepEqual(said.map(anyId), told.map(anyId), err);
      assert.equal(report.verdict, verdict);
      assert.equal(code, told.some((line) => /^[45]/.test(line)) ? 1 : 0);
    });
  }

  test('what becomes of the header and the envelope is what arrives', async () => {
    const text = 'X-MS-Exchange-Organization-SCL: 1\r\nTo: a.liddell@postern.test\r\nSubject: x\r\n\r\nText\r\n';
    const to = `a.liddell@${DOMAIN}`;
    const client = await SmtpClient.greeted(postern.outside);
    clients.push(client);
    await client.deliver('a@client.example', [to], text);
    const arrived = await peer.received('it', ({ recipients }) => recipients.includes(`alice@${DOMAIN}`));
    const { out, code } = await run(
      { ...ENVIRONMENT, POSTERN_CONFIG: policy },
      ['--ip', '127.0.0.1', '--helo', 'a.example', '--from', 'a@client.example', '--to', to, '--json', '-'],
      text.replaceAll('\r\n', '\n'),
    );
    assert.equal(code, 0);
    const { changes, leftOut } = JSON.parse(out) as CheckReport;
    assert.deepEqual(changes!.recipients, [{ address: `alice@${DOMAIN}`, route: null }]);
    assert.ok(changes!.removed.includes('X-MS-Exchange-Organization-SCL: 1'), out);
    for (const field of changes!.removed) assert.ok(!arrived.content.includes(`${field}\r\n`), field);
    const names = (fields: string) => fields.replace(/^(Received:)[\s\S]*/, '$1');
    for (const field of changes!.added) assert.ok(arrived.content.includes(names(field)), field);
    assert.ok(leftOut.includes('never'));
  });

  test('where a rule sends it is told, for whom it does', async () => {
    const { out, code } = await run(
      { ...ENVIRONMENT, POSTERN_CONFIG: policy },
      [
        '--ip',
        '127.0.0.1',
        '--helo',
        'a.example',
        '--from',
        'a@client.example',
        '--to',
        `list@${DOMAIN}`,
        '--to',
        BOB,
        '-',
      ],
      'Subject: x\n\n',
    );
    assert.equal(code, 0, out);
    assert.match(out, new RegExp(`^to {7}list@${DOMAIN} by smtp://192\\.0\\.2\\.25:25\nto {7}${BOB}\n`, 'm'));
  });

  test('a wait is told, and not waited for', async () => {
    const { out } = await run({ ...ENVIRONMENT, POSTERN_CONFIG: policy }, [
      ...['--ip', '127.0.0.1', '--helo', 'a.example', '--from', 'slow@client.example'],
    ]);
    assert.match(out, /^mail$[\s\S]*^ {2}rule {3}slow +holds {2}tarpit .*\n[\s\S]*^ {2}wait {3}1 s before the reply$/m);
  });
});

describe('what else it is asked', () => {
  test('a greylist waits each time: a visit is not noted, and nothing is written', async () => {
    const policy = fileOf('greylist.yaml', 'greylist: { waitSeconds: 1 }');
    const environment = { ...ENVIRONMENT, POSTERN_CONFIG: policy };
    for (let time = 0; time < 2; time++) {
      const { out, code } = await run(environment, [...CLIENT, '--to', BOB]);
      assert.equal(code, 1);
      assert.match(out, /^verdict {2}deferred$/m);
      assert.match(out, /^note .*greylist: as the spool folder has it/m);
    }
    assert.ok(!readdirSync(folder).includes('spool'));
  });

  test('filters are asked for real, or left out', async () => {
    const seen: string[] = [];
    const hook = http.createServer(async (request, response) => {
      for await (const part of request) seen.push(String(part));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ verdict: 'reject', reply: { text: 'Not this one' } }));
    });
    hook.listen(0, '127.0.0.1');
    await once(hook, 'listening');
    const { port } = hook.address() as AddressInfo;
    const filter = `{ name: hook, type: http, at: "http://127.0.0.1:${port}/", onFailure: closed, side: outside }`;
    const environment = { ...ENVIRONMENT, POSTERN_CONFIG: fileOf('filters.yaml', `filters: [ ${filter} ]`) };
    const message = fileOf('message.eml', 'Subject: hello\n\nText\n');
    const asked = await run(environment, [...CLIENT, '--to', BOB, message]);
    assert.equal(asked.code, 1, asked.err);
    assert.match(
      asked.out,
      /^ {2}filter {2}hook +\d+\.\d ms {2}reject +examined\n {2}reply {2}550 5\.7\.1 Not this one \[hook\]$/m,
    );
    assert.match(seen.join(''), /hello/);
    seen.length = 0;
    const left = await run(environment, [...CLIENT, '--to', BOB, '--no-filters', message]);
    assert.equal(left.code, 0, left.err);
    assert.match(left.out, /^note .*filters: left out, and so are rules that need them: hook$/m);
    assert.deepEqual(seen, []);
    hook.close();
  });

  test('a stranger on the inside listener, and an inside client', async () => {
    const stranger = await run(ENVIRONMENT, ['--ip', '192.0.2.7', '--inside']);
    assert.match(stranger.out, /^ {2}reply {2}554 5\.7\.1 This address serves inside clients only$/m);
    assert.equal(stranger.code, 1);
    const inside = await run(ENVIRONMENT, [
      ...['--ip', '127.0.0.1', '--inside', '--helo', 'pc', '--from', `bob@${DOMAIN}`, '--to', 'a@elsewhere.example'],
    ]);
    assert.equal(inside.code, 0, inside.out);
  });

  test('a message beyond the limit is refused, and not read to its end', async () => {
    const environment = { ...ENVIRONMENT, POSTERN_MESSAGE_BYTES_MAX: '65536' };
    const { out, code } = await run(environment, [...CLIENT, '--to', BOB, '-'], 'x\n'.repeat(1_000_000));
    assert.match(out, /^ {2}reply {2}552 5\.3\.4 /m);
    assert.equal(code, 1);
  });

  test('what cannot be asked is said in a line, and ends with its own code', async () => {
    const message = [...CLIENT, '--to', BOB];
    const faults: readonly (readonly [args: readonly string[], code: number, fault: RegExp])[] = [
      [[...message, join(folder, 'nothing.eml')], 4, /^postern: .*nothing\.eml: cannot be read \(ENOENT\)$/m],
      [[...message, folder], 4, /^postern: .*: a folder, not a message$/m],
      [[...CLIENT, '--policy', join(folder, 'nothing.yaml')], 4, /nothing\.yaml: cannot be read \(ENOENT\)$/m],
      [['--ip', '192.0.2.300'], 2, /^postern: --ip: "192\.0\.2\.300" is no IP address$/m],
    ];
    for (const [args, code, fault] of faults) {
      const ended = await run(ENVIRONMENT, args);
      assert.equal(ended.code, code);
      assert.match(ended.err, fault);
      assert.equal(ended.out, '');
    }
    const policy = fileOf('bad.yaml', 'rules: [{ id: a, when: { hello: x }, do: { reject: "No" } }]');
    const bad = await run({ ...ENVIRONMENT, POSTERN_CONFIG: policy }, CLIENT);
    assert.deepEqual([bad.code, bad.out], [4, '']);
    assert.match(bad.err, /bad\.yaml:1: rules\.0\.when\.hello: there is no fact "hello"/);
    const empty = await run({}, CLIENT);
    assert.equal(empty.code, 4);
    assert.match(empty.err, /POSTERN_DOMAINS/);
  });
});
