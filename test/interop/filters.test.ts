/** The filters that organisations run, on loopback: clamd, rspamd, spamd, opendkim, opendmarc. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Daemon } from '../support/daemons.ts';
import { startDaemon } from '../support/daemons.ts';
import { FakeDns } from '../support/fake_dns.ts';
import { examine, MESSAGE, startFilter } from '../support/filters.ts';
import { openFolder } from '../support/folders.ts';
import { INTEROP_SKIPPED } from '../support/programs.ts';
import { authenticate, dkimOf } from '../unit/facts/mail.ts';

/** The test string of the anti-virus trade, in two halves, so that this file does not frighten anybody. */
const EICAR = `${'X5O!P%@AP[4\\PZX54(P^)7CC)7}$'}${'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'}`;
const ROOT = process.getuid?.() === 0;
/** Servers that give up their rights must be able to read and write there. */
const folderFor = (name: string): string => {
  const folder = openFolder(name);
  chmodSync(folder, 0o777);
  return folder;
};
const base64Lines = (bytes: Buffer): string => bytes.toString('base64').replace(/.{76}/g, '$&\r\n');

function attached(bytes: Buffer): string {
  const head = ['Subject: with an attachment', 'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b', ''];
  const part = ['--b', 'Content-Type: application/octet-stream', 'Content-Transfer-Encoding: base64', ''];
  return [...head, ...part, base64Lines(bytes), '--b--', ''].join('\r\n');
}

describe('clamd', { skip: INTEROP_SKIPPED }, () => {
  let daemon: Daemon;
  before(async () => {
    const folder = folderFor('clamd');
    const database = join(folder, 'db');
    mkdirSync(database, { mode: 0o755 });
    writeFileSync(join(database, 'test.ndb'), `Postern.Test.Eicar:0:*:${Buffer.from(EICAR).toString('hex')}\n`);
    daemon = await startDaemon({
      name: 'clamd',
      prepare: (port) => {
        const file = join(folder, 'clamd.conf');
        const limits = ['SelfCheck 0', 'StreamMaxLength 30M', 'MaxScanSize 100M', 'MaxFileSize 100M'];
        const place = [`DatabaseDirectory ${database}`, `TCPSocket ${port}`, 'TCPAddr 127.0.0.1', 'Foreground yes'];
        writeFileSync(file, [...place, ...limits, ...(ROOT ? ['User root'] : []), ''].join('\n'));
        return ['-c', file];
      },
    });
  });
  after(() => daemon?.stop());
  const filter = () => startFilter({ type: 'clamd', at: `tcp://127.0.0.1:${daemon.port}` }).filter;

  test('finds the test string, also in an attachment', async () => {
    for (const content of [`${MESSAGE}${EICAR}\r\n`, attached(Buffer.from(EICAR))]) {
      const findings = await examine(filter(), content);
      assert.equal(findings.verdict, 'reject');
      assert.deepEqual(findings.names, ['Postern.Test.Eicar.UNOFFICIAL']);
      assert.match(findings.reply!.text, /Postern\.Test\.Eicar/);
    }
  });

  test('lets a clean message of 20 MB pass', async () => {
    const findings = await examine(filter(), attached(Buffer.alloc(15_000_000, 'a clean message ')));
    assert.deepEqual(findings, { verdict: 'accept', headers: [] });
  });

  test('has a size limit, and what is beyond it is not examined', async () => {
    const { verdict, failure } = await examine(filter(), Buffer.alloc(40_000_000, 'too large a message\r\n'));
    assert.equal(verdict, 'defer');
    assert.equal(failure?.reason, 'error');
    assert.match(failure!.detail, /size.limit/);
  });
});

describe('rspamd', { skip: INTEROP_SKIPPED }, () => {
  let daemon: Daemon;
  let proxyPort = 0;
  before(async () => {
    const folder = folderFor('rspamd');
    writeFileSync(
      join(folder, 'rules.lua'),
      `local function subject_has(word)
         return function(task) return string.find(task:get_header('Subject') or '', word) ~= nil end
       end
       rspamd_config.TEST_REJECT = { callback = subject_has('REJECTME'), score = 20 }
       rspamd_config.TEST_TAG = { callback = subject_has('TAGME'), score = 7 }
       rspamd_config.TEST_ENVELOPE = { score = 0.1, callback = function(task)
         return task:get_from_ip():to_string() == '192.0.2.7' and task:get_helo() == 'client.example'
           and task:get_from('smtp')[1].addr == 'alice@client.example' and #task:get_recipients('smtp') == 2
       end }
       rspamd_config.TEST_HEADERS = { score = 0.1, callback = function(task)
         task:set_milter_reply({ add_headers = { ['X-Rspamd-Test'] = 'seen' }, remove_headers = { ['X-Folded'] = 0 } })
         return true
       end }\n`,
    );
    daemon = await startDaemon({
      name: 'rspamd',
      msMax: 90_000, // its first start compiles its tables
      prepare: (port) => {
        proxyPort = port + 1;
        const file = join(folder, 'rspamd.conf');
        writeFileSync(file, rspamdConfiguration(folder, port, proxyPort));
        return [...(ROOT ? ['-u', 'nobody', '-g', 'nogroup'] : []), '-f', '-c', file];
      },
    });
  });
  after(() => daemon?.stop());
  const start = () => startFilter({ type: 'rspamd', at: `http://127.0.0.1:${daemon.port}` }).filter;

  test('is told of the envelope, and its action, score and header changes are taken', async () => {
    const filter = start();
    const findings = await examine(filter);
    assert.equal(findings.verdict, 'accept');
    assert.ok(findings.names!.includes('TEST_ENVELOPE'), findings.names!.join());
    assert.deepEqual(findings.headers, [
      { tag: 'remove', name: 'X-Folded', nth: 'all' },
      { tag: 'add', before: 'end', name: 'X-Rspamd-Test', value: ' seen' },
    ]);
    const tagged = await examine(filter, MESSAGE.replace('a test', 'TAGME'));
    assert.equal(tagged.action, 'add_header');
    assert.ok(tagged.headers.some((change) => change.tag === 'add' && change.name === 'X-Spam'));
    const rejected = await examine(filter, MESSAGE.replace('a test', 'REJECTME'));
    assert.equal(rejected.verdict, 'reject');
    assert.equal(rejected.reply?.code, 550);
    assert.ok(rejected.score! >= 20);
    await filter.close();
  });

  test('reads a large message as it streams', async () => {
    const filter = start();
    const findings = await examine(filter, attached(Buffer.alloc(5_000_000, 'a clean message ')));
    assert.equal(findings.failure, undefined);
    await filter.close();
  });

  test('as a milter: headers, a rejection, message after message', async () => {
    const { filter } = startFilter({ type: 'milter', at: `tcp://127.0.0.1:${proxyPort}` });
    for (let message = 0; message < 3; message++) {
      const findings = await examine(filter);
      assert.equal(findings.failure, undefined);
      assert.equal(findings.verdict, 'accept');
      assert.ok(findings.headers.some((change) => change.name === 'X-Rspamd-Test'));
      assert.ok(findings.headers.some((change) => change.tag === 'remove' && change.name === 'X-Folded'));
    }
    const rejected = await examine(filter, MESSAGE.replace('a test', 'REJECTME'));
    assert.equal(rejected.verdict, 'reject');
    await filter.close();
  });
});

const rspamdConfiguration = (folder: string, port: number, proxyPort: number): string => `
options {
  filters = ""; pidfile = false;
  tempdir = "${folder}"; hs_cache_dir = "${folder}"; cache_file = "${folder}/symbols.cache";
  control_socket = "${folder}/control.sock mode=0600"; rrd = ""; stats_file = "${folder}/stats.ucl";
  dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "warning"; }
worker "normal" { bind_socket = "127.0.0.1:${port}"; mime = true; count = 1; }
worker "rspamd_proxy" {
  bind_socket = "127.0.0.1:${proxyPort}"; milter = yes; count = 1; timeout = 10s;
  upstream "local" { default = yes; self_scan = yes; }
}
actions { reject = 15; add_header = 6; greylist = 4; }
lua = "${folder}/rules.lua";
`;

describe('spamd', { skip: INTEROP_SKIPPED }, () => {
  let daemon: Daemon;
  before(async () => {
    const folder = folderFor('spamd');
    writeFileSync(join(folder, 'init.pre'), 'loadplugin Mail::SpamAssassin::Plugin::Check\n');
    const rules = [
      'header TEST_SPAM Subject =~ /SPAMTEST/',
      'score TEST_SPAM 12',
      'body TEST_BODY /A line/',
      'score TEST_BODY 0.5',
    ];
    writeFileSync(join(folder, 'local.cf'), [...rules, ''].join('\n'));
    daemon = await startDaemon({
      name: 'spamd',
      prepare: (port) => [
        ...['-L', '-C', folder, `--siteconfigpath=${folder}`, '-x', '-m', '2', '--min-children=1'],
        ...['-p', String(port), '-i', '127.0.0.1', '-s', 'stderr', '-r', join(folder, 'pid'), '-H', folder],
        ...(ROOT ? ['-u', 'nobody'] : []),
      ],
    });
  });
  after(() => daemon?.stop());

  test('scores without knowing the length beforehand; spam is tagged, or rejected', async () => {
    const at = `tcp://127.0.0.1:${daemon.port}`;
    const { filter } = startFilter({ type: 'spamd', at });
    const clean = await examine(filter);
    assert.deepEqual([clean.verdict, clean.score, clean.names], ['accept', 0.5, ['TEST_BODY']]);
    const spam = await examine(filter, MESSAGE.replace('a test', 'SPAMTEST'));
    assert.deepEqual([spam.verdict, spam.score], ['accept', 12.5]);
    assert.deepEqual([...spam.names!].sort(), ['TEST_BODY', 'TEST_SPAM']);
    assert.ok(spam.headers.some((change) => change.name === 'X-Spam-Flag'));
    const strict = startFilter({ type: 'spamd', at, onSpam: 'reject' });
    const rejected = await examine(strict.filter, MESSAGE.replace('a test', 'SPAMTEST'));
    assert.deepEqual([rejected.verdict, rejected.reply?.code], ['reject', 550]);
  });

  test('leaves large messages alone, as its configuration says', async () => {
    const { filter } = startFilter({ type: 'spamd', at: `tcp://127.0.0.1:${daemon.port}` });
    const findings = await examine(filter, Buffer.alloc(2_000_000, 'a long message\r\n'));
    assert.deepEqual(findings, { verdict: 'accept', headers: [], action: 'too-large' });
  });
});

describe('opendkim, as a milter', { skip: INTEROP_SKIPPED }, () => {
  let daemon: Daemon;
  let record = '';
  before(async () => {
    const folder = folderFor('opendkim');
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    writeFileSync(join(folder, 'key.pem'), privateKey, { mode: 0o644 });
    record = `v=DKIM1; k=rsa; p=${publicKey.toString('base64')}`;
    daemon = await startDaemon({
      name: 'opendkim',
      prepare: (port) => {
        const file = join(folder, 'opendkim.conf');
        const key = ['Domain client.example', 'Selector s', `KeyFile ${folder}/key.pem`, 'RequireSafeKeys no'];
        const place = ['Mode s', `Socket inet:${port}@127.0.0.1`, 'Syslog no', `PidFile ${folder}/pid`];
        const rest = ['InternalHosts 192.0.2.0/24', 'Canonicalization relaxed/relaxed', `TemporaryDirectory ${folder}`];
        writeFileSync(file, [...place, ...key, ...rest, ''].join('\n'));
        return ['-f', '-x', file];
      },
    });
  });
  after(() => daemon?.stop());

  test('signs what comes from inside, message after message, and its signatures hold', async () => {
    const dns = new FakeDns({ 'TXT s._domainkey.client.example': [record] });
    const { filter } = startFilter({ type: 'milter', at: `tcp://127.0.0.1:${daemon.port}` });
    for (let message = 0; message < 3; message++) {
      const findings = await examine(filter);
      assert.deepEqual([findings.verdict, findings.failure], ['accept', undefined]);
      const signature = findings.headers.find((change) => change.name === 'DKIM-Signature');
      assert.ok(signature?.tag === 'add' && signature.before !== 'end');
      assert.match(signature.value, /^ v=1; a=rsa-sha256; c=relaxed\/relaxed; d=client\.example; s=s;\r\n/);
      const outgoing = `DKIM-Signature:${signature.value}\r\n${MESSAGE}`;
      assert.deepEqual(dkimOf(await authenticate(outgoing, dns)), ['pass'], outgoing);
      const changed = outgoing.replace(/\r\n\r\n([^\r\n])/, '\r\n\r\nx$1');
      assert.deepEqual(dkimOf(await authenticate(changed, dns)), ['fail: body'], changed);
    }
    await filter.close();
  });
});

describe('opendmarc, as a milter', { skip: INTEROP_SKIPPED }, () => {
  let daemon: Daemon;
  before(async () => {
    const folder = folderFor('opendmarc');
    daemon = await startDaemon({
      name: 'opendmarc',
      prepare: (port) => {
        const file = join(folder, 'opendmarc.conf');
        const place = [
          `Socket inet:${port}@127.0.0.1`,
          'Syslog no',
          `PidFile ${folder}/pid`,
          'AuthservID mx.postern.test',
        ];
        const rules = ['RejectFailures false', 'RequiredHeaders true', 'DNSTimeout 1'];
        const list = ['PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat'];
        writeFileSync(file, [...place, ...rules, ...list, ''].join('\n'));
        return ['-f', '-c', file];
      },
    });
  });
  after(() => daemon?.stop());

  test('gives its result, or its rejection, over a whole message', async () => {
    const { filter } = startFilter({ type: 'milter', at: `tcp://127.0.0.1:${daemon.port}` });
    const dated = `Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@client.example>\r\n${MESSAGE}`;
    const whole = await examine(filter, dated);
    assert.equal(whole.failure, undefined);
    const [results] = whole.headers;
    assert.ok(results?.tag === 'add' && results.name === 'Authentication-Results');
    assert.match(results.value, /^ mx\.postern\.test; dmarc=\w+ .*header\.from=client\.example$/);
    const twice = await examine(filter, `From: mallory@other.example\r\n${dated}`);
    assert.equal(twice.failure, undefined);
    assert.deepEqual([twice.verdict, twice.reply?.code], ['reject', 550], 'two From fields');
    await filter.close();
  });
});
