/**
 * What STARTTLS needs from node:tls, as values: contexts for our certificates, and options for connections outward.
 * The sockets are made by the connection driver.
 */
import { constants, createHmac, createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { ConnectionOptions, SecureContext } from 'node:tls';
import { createSecureContext } from 'node:tls';
import type { TlsPolicy } from '../config/options.ts';
import type { TlsMaterial } from '../config/tls_material.ts';

/** RFC 8996: nothing below. */
const TLS_MIN = 'TLSv1.2' as const;

/**
 * For TLS 1.2; those of 1.3 are OpenSSL's. Forward secrecy first, in our order, and at the end AES with a plain RSA key
 * exchange: a client that knows nothing better would otherwise send in clear (RFC 7435 §1.2).
 */
const CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-RSA-AES256-SHA384',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
].join(':');

/** Node's length of `ticketKeys`: name, HMAC key, AES key. */
const TICKET_KEY_BYTES = 48;

/**
 * The context for one side's listeners. A ticket of one side is worth nothing on the other: it bears another id, and
 * with `ticketSecret` (at least 32 random bytes, the same for all shards of a process and never stored) also another
 * key. Without a secret OpenSSL draws keys for this context alone, and a client that comes back to another shard does a
 * full handshake. Throws what OpenSSL says of material that `checkTlsMaterial` would have refused.
 */
export function serverContext(
  material: TlsMaterial,
  side: 'outside' | 'inside',
  ticketSecret?: Uint8Array,
): SecureContext {
  const ticketing = ticketSecret === undefined ? {} : { ticketKeys: ticketKeys(ticketSecret, side) };
  return createSecureContext({ ...serverOptions(material, side), ...ticketing });
}

/** What every server of ours says of TLS; `use` tells its sessions from those of the others. */
export const serverOptions = ({ certs, keys }: TlsMaterial, use: 'outside' | 'inside' | 'admin') => ({
  cert: [...certs],
  key: [...keys],
  minVersion: TLS_MIN,
  ciphers: CIPHERS,
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION, // a client could have us sign without end
  sessionIdContext: `postern ${use}`, // at most 32 bytes
});

const ticketKeys = (secret: Uint8Array, side: string): Buffer =>
  createHmac('sha512', secret).update(`postern tickets ${side}`).digest().subarray(0, TICKET_KEY_BYTES);

export type TlsFindings = {
  /** The material cannot be used. */
  readonly faults: readonly string[];
  /** It can, but peers that verify will object. */
  readonly warnings: readonly string[];
};

/** Whether contexts can be made of `material`, and what clients will say to it at `nowMs`. Texts never hold a key. */
export function checkTlsMaterial({ certs, keys }: TlsMaterial, nowMs: number): TlsFindings {
  const pairs = certs.map((cert, at) => checkPair(cert, keys[at] ?? '', `certificate ${at + 1}`, nowMs));
  const faults = pairs.flatMap((pair) => pair.faults);
  const warnings = pairs.flatMap((pair) => pair.warnings);
  if (faults.length > 0) return { faults, warnings };
  try {
    serverContext({ certs, keys }, 'outside');
  } catch (error) {
    faults.push(`OpenSSL refuses the certificates: ${(error as Error).message}`); // keys too weak, chains cut off
  }
  return { faults, warnings };
}

function checkPair(cert: string, keyPem: string, which: string, nowMs: number): TlsFindings {
  const leaf = readCertificate(cert);
  if (leaf === null) return { faults: [`${which} is not PEM`], warnings: [] };
  const key = readKey(keyPem);
  if (key === null) return { faults: [`the key of ${which} is not PEM without a passphrase`], warnings: [] };
  if (!leaf.checkPrivateKey(key)) return { faults: [`the key given for ${which} belongs to another`], warnings: [] };
  const warnings: string[] = [];
  if (nowMs > leaf.validToDate.getTime()) warnings.push(`${which} has expired: ${leaf.validTo}`);
  if (nowMs < leaf.validFromDate.getTime()) warnings.push(`${which} is not valid before ${leaf.validFrom}`);
  return { faults: [], warnings };
}

function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

function readKey(pem: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

/** One for all connections: making it costs more than a handshake. */
const CLIENT_CONTEXT = createSecureContext({ minVersion: TLS_MIN });

/**
 * For a connection to `host`, a name or an address. With `may` any certificate will do: encryption without knowing with
 * whom is still better than none (RFC 7435 §3). With `require` it must be valid for `host`.
 */
export function clientOptions(host: string, policy: TlsPolicy): ConnectionOptions {
  return {
    secureContext: CLIENT_CONTEXT,
    host, // what the certificate is checked against
    ...(isIP(host) === 0 ? { servername: host } : {}), // RFC 6066 §3: names only
    rejectUnauthorized: policy === 'require',
  };
}
