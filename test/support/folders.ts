/** Temporary folders, gone when the process ends, however it ends short of SIGKILL. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Issued } from './certificates.ts';

const made = new Set<string>();
process.once('exit', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** `name` tells whose it is, if one is left behind. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `postern-test-${name}-`));
  made.add(folder);
  return folder;
}

/** Open to the other users of the machine, as servers that change their user need it. */
export function openFolder(name: string): string {
  const folder = temporaryFolder(name);
  chmodSync(folder, 0o755);
  return folder;
}

export type CertificateFiles = { readonly certFile: string; readonly keyFile: string };

export function writeCertificate(folder: string, name: string, { cert, key }: Issued): CertificateFiles {
  const files = { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
  writeFileSync(files.certFile, cert);
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  return files;
}
