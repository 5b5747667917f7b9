/**
 * Known recipients from a real OpenLDAP server on loopback: found or not, hostile addresses, TLS, a server that goes.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type LdapText, recipientsSection } from '../../src/config/policy/recipients.ts';
import { LdapDirectory } from '../../src/facts/recipient_ldap.ts';
import type { Dns } from '../../src/net/dns.ts';
import { makeCertificate } from '../support/certificates.ts';
import { eventually, within } from '../support/deadline.ts';
import { temporaryFolder, writeCertificate } from '../support/folders.ts';
import { freePort } from '../support/free_port.ts';
import { INTEROP_SKIPPED, program, run } from '../support/programs.ts';

const skip = INTEROP_SKIPPED;
const OPTIONS = { skip, timeout: 60_000 } as const;
const SUFFIX = 'dc=example,dc=org';
const folder = temporaryFolder('slapd');
const certificate = makeCertificate({ names: ['127.0.0.1'], authority: true });
const { certFile, keyFile } = writeCertificate(folder, 'slapd', certificate);

const CONFIGURATION = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${folder}/slapd.pid
TLSCertificateFile ${certFile}
TLSCertificateKeyFile ${keyFile}
database mdb
directory ${folder}/data
suffix "${SUFFIX}"
rootdn "cn=admin,${SUFFIX}"
rootpw secret
index mail eq
access to * by users read by * none
`;

const person = (name: string, ...mail: readonly string[]): string =>
  `dn: cn=${name},${SUFFIX}\nobjectClass: inetOrgPerson\ncn: ${name}\nsn: ${name}\n${mail
    .map((each) => `mail: ${each}\n`)
    .join('')}\n`;

const ENTRIES = [
  `dn: ${SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n`,
  person('jane', 'Jane@example.org', 'smtp:alias@example.org'),
  person('twin', 'twins@example.org'),
  person('other', 'twins@example.org'),
].join('');

const NO_DNS: Dns = { query: async () => ({ tag: 'none', why: 'nxdomain', authentic: false, ttlSeconds: 60 }) };

let slapd: ChildProcess | null = null;
let port = 0;
let tlsPort = 0;

before(async () => {
  if (skip !== false) return;
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'slapd.conf'), CONFIGURATION);
  const added = await run('slapadd', ['-f', join(folder, 'slapd.conf')], ENTRIES);
  assert.equal(added.code, 0, added.output);
  port = await freePort();
  tlsPort = await freePort();
  await startSlapd();
});

after(() => stopSlapd());

async function startSlapd(): Promise<void> {
  const args = [
    '-f',
    join(folder, 'slapd.conf'),
    '-h',
    `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`,
    '-d',
    '0',
  ];
  slapd = spawn(program('slapd'), args, { stdio: 'ignore' });
  await eventually('slapd takes connections', async () => {
    const socket = net.connect(port, '127.0.0.1');
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    return open;
  });
}

async function stopSlapd(): Promise<void> {
  if (slapd === null || slapd.exitCode !== null || slapd.signalCode !== null) return;
  const gone = once(slapd, 'exit');
  slapd.kill('SIGTERM');
  await gone;
}

function directory(about: object = {}): LdapDirectory {
  const section = recipientsSection.parse({
    source: 'ldap',
    url: `ldap://127.0.0.1:${port}`,
    bindDn: `cn=admin,${SUFFIX}`,
    password: 'secret',
    base: SUFFIX,
    ...about,
  });
  const made = new LdapDirectory(section as LdapText, NO_DNS);
  after(() => made.close());
  return made;
}

test('found by an attribute, capitals apart; also where several entries have it', OPTIONS, async () => {
  const ldap = directory({ objectClass: 'inetOrgPerson' });
  assert.deepEqual(await ldap.knows('jane@EXAMPLE.org'), { known: true });
  assert.deepEqual(await ldap.knows('twins@example.org'), { known: true });
  assert.deepEqual(await ldap.knows('nobody@example.org'), { known: false });
  assert.deepEqual(await directory({ objectClass: 'device' }).knows('jane@example.org'), { known: false });
  const prefixed = directory({ match: [{ attribute: 'mail', prefix: 'smtp:' }] });
  assert.deepEqual(await prefixed.knows('alias@example.org'), { known: true });
});

test('nothing in an address is taken for a filter', OPTIONS, async () => {
  const ldap = directory();
  for (const address of [
    '*@example.org',
    '*',
    'x)(mail=*',
    '\\2a',
    'jane@example.org)(cn=*',
    '\0',
    '(',
    'ü@example.org',
  ])
    assert.deepEqual(await ldap.knows(address), { known: false }, address);
});

test('many questions share a few connections', OPTIONS, async () => {
  const ldap = directory({ connectionsMax: 2 });
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) => ldap.knows(at % 2 === 0 ? 'jane@example.org' : `${at}@example.org`)),
  );
  answers.forEach((answer, at) => {
    assert.deepEqual(answer, { known: at % 2 === 0 });
  });
});

test('a wrong password, a base that is not there, and no server are trouble', OPTIONS, async () => {
  const trouble = async (about: object) =>
    ((await directory(about).knows('jane@example.org')) as { trouble: string }).trouble;
  assert.match(await trouble({ password: 'wrong' }), /InvalidCredentials|49/);
  assert.match(await trouble({ base: 'dc=elsewhere' }), /32|NoSuchObject/);
  assert.match(await trouble({ url: 'ldap://127.0.0.1:1' }), /ECONNREFUSED/);
  assert.match(await trouble({ url: 'ldap://gone.test' }), /ENOTFOUND/);
});

test(
  'over TLS, from the start or by STARTTLS, with a certificate that is trusted, and never with another',
  OPTIONS,
  async () => {
    const { cert: ca } = certificate;
    const { cert: other } = makeCertificate({ names: ['127.0.0.1'], authority: true });
    for (const about of [{ url: `ldaps://127.0.0.1:${tlsPort}` }, { startTls: true }]) {
      assert.deepEqual(await directory({ ...about, ca }).knows('jane@example.org'), { known: true });
      for (const wrong of [about, { ...about, ca: other }])
        assert.match(
          JSON.stringify(await directory(wrong).knows('jane@example.org')),
          /trouble.*(?:SELF_SIGNED|VERIFY)/,
        );
    }
  },
);

test('a server that is silent has an end', OPTIONS, async () => {
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `ldap://127.0.0.1:${(silent.address() as net.AddressInfo).port}`;
  const ldap = directory({ url, timeoutMs: 200 });
  assert.deepEqual(await ldap.knows('jane@example.org'), { trouble: 'no answer in time' });
  silent.close();
});

test('a server that drops each question, before a word or in the middle of one, is trouble', OPTIONS, async () => {
  for (const half of [Buffer.alloc(0), Buffer.from('300c0201', 'hex'), Buffer.from('ffffffffff', 'hex')]) {
    const dropping = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(half));
    });
    dropping.listen(0, '127.0.0.1');
    await once(dropping, 'listening');
    const url = `ldap://127.0.0.1:${(dropping.address() as net.AddressInfo).port}`;
    const ldap = directory({ url, timeoutMs: 20_000 });
    for (let question = 0; question < 2; question++)
      assert.ok('trouble' in (await within('an answer', Promise.resolve(ldap.knows('jane@example.org')), 10_000)));
    dropping.close();
  }
});

test('a server that went away and came back is asked again', OPTIONS, async () => {
  const ldap = directory();
  assert.deepEqual(await ldap.knows('jane@example.org'), { known: true });
  await stopSlapd();
  assert.ok('trouble' in (await ldap.knows('jane@example.org')));
  await startSlapd();
  assert.deepEqual(await ldap.knows('jane@example.org'), { known: true });
});
