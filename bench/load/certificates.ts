/**
 * X.509 certificates made on the spot (RFC 5280), for any name and any time: no key lies in the repository, nothing
 * expires, and no tool is needed. Just enough DER for what TLS checks.
 */
import type { KeyObject } from 'node:crypto';
import { createPublicKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import ipaddr from 'ipaddr.js';

export type Issued = {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly privateKey: KeyObject;
};

export type CertificateWish = {
  /** Names and addresses that it is good for; the first is its common name, too. */
  readonly names: readonly string[];
  readonly kind?: 'ecdsa' | 'rsa';
  readonly rsaBits?: number;
  readonly validFrom?: Date;
  readonly validTo?: Date;
  /** It may sign others. */
  readonly authority?: boolean;
  /** Who signs; default: itself. */
  readonly issuer?: Issued;
};

const DAY_MS = 86_400_000;
const ECDSA_SHA256 = '06082a8648ce3d040302';
const RSA_SHA256 = '06092a864886f70d01010b0500';
const COMMON_NAME = '0603550403';
const SUBJECT_ALT_NAME = '0603551d11';
const BASIC_CONSTRAINTS = '0603551d13';

export function makeCertificate(wish: CertificateWish): Issued {
  const { privateKey } =
    wish.kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: wish.rsaBits ?? 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = wish.issuer?.privateKey ?? privateKey;
  const algorithm = sequence(hex(signer.asymmetricKeyType === 'rsa' ? RSA_SHA256 : ECDSA_SHA256));
  const subject = nameOf(wish.names[0]!);
  const issuer = wish.issuer === undefined ? subject : nameOf(commonNameOf(wish.issuer));
  const from = wish.validFrom ?? new Date(Date.now() - DAY_MS);
  const to = wish.validTo ?? new Date(Date.now() + DAY_MS);
  const body = sequence(
    der(0xa0, der(0x02, hex('02'))), // v3
    der(0x02, Buffer.concat([hex('01'), randomBytes(8)])),
    algorithm,
    issuer,
    sequence(time(from), time(to)),
    subject,
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions(wish))),
  );
  const signature = sign('sha256', body, signer);
  const bytes = sequence(body, algorithm, der(0x03, Buffer.concat([hex('00'), signature])));
  return { cert: pem(bytes), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, privateKey };
}

function extensions({ names, authority }: CertificateWish): Buffer[] {
  const entries = names.map((name) =>
    ipaddr.isValid(name) ? der(0x87, Buffer.from(ipaddr.parse(name).toByteArray())) : der(0x82, Buffer.from(name)),
  );
  const alternatives = sequence(hex(SUBJECT_ALT_NAME), der(0x04, sequence(...entries)));
  const critical = hex('0101ff');
  return authority === true
    ? [alternatives, sequence(hex(BASIC_CONSTRAINTS), critical, der(0x04, sequence(critical)))]
    : [alternatives];
}

const nameOf = (common: string): Buffer =>
  sequence(der(0x31, sequence(hex(COMMON_NAME), der(0x0c, Buffer.from(common)))));

const commonNameOf = ({ cert }: Issued): string => /^CN=(.*)$/m.exec(new X509Certificate(cert).subject)![1]!;

/** GeneralizedTime, `20261124120000Z`. */
const time = (date: Date): Buffer => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\..*/g, '')}Z`));

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, Buffer.concat(parts));

/** Tag, length, content (X.690 §8.1). */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g)!; // no empty line at the end: OpenSSL refuses it
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
