/** Messages and keys for the tests of authentication, and one message through it as the session brings it. */
import { generateKeyPairSync } from 'node:crypto';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';
import type { AuthenticationResult } from '../../../src/facts/authentication.ts';
import { Authenticator } from '../../../src/facts/authentication.ts';
import type { SpfResult } from '../../../src/facts/spf.ts';
import type { Dns } from '../../../src/net/dns.ts';
import { chooseScanner } from '../../../src/scanner/index.ts';

const pem = { type: 'pkcs8', format: 'pem' } as const;
const rsaOf = (modulusLength: number) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  const bare = publicKey.export({ type: 'pkcs1', format: 'der' });
  const wrapped = publicKey.export({ type: 'spki', format: 'der' });
  return { privateKey: privateKey.export(pem) as string, record: record('rsa', wrapped), bare: record('rsa', bare) };
};
const record = (type: string, key: Buffer): string => `v=DKIM1; k=${type}; p=${key.toString('base64')}`;

const ed25519 = generateKeyPairSync('ed25519');
export const RSA = rsaOf(2048);
export const SHORT_RSA = rsaOf(768);
export const ED25519 = {
  privateKey: ed25519.privateKey.export(pem) as string,
  /** As dkimpy has it. */
  seed: ed25519.privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32).toString('base64'),
  record: record('ed25519', ed25519.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)),
};

export const RECORDS = {
  'TXT rsa._domainkey.example.org': [RSA.record],
  'TXT bare._domainkey.example.org': [RSA.bare],
  'TXT ed._domainkey.example.org': [ED25519.record],
  'TXT short._domainkey.example.org': [SHORT_RSA.record],
  'TXT _dmarc.example.org': ['v=DMARC1; p=reject'],
  'TXT example.org': ['v=spf1 ip4:192.0.2.0/24 -all'],
} as const;

export const HEADER = [
  'From: "Alice, of sales" <alice@example.org>',
  'To: bob@example.com',
  'Subject: a  subject\twith blanks \r\n  and folds',
  'Date: Tue, 24 Nov 2026 12:00:00 +0000',
  'Message-ID: <1@example.org>',
  'MIME-Version: 1.0',
  '',
  '',
].join('\r\n');

export type Signing = {
  readonly algorithm?: 'rsa-sha256' | 'ed25519-sha256' | 'rsa-sha1';
  readonly canonicalization?: string;
  readonly bodyLength?: number;
  readonly headerList?: string;
  readonly selector?: string;
  readonly privateKey?: string;
  readonly domain?: string;
  readonly expires?: Date;
};

/** `message`, its text one char per byte, with a DKIM-Signature by mailauth on top. */
export async function signed(message: string, signing: Signing = {}): Promise<string> {
  const { algorithm = 'rsa-sha256', canonicalization = 'relaxed/relaxed', bodyLength, headerList, expires } = signing;
  const isRsa = algorithm !== 'ed25519-sha256';
  const { signatures, errors } = await dkimSign(Buffer.from(message, 'latin1'), {
    ...(expires === undefined ? {} : { expires, signTime: new Date(expires.getTime() - 1000) }),
    signatureData: [
      {
        signingDomain: signing.domain ?? 'example.org',
        selector: signing.selector ?? (isRsa ? 'rsa' : 'ed'),
        privateKey: signing.privateKey ?? (isRsa ? RSA.privateKey : ED25519.privateKey),
        algorithm,
        canonicalization,
        ...(bodyLength === undefined ? {} : { maxBodyLength: bodyLength }),
        ...(headerList === undefined ? {} : { headerList }),
      },
    ],
  } as unknown as Parameters<typeof dkimSign>[1]);
  if (errors.length > 0) throw new Error(String(errors[0]?.err));
  return signatures + message;
}

export const PASSED: SpfResult = { result: 'pass', identity: 'mailfrom', domain: 'example.org' };
export const NO_SPF: SpfResult = { result: 'none', identity: 'mailfrom', domain: 'elsewhere.test' };

export type Run = {
  readonly spf?: SpfResult;
  readonly sizes?: readonly number[];
  readonly nowMs?: number;
  readonly authenticator?: Authenticator;
  readonly signal?: AbortSignal;
};

/** Split in chunks of `sizes`, in turn. */
export function authenticate(
  message: string,
  dns: Dns,
  run: Run = {},
): AuthenticationResult | Promise<AuthenticationResult> {
  const {
    spf = NO_SPF,
    sizes = [65_536],
    nowMs = Date.UTC(2026, 10, 24, 12),
    signal = new AbortController().signal,
  } = run;
  const authenticator =
    run.authenticator ?? new Authenticator(dns, chooseScanner().relaxer, 'mx.example.com', () => nowMs);
  const authentication = authenticator.begin(spf, () => signal);
  const empty = message.startsWith('\r\n') ? 0 : message.indexOf('\r\n\r\n') + 2;
  const bodyAt = empty === 1 ? message.length : empty + 2;
  authentication.headers(Buffer.from(message.slice(0, bodyAt), 'latin1'), true);
  for (let at = bodyAt, turn = 0; at < message.length; turn++) {
    const chunk = Buffer.from(message.slice(at, at + sizes[turn % sizes.length]!), 'latin1');
    authentication.write(chunk, 0, chunk.length);
    at += chunk.length;
  }
  return authentication.end();
}

export const dkimOf = ({ dkim }: AuthenticationResult): string[] =>
  dkim.map(({ result, why }) => (why === null ? result : `${result}: ${why}`));
