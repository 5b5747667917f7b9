/**
 * Exim as Debian builds it (exim4-daemon-light): the daemon delivers each message at once, in a process of its own.
 * At its defaults but for its limits on sessions, and for the ten messages of a session after which it only queues.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { containmentMissing, startContained } from './contained.ts';
import { unpackDebian } from './debian_packages.ts';
import { PEER_SESSIONS_MAX, PEERS_FOLDER, type Peer } from './peer.ts';
import { freePort } from './port.ts';

const PACKAGE = 'exim4-daemon-light';
const PROGRAM = '/usr/sbin/exim4';
const USER = 'Debian-exim';
const PACKAGES = join(PEERS_FOLDER, 'exim');

const packages = (): string | undefined => (existsSync(PROGRAM) ? undefined : PACKAGES);
const program = (): string => join(packages() ?? '/', PROGRAM);

export const exim: Peer = {
  name: 'exim',
  durability: 'fsync of content, of envelope, and of their folder',
  cpuUnknown: 'it leaves its delivery processes to the kernel, which then adds their CPU time to nobody',
  getIt: `npm run bench -- --install-peers exim (Debian's ${PACKAGE}, unpacked)`,
  missing: () => containmentMissing() ?? (existsSync(program()) ? undefined : 'not installed'),
  install: () => unpackDebian(PACKAGE, PACKAGES),
  start: async ({ folder, sinkPort }) => {
    const port = await freePort();
    const contained = await startContained({
      name: 'Exim',
      folder,
      packages: packages(),
      users: [USER],
      files: { 'etc/exim4/exim4.conf': configuration(port, sinkPort) },
      folders: { 'spool/exim4': { owner: USER, mode: 0o750 }, 'log/exim4': { owner: USER, mode: 0o750 } },
      // In the foreground, with a queue run a minute as Debian's unit has one in thirty.
      command: [PROGRAM, '-bdf', '-q1m'],
      port,
    });
    const version = / Exim (\S+)/.exec(contained.banner)?.[1] ?? 'unknown';
    return { ...contained, version, port };
  },
};

const configuration = (port: number, sinkPort: number): string => `primary_hostname = exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
smtp_accept_max = ${PEER_SESSIONS_MAX}
smtp_connect_backlog = ${PEER_SESSIONS_MAX}
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
message_size_limit = 100M
tls_advertise_hosts =
keep_environment =
acl_smtp_rcpt = accept
acl_smtp_data = accept

begin routers

sink:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink

begin transports

sink:
  driver = smtp
  port = ${sinkPort}
  allow_localhost
  hosts_avoid_tls = *

begin retry

* * F,1h,1m
`;
