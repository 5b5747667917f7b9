import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Environment } from '../../../src/config/load.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { Config, OptionKey } from '../../../src/config/options.ts';
import { OPTIONS, variableOf } from '../../../src/config/options.ts';
import { optionsMarkdown, redact } from '../../../src/config/print.ts';
import type { System } from '../../../src/config/system.ts';
import { descriptorsIn, nameserversIn } from '../../../src/config/system.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { CERT_A, KEY_A, KEY_B } from './certificates.ts';

const GIB = 1 << 30;
const SYSTEM: System = {
  hostname: 'Relay.Example',
  cores: 4,
  memoryBytes: 8 * GIB,
  descriptorsMax: 1_000_000,
  nameservers: ['192.0.2.53'],
};
const NEEDED = { POSTERN_DOMAINS: 'example.org', POSTERN_INSIDE_ROUTE: 'smtp://10.0.0.5' };

function configOf(environment: Environment = {}, system: System = SYSTEM): Config {
  const loaded = loadConfig({ ...NEEDED, ...environment }, system);
  assert.ok('config' in loaded, JSON.stringify(loaded));
  return loaded.config;
}

function faultsOf(environment: Environment, system: System = SYSTEM): readonly string[] {
  const loaded = loadConfig({ ...NEEDED, ...environment }, system);
  assert.ok('faults' in loaded, 'it was taken');
  return loaded.faults;
}

/** Texts that each option must refuse. */
const BAD: Readonly<Record<OptionKey, readonly string[]>> = {
  hostname: ['not a name', '-a.example', 'a..b', '192.0.2.1', `${'a'.repeat(64)}.example`, 'a_b.example'],
  outsideListen: [
    '25',
    'localhost:25',
    '1.2.3.4',
    '1.2.3.4:65536',
    '::1:25',
    '[1.2.3.4]:25',
    '010.0.0.1:25',
    '1.2.3.4:25,',
  ],
  insideListen: ['foo', '[fe80::1%eth0]:25'],
  insideNetworks: ['10.0.0.1/8', '10.0.0.0/33', '10.0.0.0/', 'x', '2001:db8::1/64', '10.0.0.0/8/8'],
  insideOnOutside: ['yes', '2', 'true'],
  proxyNetworks: ['10.0.0.1/8', 'haproxy.example'],
  xclientNetworks: ['10.0.0.1/8', 'x'],
  adminListen: ['8025', 'localhost:8025'],
  adminTls: ['on'],
  adminTokenFile: ['a\0b'],
  domains: ['*.example.org', 'exa mple.org', 'a@b.org', 'example.org,,b.org', '1.2.3.4'],
  subdomains: ['on'],
  insideRoute: [
    '10.0.0.5:25',
    'http://h',
    'smtp://',
    'smtp://h/path',
    'smtp://h?tls=maybe',
    'smtp://h:0',
    'smtp://u@h',
    'smtp://h#x',
  ],
  outsideRoute: ['mxx', 'smtp://h:99999', 'mx,smtp://h', 'smtp://u:%zz@h'],
  outsidePort: ['0', '65536', '25.0', '-1', '0x19'],
  allowPrivateMx: ['y'],
  postmaster: ['postmaster', '@example.org', 'a b@example.org', 'a@', 'a@b@-c'],
  dnsServers: ['dns.example', '192.0.2.1:0', '192.0.2.1:53:53'],
  dnsSecondsMax: ['0', '301'],
  config: ['a\0b'],
  spoolDir: ['a\0b'],
  workers: ['0', '257', 'all', '1e1'],
  connectionsMax: ['0', '1000001'],
  memoryBytesMax: ['1', '256M'],
  segmentBytes: ['1048575', '268435457'],
  spoolFreeBytesMin: ['-1', '1GB', '70368744177665'],
  spoolFreeInodesMin: ['-1', '1000000001'],
  queueMessagesMax: ['many', '100000001'],
  memoryResidentBytesMax: ['75%', '17592186044417'],
  shutdownSeconds: ['-1', '3601', '1.5'],
  logLevel: ['trace', 'INFO'],
  clientConnectionsMax: ['0'],
  clientConnectionsPerMinuteMax: ['-1'],
  messageBytesMax: ['65535', '1073741825', '50MB'],
  recipientsMax: ['99', '10001'],
  receivedFieldsMax: ['9', '1001'],
  bareLineEnds: ['keep'],
  sessionMessagesMax: ['0'],
  badCommandsMax: ['0'],
  unknownRecipientsMax: ['0'],
  idleCommandsMax: ['0'],
  greetingDelayMs: ['60001'],
  commandSecondsMax: ['0'],
  dataSecondsMax: ['0'],
  dataBytesPerSecondMin: ['-1'],
  sessionSecondsMax: ['86401'],
  tlsCert: ['a\0b', 'a,'],
  tlsKey: ['a\0b'],
  siteConnectionsMax: ['0'],
  insideConnectionsMax: ['0'],
  connectionIdleSecondsMax: ['301'],
  connectionMessagesMax: ['0'],
  connectionAgeSecondsMax: ['0'],
  connectSecondsMax: ['0'],
  replySecondsMax: ['0'],
  finalReplySecondsMax: ['0'],
  outsideTls: ['yes'],
  insideTls: ['always'],
  retrySeconds: ['60,', '0', '60,x', '60;300', Array.from({ length: 65 }, () => '1').join(',')],
  queueSecondsMax: ['0', '2592001'],
  delayWarningSeconds: ['-1', '2592001'],
  bounceBytesMax: ['1023', '1048577'],
  doubleBounces: ['keep', '1'],
};

for (const [key, texts] of Object.entries(BAD)) {
  test(`${variableOf(key)}: what will not do is refused by name`, () => {
    for (const text of texts) {
      const faults = faultsOf({ [variableOf(key)]: text });
      assert.ok(faults.length > 0 && faults.every((fault) => fault.startsWith(variableOf(key))), `${text}: ${faults}`);
      assert.ok(
        faults.every((fault) => /write|must|leave|has /.test(fault)),
        `says what to write: ${faults}`,
      );
      assert.ok(
        faults.every((fault) => !fault.includes('\n')),
        'one line each',
      );
    }
  });
}

test('all faults are reported at once, the crosswise ones as well', () => {
  const environment = Object.fromEntries(Object.entries(BAD).map(([key, texts]) => [variableOf(key), texts[0]!]));
  const faults = faultsOf({ ...environment, POSTERN_OUTSIDE_LISTN: 'x' });
  for (const key of [...Object.keys(BAD), 'outsideListn'])
    assert.ok(
      faults.some((fault) => fault.startsWith(variableOf(key))),
      key,
    );
  const mixed = loadConfig({ POSTERN_WORKERS: 'x', POSTERN_TLS_CERT: '/nowhere', POSTERN_TLS_KEY: '/nowhere' }, SYSTEM);
  assert.ok('faults' in mixed);
  assert.deepEqual(
    mixed.faults.map((fault) => /^POSTERN_\w+/.exec(fault)?.[0]),
    ['POSTERN_WORKERS', 'POSTERN_DOMAINS', 'POSTERN_INSIDE_ROUTE', 'POSTERN_TLS_CERT', 'POSTERN_TLS_KEY'],
  );
});

test('what is faulty by itself is not reported again as missing or clashing', () => {
  assert.equal(faultsOf({ POSTERN_DOMAINS: '*.example.org' }).length, 1);
  assert.equal(faultsOf({ POSTERN_INSIDE_ROUTE: 'x' }).length, 1);
  assert.equal(faultsOf({ POSTERN_OUTSIDE_LISTEN: 'x', POSTERN_INSIDE_LISTEN: '127.0.0.1:2525' }).length, 1);
});

test('the defaults are those of the contract', () => {
  const config = configOf();
  assert.deepEqual(config.outsideListen, [{ host: '127.0.0.1', port: 2525 }]);
  assert.deepEqual(config.insideListen, [{ host: '127.0.0.1', port: 2526 }]);
  assert.deepEqual(config.adminListen, { host: '127.0.0.1', port: 8025 });
  assert.deepEqual(config.insideNetworks, ['127.0.0.0/8', '::1/128']);
  assert.deepEqual(config.retrySeconds, [60, 300, 900, 1800, 3600, 7200, 14_400]);
  assert.deepEqual(config.insideRoute, [{ protocol: 'smtp', host: '10.0.0.5', port: 25, tls: 'may' }]);
  assert.deepEqual(config.dnsServers, [{ host: '192.0.2.53', port: 53 }]);
  const { hostname, outsideRoute, outsidePort, workers, connectionsMax, spoolDir, messageBytesMax, queueSecondsMax } =
    config;
  assert.deepEqual(
    { hostname, outsideRoute, outsidePort, workers, connectionsMax, spoolDir, messageBytesMax, queueSecondsMax },
    {
      hostname: 'relay.example',
      outsideRoute: 'mx',
      outsidePort: 25,
      workers: 4,
      connectionsMax: 16_000,
      spoolDir: './var/spool',
      messageBytesMax: 52_428_800,
      queueSecondsMax: 432_000,
    },
  );
  assert.equal(config.postmaster, 'postmaster@example.org');
});

test('an empty text is no text, but where it means none', () => {
  const config = configOf({
    POSTERN_WORKERS: ' ',
    POSTERN_LOG_LEVEL: '',
    POSTERN_INSIDE_LISTEN: '',
    POSTERN_ADMIN_LISTEN: '',
  });
  assert.equal(config.workers, 4);
  assert.equal(config.logLevel, 'info');
  assert.deepEqual(config.insideListen, []);
  assert.equal(config.adminListen, null);
});

test('domains and host names come as A-labels in lower case, each once', () => {
  const config = configOf({
    POSTERN_DOMAINS: 'Bücher.Example, xn--bcher-kva.example,EXAMPLE.org',
    POSTERN_HOSTNAME: 'MX.Bücher.example',
  });
  assert.deepEqual(config.domains, ['xn--bcher-kva.example', 'example.org']);
  assert.equal(config.hostname, 'mx.xn--bcher-kva.example');
  assert.equal(config.postmaster, 'postmaster@xn--bcher-kva.example');
});

test('networks and addresses come in one spelling', () => {
  const config = configOf({
    POSTERN_INSIDE_NETWORKS: '10.0.0.0/8, 2001:DB8:0:0::/32,192.0.2.1,::1',
    POSTERN_OUTSIDE_LISTEN: '[2001:0DB8::0001]:25',
    POSTERN_DNS_SERVERS: '::1,127.0.0.1:5353,[2001:db8::53]:5300',
  });
  assert.deepEqual(config.insideNetworks, ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1/32', '::1/128']);
  assert.deepEqual(config.outsideListen, [{ host: '2001:db8::1', port: 25 }]);
  assert.deepEqual(config.dnsServers, [
    { host: '::1', port: 53 },
    { host: '127.0.0.1', port: 5353 },
    { host: '2001:db8::53', port: 5300 },
  ]);
});

test('routes: protocols, ports, names, brackets, TLS, credentials', () => {
  const { insideRoute, outsideRoute } = configOf({
    POSTERN_INSIDE_ROUTE: 'lmtp://[2001:DB8::5], smtp://Mail.Bücher.example:2500?tls=never',
    POSTERN_OUTSIDE_ROUTE:
      'smtp://us%40er:p%3Aa%2Cs%25s@smart.example:587,smtp://a:b@192.0.2.9?tls=never,smtp://c:d@h?tls=may',
    POSTERN_INSIDE_TLS: 'require',
  });
  assert.deepEqual(insideRoute, [
    { protocol: 'lmtp', host: '2001:db8::5', port: 24, tls: 'require' },
    { protocol: 'smtp', host: 'mail.xn--bcher-kva.example', port: 2500, tls: 'never' },
  ]);
  assert.deepEqual(outsideRoute, [
    {
      protocol: 'smtp',
      host: 'smart.example',
      port: 587,
      tls: 'require',
      credentials: { user: 'us@er', password: 'p:a,s%s' },
    },
    { protocol: 'smtp', host: '192.0.2.9', port: 25, tls: 'never', credentials: { user: 'a', password: 'b' } },
    { protocol: 'smtp', host: 'h', port: 25, tls: 'require', credentials: { user: 'c', password: 'd' } },
  ]);
});

test('no password is ever shown, in faults or in the log', () => {
  for (const text of [
    'smtp://u:hunter2@h:99999',
    'smpt://u:hunter2@h',
    'smtp://u:hun@ter2:hunter2@h/x',
    'hunter2',
    'smtp://u:hunter2@h,hunter2',
  ])
    for (const variable of ['POSTERN_OUTSIDE_ROUTE', 'POSTERN_INSIDE_ROUTE', 'POSTERN_OUTSIDE_ROTE'])
      assert.ok(
        !faultsOf({ [variable]: text })
          .join()
          .includes('hunter2'),
        text,
      );
  const config = configOf({ POSTERN_OUTSIDE_ROUTE: 'smtp://someone:hunter2@h' });
  const printed = JSON.stringify(redact(config));
  assert.ok(!printed.includes('hunter2') && !printed.includes('someone'));
  assert.ok(printed.includes('"host":"h"'));
});

test('an unknown variable is refused, with what may have been meant', () => {
  assert.deepEqual(faultsOf({ POSTERN_OUTSIDE_LISTN: 'secret' }), [
    'POSTERN_OUTSIDE_LISTN: no such option; did you mean POSTERN_OUTSIDE_LISTEN?',
  ]);
  assert.deepEqual(faultsOf({ POSTERN_XYZZY_PLUGH: '' }), ['POSTERN_XYZZY_PLUGH: no such option; leave it out']);
  assert.equal(configOf({ POSTER_X: '1', PATH: '/bin' }).workers, 4);
});

test('long values are cut in faults, line ends escaped', () => {
  const [fault] = faultsOf({ POSTERN_WORKERS: `1\n${'9'.repeat(5000)}` });
  assert.ok(fault!.length < 250 && !fault!.includes('\n'));
});

test('listeners that clash are named', () => {
  const clash = (environment: Environment) => faultsOf(environment).map((fault) => fault.split(':')[0]);
  assert.deepEqual(clash({ POSTERN_INSIDE_LISTEN: '127.0.0.1:2525' }), ['POSTERN_INSIDE_LISTEN="127.0.0.1']);
  assert.deepEqual(clash({ POSTERN_OUTSIDE_LISTEN: '0.0.0.0:2526' }), ['POSTERN_INSIDE_LISTEN="127.0.0.1']);
  assert.deepEqual(clash({ POSTERN_OUTSIDE_LISTEN: '[::]:25,[2001:db8::1]:25' }), ['POSTERN_OUTSIDE_LISTEN="[2001']);
  assert.deepEqual(clash({ POSTERN_ADMIN_LISTEN: '127.0.0.1:2525' }), ['POSTERN_ADMIN_LISTEN="127.0.0.1']);
  configOf({ POSTERN_OUTSIDE_LISTEN: '0.0.0.0:25,[::]:25' });
  configOf({ POSTERN_OUTSIDE_LISTEN: '127.0.0.1:0', POSTERN_INSIDE_LISTEN: '127.0.0.1:0' });
});

test('watermarks lean on the machine, and on what shards need', () => {
  const marks = (environment: Environment = {}, system: System = SYSTEM) => {
    const { memoryBytesMax, memoryResidentBytesMax, spoolFreeBytesMin } = configOf(environment, system);
    return { memoryBytesMax, memoryResidentBytesMax, spoolFreeBytesMin };
  };
  const usual = { memoryBytesMax: GIB / 4, memoryResidentBytesMax: 6 * GIB, spoolFreeBytesMin: GIB };
  assert.deepEqual(marks(), usual);
  const small = { memoryBytesMax: GIB / 8, memoryResidentBytesMax: (GIB / 8) * 3, spoolFreeBytesMin: GIB };
  assert.deepEqual(marks({}, { ...SYSTEM, memoryBytes: GIB / 2 }), small);
  assert.equal(marks({}, { ...SYSTEM, cores: 32 }).spoolFreeBytesMin, 2 * GIB, '16 MiB × 32 shards × 4');
  assert.equal(marks({ POSTERN_SEGMENT_BYTES: String(GIB / 4) }).spoolFreeBytesMin, 4 * GIB);
  const off = { POSTERN_SPOOL_FREE_BYTES_MIN: '0', POSTERN_MEMORY_RESIDENT_BYTES_MAX: '0' };
  assert.deepEqual(marks(off), { ...usual, memoryResidentBytesMax: 0, spoolFreeBytesMin: 0 });
});

test('watermarks that would be passed too soon, or seen too late, are refused with what they should be', () => {
  const content = 'content alone would take more than half of POSTERN_MEMORY_RESIDENT_BYTES_MAX';
  assert.deepEqual(faultsOf({ POSTERN_MEMORY_RESIDENT_BYTES_MAX: '268435456' }), [
    `POSTERN_MEMORY_BYTES_MAX="268435456": ${content} (268435456); write less, or more there`,
  ]);
  assert.deepEqual(faultsOf({ POSTERN_SPOOL_FREE_BYTES_MIN: '1000' }), [
    'POSTERN_SPOOL_FREE_BYTES_MIN="1000": half of it must hold a segment of each shard; write at least 134217728, or 0 for off',
  ]);
  assert.equal(
    faultsOf({ POSTERN_WORKERS: 'x', POSTERN_SPOOL_FREE_BYTES_MIN: '1000' }).length,
    1,
    'about workers only',
  );
});

test('connections give way to the descriptor limit, a written number is kept or refused', () => {
  const small = { ...SYSTEM, descriptorsMax: 4096, cores: 2 };
  assert.equal(configOf({}, small).connectionsMax, Math.floor((4096 - 400 - 96) / 3));
  assert.equal(configOf({ POSTERN_CONNECTIONS_MAX: '3000' }, small).connectionsMax, 3000);
  assert.match(
    faultsOf({ POSTERN_CONNECTIONS_MAX: '16000' }, small)[0]!,
    /^POSTERN_CONNECTIONS_MAX="16000".*4096 open files.*ulimit/,
  );
  assert.match(faultsOf({ POSTERN_WORKERS: '100' }, small)[0]!, /^POSTERN_WORKERS="100".*ulimit/);
  assert.equal(configOf({}, { ...SYSTEM, descriptorsMax: Number.POSITIVE_INFINITY }).connectionsMax, 16_000);
});

test("a system's host name that is none must be set by the operator", () => {
  const [fault, ...more] = faultsOf({}, { ...SYSTEM, hostname: 'my_host' });
  assert.match(fault!, /^POSTERN_HOSTNAME is not set, and the system's "my_host" will not do: write a domain name/);
  assert.deepEqual(more, []);
});

test('without nameservers in resolv.conf the resolver is on loopback', () => {
  assert.deepEqual(configOf({}, { ...SYSTEM, nameservers: ['fe80::1%eth0'] }).dnsServers, [
    { host: '127.0.0.1', port: 53 },
  ]);
});

test('system files are read as they are written', () => {
  const limits =
    'Limit                     Soft Limit           Hard Limit           Units\n' +
    'Max open files            1024                 524288               files\n';
  assert.equal(descriptorsIn(limits), 1024);
  assert.equal(descriptorsIn(limits.replace('1024', 'unlimited')), Number.POSITIVE_INFINITY);
  assert.equal(descriptorsIn(''), Number.POSITIVE_INFINITY);
  assert.deepEqual(nameserversIn('# nameserver 1.1.1.1\nsearch x\nnameserver 10.0.0.1\n nameserver\t::1 # c\n'), [
    '10.0.0.1',
    '::1',
  ]);
});

test('certificates: a pair is read; a missing, a wrong and a foreign key are named', () => {
  const folder = temporaryFolder('tls');
  const file = (name: string, text: string) => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const [cert, key, foreign, junk] = [
    file('a.pem', CERT_A),
    file('a.key', KEY_A),
    file('b.key', KEY_B),
    file('junk', 'x'),
  ];
  const pair = (POSTERN_TLS_CERT: string, POSTERN_TLS_KEY: string) => ({ POSTERN_TLS_CERT, POSTERN_TLS_KEY });
  assert.deepEqual(configOf(pair(cert, key)).tlsCert, [cert]);
  assert.match(faultsOf({ POSTERN_TLS_CERT: cert })[0]!, /^POSTERN_TLS_KEY: 1 certificate\(s\) and 0 key\(s\)/);
  assert.match(faultsOf({ POSTERN_TLS_KEY: key })[0]!, /^POSTERN_TLS_CERT: 0 certificate\(s\) and 1 key\(s\)/);
  assert.match(faultsOf(pair(cert, foreign))[0]!, /^POSTERN_TLS_KEY=".*b\.key": does not belong to ".*a\.pem"/);
  assert.match(faultsOf(pair(junk, key))[0]!, /^POSTERN_TLS_CERT=".*junk": holds no certificate/);
  assert.match(faultsOf(pair(cert, junk))[0]!, /^POSTERN_TLS_KEY=".*junk": holds no private key/);
  assert.deepEqual(
    faultsOf(pair(`${folder}/none,${cert}`, `${key},${foreign}`)).map((fault) => fault.split('=')[0]),
    ['POSTERN_TLS_CERT', 'POSTERN_TLS_KEY'],
  );
  assert.ok(!faultsOf(pair(cert, foreign)).join().includes('PRIVATE'));
});

test('every option has a reason and a row in the printed table, and its default is within its bounds', () => {
  const table = optionsMarkdown();
  for (const [key, row] of Object.entries(OPTIONS)) {
    assert.ok(row.why.length > 10, key);
    assert.ok(table.includes(`| \`${variableOf(key)}\` |`), key);
  }
  assert.ok(table.split('\n').every((line) => line === '' || (line.match(/(?<!\\)\|/g) ?? []).length === 5));
});

test('the admin address cannot speak TLS without a certificate', () => {
  assert.deepEqual(faultsOf({ POSTERN_ADMIN_TLS: '1' }), [
    'POSTERN_ADMIN_TLS asks for TLS without a certificate; write POSTERN_TLS_CERT and POSTERN_TLS_KEY',
  ]);
});
