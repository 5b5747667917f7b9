/** Contexts and options for TLS, judged by real handshakes on loopback. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { ConnectionOptions, SecureContext } from 'node:tls';
import tls from 'node:tls';
import type { TlsMaterial } from '../../../src/config/tls_material.ts';
import type { Issued } from '../../support/certificates.ts';
import { makeCertificate } from '../../support/certificates.ts';

const authority = makeCertificate({ names: ['Test Authority'], authority: true });
tls.setDefaultCACertificates([authority.cert]);
// Only now: the module makes its context for connections outward as it is loaded.
const { checkTlsMaterial, clientOptions, serverContext } = await import('../../../src/net/tls.ts');

const ecdsa = makeCertificate({ names: ['mx.test', '127.0.0.1'], issuer: authority });
const rsa = makeCertificate({ names: ['mx.test', '127.0.0.1'], issuer: authority, kind: 'rsa' });
const stranger = makeCertificate({ names: ['mx.test'] });
const DAY_MS = 86_400_000;
const NOW = Date.now();

const material = (...issued: Issued[]): TlsMaterial => ({
  certs: issued.map(({ cert }) => cert),
  keys: issued.map(({ key }) => key),
});

type Met = { readonly client: tls.TLSSocket; readonly server: tls.TLSSocket; readonly session: Buffer };

/** A handshake; resolves when the ticket has come, too, which in TLS 1.3 is after it. Rejects as the client does. */
async function meet(t: TestContext, context: SecureContext, options: ConnectionOptions): Promise<Met> {
  const listener = net.createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const accepted = once(listener, 'connection').then(([socket]) => {
    const secured = new tls.TLSSocket(socket as net.Socket, { isServer: true, secureContext: context });
    secured.on('error', () => undefined); // the client tells
    t.after(() => secured.destroy());
    return secured;
  });
  const { port } = listener.address() as net.AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const client = tls.connect({ ...options, socket });
  t.after(() => client.destroy());
  client.resume();
  const session = new Promise<Buffer>((resolve) => client.once('session', resolve));
  await Promise.race([once(client, 'secureConnect'), once(client, 'error').then(([error]) => Promise.reject(error))]);
  const server = await accepted;
  const none = Buffer.alloc(0); // who resumes gets no new ticket
  return { client, server, session: client.isSessionReused() ? none : await session };
}

const ANY: ConnectionOptions = { rejectUnauthorized: false };
const refusal = (code: string) => (error: NodeJS.ErrnoException) =>
  error.code === code || assert.fail(String(error.code));

test('a client gets the certificate that it can use, ECDSA or RSA', async (t) => {
  const context = serverContext(material(ecdsa, rsa), 'outside');
  const asked = { ...ANY, maxVersion: 'TLSv1.2' } as const;
  for (const [kind, type] of [
    ['ECDSA', 'EC'],
    ['RSA', 'RSA'],
  ] as const) {
    const { client } = await meet(t, context, { ...asked, ciphers: `ECDHE-${kind}-AES128-GCM-SHA256` });
    const key = client.getPeerX509Certificate()!.publicKey.asymmetricKeyType;
    assert.equal(key?.toUpperCase(), type);
  }
});

test('TLS 1.3 and 1.2 are spoken, older ones are not', async (t) => {
  const context = serverContext(material(ecdsa, rsa), 'outside');
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const { client } = await meet(t, context, { ...ANY, maxVersion });
    assert.equal(client.getProtocol(), maxVersion);
  }
  const old = { ...ANY, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  await assert.rejects(meet(t, context, old), refusal('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'));
});

test('the order of ciphers is ours', async (t) => {
  const context = serverContext(material(rsa), 'outside');
  const ciphers = 'AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256';
  const { client } = await meet(t, context, { ...ANY, maxVersion: 'TLSv1.2', ciphers });
  assert.equal(client.getCipher().name, 'ECDHE-RSA-AES128-GCM-SHA256');
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session resumes on its own side, on any shard, and nowhere else (${maxVersion})`, async (t) => {
    const asked = { ...ANY, maxVersion };
    const [secret, otherSecret] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const context = (side: 'outside' | 'inside', key?: Buffer) => serverContext(material(ecdsa), side, key);
    const { session } = await meet(t, context('outside', secret), asked);
    const resumes = async (at: SecureContext) => {
      const { client } = await meet(t, at, { ...asked, session });
      return client.isSessionReused();
    };
    assert.equal(await resumes(context('outside', secret)), true, 'another shard');
    assert.equal(await resumes(context('inside', secret)), false, 'the other side');
    assert.equal(await resumes(context('outside', otherSecret)), false, 'another process');
    assert.equal(await resumes(context('outside')), false, 'keys of its own');
  });
}

test('without a secret, a context still resumes its own sessions', async (t) => {
  const context = serverContext(material(ecdsa), 'outside');
  const { session } = await meet(t, context, ANY);
  const { client } = await meet(t, context, { ...ANY, session });
  assert.equal(client.isSessionReused(), true);
});

test('opportunistic TLS takes any certificate, and says which name it wants', async (t) => {
  const context = serverContext(material(stranger), 'outside');
  const { client, server } = await meet(t, context, clientOptions('other.test', 'may'));
  assert.equal(client.authorized, false);
  assert.equal(server.servername, 'other.test');
});

test('required TLS takes a certificate of a known authority for that name, and no other', async (t) => {
  const good = serverContext(material(ecdsa), 'outside');
  const { client } = await meet(t, good, clientOptions('mx.test', 'require'));
  assert.equal(client.authorized, true);
  const wrongName = refusal('ERR_TLS_CERT_ALTNAME_INVALID');
  await assert.rejects(meet(t, good, clientOptions('other.test', 'require')), wrongName);
  const selfSigned = serverContext(material(stranger), 'outside');
  const unknown = refusal('DEPTH_ZERO_SELF_SIGNED_CERT');
  await assert.rejects(meet(t, selfSigned, clientOptions('mx.test', 'require')), unknown);
  const past = { validFrom: new Date(NOW - 2 * DAY_MS), validTo: new Date(NOW - DAY_MS) };
  const expired = serverContext(
    material(makeCertificate({ names: ['mx.test'], issuer: authority, ...past })),
    'outside',
  );
  await assert.rejects(meet(t, expired, clientOptions('mx.test', 'require')), refusal('CERT_HAS_EXPIRED'));
});

test('an address is checked as an address, and never sent as a server name (RFC 6066 §3)', async (t) => {
  const context = serverContext(material(ecdsa), 'outside');
  const { client, server } = await meet(t, context, clientOptions('127.0.0.1', 'require'));
  assert.equal(client.authorized, true);
  assert.equal(server.servername, false);
  const wrong = refusal('ERR_TLS_CERT_ALTNAME_INVALID');
  await assert.rejects(meet(t, context, clientOptions('192.0.2.1', 'require')), wrong);
});

test('good material has no findings', () => {
  assert.deepEqual(checkTlsMaterial(material(ecdsa, rsa), NOW), { faults: [], warnings: [] });
  const withChain = { certs: [ecdsa.cert + authority.cert], keys: [ecdsa.key] };
  assert.deepEqual(checkTlsMaterial(withChain, NOW), { faults: [], warnings: [] });
});

test('every fault of every pair is named, and no key shown', () => {
  const cipher = { type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' } as const;
  const locked = createPrivateKey(rsa.key).export(cipher) as string;
  const certs = [ecdsa.cert, 'no pem', rsa.cert, ecdsa.cert, rsa.cert];
  const keys = [rsa.key, ecdsa.key, locked, 'no pem'];
  assert.deepEqual(checkTlsMaterial({ certs, keys }, NOW).faults, [
    'the key given for certificate 1 belongs to another',
    'certificate 2 is not PEM',
    'the key of certificate 3 is not PEM without a passphrase',
    'the key of certificate 4 is not PEM without a passphrase',
    'the key of certificate 5 is not PEM without a passphrase',
  ]);
});

test('a certificate out of its time is a warning: opportunistic clients take it', () => {
  const late = checkTlsMaterial(material(ecdsa), NOW + 2 * DAY_MS);
  assert.match(late.warnings.join(), /^certificate 1 has expired: /);
  const early = checkTlsMaterial(material(ecdsa), NOW - 2 * DAY_MS);
  assert.match(early.warnings.join(), /^certificate 1 is not valid before /);
  assert.deepEqual([late.faults, early.faults], [[], []]);
});

test('a key that OpenSSL finds too weak is a fault', () => {
  const weak = makeCertificate({ names: ['mx.test'], kind: 'rsa', rsaBits: 512 });
  assert.match(checkTlsMaterial(material(weak), NOW).faults.join(), /OpenSSL refuses .*too small/);
});
