/**
 * OpenSMTPD as Debian builds it: three processes, a queue of files, a scheduler in memory. At its defaults but for its
 * limits on what one session may send and on connections to one next hop, and its pauses between these.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { containmentMissing, startContained } from './contained.ts';
import { unpackDebian } from './debian_packages.ts';
import { PEER_DELIVERIES_MAX, PEERS_FOLDER, type Peer } from './peer.ts';
import { freePort } from './port.ts';

const PACKAGE = 'opensmtpd';
const PROGRAM = '/usr/sbin/smtpd';
/** Its own, for another daemon of this name lives elsewhere. */
const LIBRARY = '/usr/libexec/opensmtpd';
const PACKAGES = join(PEERS_FOLDER, 'opensmtpd');

const packages = (): string | undefined => (existsSync(LIBRARY) ? undefined : PACKAGES);

export const opensmtpd: Peer = {
  name: 'opensmtpd',
  durability: 'nothing is synced',
  getIt: `npm run bench -- --install-peers opensmtpd (Debian's ${PACKAGE}, unpacked)`,
  missing: () => containmentMissing() ?? (existsSync(join(packages() ?? '/', LIBRARY)) ? undefined : 'not installed'),
  install: () => unpackDebian(PACKAGE, PACKAGES),
  start: async ({ folder, sinkPort }) => {
    const port = await freePort();
    const contained = await startContained({
      name: 'OpenSMTPD',
      folder,
      packages: packages(),
      users: ['opensmtpd', 'opensmtpq'],
      // No look-ups of who connects: each would wait for a name server that may not be there.
      files: { 'etc/smtpd.conf': configuration(port, sinkPort), 'etc/resolv.conf': 'lookup file\n' },
      folders: { 'spool/smtpd': { mode: 0o711 }, 'var/lib/opensmtpd/empty': { mode: 0o755 } },
      command: [PROGRAM, '-d'],
      port,
    });
    return { ...contained, version: versionOf(), port };
  },
};

/** It says so with its usage. */
function versionOf(): string {
  const said = execFileSync('sh', ['-c', '"$0" -h 2>&1 || true', join(packages() ?? '/', PROGRAM)], {
    encoding: 'utf8',
  });
  return /OpenSMTPD (\S+)/.exec(said)?.[1] ?? 'unknown';
}

const CONNECTION_LIMITS = ['host', 'route', 'source', 'connector', 'relay', 'domain'];
const PAUSES = ['conn-delay-route', 'conn-delay-relay', 'reconn-delay-route'];

const configuration = (
  port: number,
  sinkPort: number,
): string => `listen on 127.0.0.1 port ${port} hostname opensmtpd.example
smtp max-message-size "100M"
smtp limit max-mails 1000000
${CONNECTION_LIMITS.map((each) => `mta limit max-conn-per-${each} ${PEER_DELIVERIES_MAX}`).join('\n')}
${PAUSES.map((each) => `mta limit ${each} 0`).join('\n')}
action "sink" relay host "smtp://127.0.0.1:${sinkPort}"
match from any for any action "sink"
`;
