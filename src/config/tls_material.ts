/**
 * Certificates and keys for STARTTLS, read from the files that the options name. Whole or not at all: a pair that does
 * not fit must be found at start or at reload, not by the first client.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from './options.ts';
import { variableOf } from './options.ts';

/** PEM texts, one key a certificate, in the same order. A certificate text may hold its chain, leaf first. */
export type TlsMaterial = { readonly certs: readonly string[]; readonly keys: readonly string[] };

/** For the log: whose certificates, and until when. */
export type CertificateNote = { readonly subject: string; readonly validTo: string };

type Files = Pick<Config, 'tlsCert' | 'tlsKey'>;

/** `material` is null where no certificate is configured. Faults name variable and file, never a key. */
export function loadTlsMaterial(
  files: Files,
): { readonly material: TlsMaterial | null } | { readonly faults: readonly string[] } {
  const { tlsCert, tlsKey } = files;
  if (tlsCert.length !== tlsKey.length) {
    const [more, fewer] = tlsCert.length > tlsKey.length ? ['tlsCert', 'tlsKey'] : ['tlsKey', 'tlsCert'];
    const counts = `${tlsCert.length} certificate(s) and ${tlsKey.length} key(s)`;
    return {
      faults: [`${variableOf(fewer!)}: ${counts}; write as many files as in ${variableOf(more!)}, in the same order`],
    };
  }
  if (tlsCert.length === 0) return { material: null };
  const faults: string[] = [];
  const certs: string[] = [];
  const keys: string[] = [];
  tlsCert.forEach((certFile, at) => {
    const keyFile = tlsKey[at]!;
    const cert = read('tlsCert', certFile, faults);
    const key = read('tlsKey', keyFile, faults);
    if (cert === null || key === null) return;
    const fault = pairFault(cert, certFile, key, keyFile);
    if (fault !== null) faults.push(fault);
    certs.push(cert);
    keys.push(key);
  });
  return faults.length > 0 ? { faults } : { material: { certs, keys } };
}

function read(option: 'tlsCert' | 'tlsKey', file: string, faults: string[]): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    faults.push(
      `${variableOf(option)}=${JSON.stringify(file)}: cannot be read (${code}); write a PEM file that Postern may read`,
    );
    return null;
  }
}

function pairFault(cert: string, certFile: string, key: string, keyFile: string): string | null {
  const written = `${variableOf('tlsKey')}=${JSON.stringify(keyFile)}`;
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch {
    return `${variableOf('tlsCert')}=${JSON.stringify(certFile)}: holds no certificate; write a PEM file, leaf first`;
  }
  try {
    if (leaf.checkPrivateKey(createPrivateKey(key))) return null;
  } catch {
    return `${written}: holds no private key in clear; write a PEM file without passphrase`;
  }
  return `${written}: does not belong to ${JSON.stringify(certFile)}; write the key of that certificate`;
}

export const describeCertificates = (material: TlsMaterial): readonly CertificateNote[] =>
  material.certs.map((cert) => {
    const { subject, validTo } = new X509Certificate(cert);
    return { subject: (subject ?? '').replaceAll('\n', ', '), validTo };
  });
