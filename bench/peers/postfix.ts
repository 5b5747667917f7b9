/**
 * A Postfix of our own, for comparison and for interop: configuration, queue, log and mailbox in a folder of its own,
 * on loopback, never the machine's. It relays what it gets (`relayTo`), or delivers the mail of `domains` into one
 * Maildir, or both. Needs root, since Postfix changes users; `postfixInstalled` says whether it can run here.
 *
 * Everything is at its default except what a default exists for that would measure something else: client limits and
 * process limit (a hundred connections from one address are no attack here), flow control, reverse look-ups.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { processTree, treeMemoryBytes } from '../measure/processes.ts';
import { type CertificateFiles, PEER_DELIVERIES_MAX, PEER_SESSIONS_MAX, type Peer } from './peer.ts';
import { freePort, untilGreeted } from './port.ts';

export type PostfixOptions = {
  /** An empty folder, or one to be made; every folder above it must be open to other users. */
  readonly folder: string;
  /** Default: a free one. */
  readonly listenPort?: number;
  /** `host:port` for everything that is not for `domains`; without it such mail is refused. */
  readonly relayTo?: string;
  /** Mail for these domains goes to the Maildir `inbox`. */
  readonly domains?: readonly string[];
  /** PEM files: STARTTLS is offered. */
  readonly tls?: CertificateFiles;
  /** TLS towards `relayTo`. */
  readonly relayTls?: 'none' | 'may' | 'encrypt';
  /** Lines of main.cf that come last. */
  readonly settings?: Readonly<Record<string, string>>;
};

export type Postfix = {
  readonly port: number;
  readonly logFile: string;
  /** The Maildir for `domains`: messages are in `new`, with LF line ends and Postfix's header fields on top. */
  readonly inbox: string;
  readonly version: string;
  /** The master and all its processes. */
  pids(): number[];
  /** Messages in the inbox, each as it lies there. */
  messages(): Buffer[];
  stop(): Promise<void>;
};

const POSTCONF = '/usr/sbin/postconf';
const MASTER = '/usr/lib/postfix/sbin/master';
const READY_MS_MAX = 15_000;

export const postfixInstalled = (): boolean => process.getuid?.() === 0 && existsSync(MASTER);

export const postfix: Peer = {
  name: 'postfix',
  durability: "fsync of the message's file, not of its folder",
  getIt: 'apt-get install postfix',
  missing: () => (postfixInstalled() ? undefined : 'not installed, or this is not root'),
  tls: true,
  start: async ({ folder, sinkPort, tls }) => {
    const relayTo = `127.0.0.1:${sinkPort}`;
    const { port, version, pids, stop } = await startPostfix({ folder, relayTo, ...(tls !== undefined && { tls }) });
    const pid = pids()[0] ?? 0;
    return { version, port, pid, memoryBytes: () => treeMemoryBytes(pid), stop };
  },
};

/** Rejects, with the end of Postfix's log, where it does not come up. */
export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  const port = options.listenPort ?? (await freePort());
  const { folder } = options;
  const logFile = join(folder, 'log', 'maillog');
  const inbox = join(folder, 'mail', 'inbox');
  layOut(folder);
  writeFileSync(join(folder, 'etc', 'main.cf'), mainCf(options, logFile));
  writeFileSync(join(folder, 'etc', 'master.cf'), masterCf(port));
  const master = spawn(MASTER, ['-c', join(folder, 'etc'), '-d'], { stdio: 'ignore', detached: true });
  const killAll = (): void => kill(master);
  process.once('exit', killAll);
  const log = (): string =>
    existsSync(logFile) ? readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n') : '';
  try {
    await untilGreeted(port, READY_MS_MAX, () => master.exitCode !== null);
  } catch (error) {
    killAll();
    throw new Error(`Postfix: ${(error as Error).message}\n${log()}`);
  }
  return {
    port,
    logFile,
    inbox,
    version: versionInstalled(),
    pids: () => processTree(master.pid ?? 0),
    messages: () => {
      const arrived = join(inbox, 'new');
      return existsSync(arrived) ? readdirSync(arrived).map((name) => readFileSync(join(arrived, name))) : [];
    },
    stop: async () => {
      process.off('exit', killAll);
      if (master.exitCode !== null || master.signalCode !== null) return;
      const ended = new Promise((resolve) => master.once('exit', resolve));
      kill(master);
      await ended;
    },
  };
}

/** The master and all its children are one process group, so none is left behind. */
function kill(master: ChildProcess): void {
  if (master.pid === undefined || master.exitCode !== null) return;
  for (const pid of [-master.pid, master.pid]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

function layOut(folder: string): void {
  const [postfixUser, postfixGroup] = userOf('postfix');
  const [nobodyUser, nobodyGroup] = userOf('nobody');
  const postdrop = groupOf('postdrop');
  const make = (name: string, mode: number, user: number, group: number): void => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    chmodSync(path, mode);
    chownSync(path, user, group);
  };
  for (const name of ['', 'etc', 'log', 'queue', 'queue/pid']) make(name, 0o755, 0, 0);
  make('data', 0o700, postfixUser, postfixGroup);
  for (const name of [
    'active',
    'bounce',
    'corrupt',
    'defer',
    'deferred',
    'flush',
    'hold',
    'incoming',
    'private',
    'saved',
    'trace',
  ]) {
    make(`queue/${name}`, 0o700, postfixUser, 0);
  }
  make('queue/maildrop', 0o730, postfixUser, postdrop);
  make('queue/public', 0o710, postfixUser, postdrop);
  make('mail', 0o700, nobodyUser, nobodyGroup);
  accessSync(folder, constants.W_OK);
}

function mainCf(options: PostfixOptions, logFile: string): string {
  const { folder, relayTo, domains = [], tls, relayTls = 'none' } = options;
  const [nobodyUser, nobodyGroup] = userOf('nobody');
  const settings: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: join(folder, 'queue'),
    data_directory: join(folder, 'data'),
    mail_owner: 'postfix',
    setgid_group: 'postdrop',
    maillog_file: logFile,
    maillog_file_prefixes: join(folder, 'log'),
    myhostname: 'postfix.example',
    mydestination: '',
    local_recipient_maps: '',
    local_transport: 'error:no local mail',
    alias_maps: '',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mynetworks: '127.0.0.0/8',
    smtpd_relay_restrictions: relayTo === undefined ? 'reject_unauth_destination' : 'permit_mynetworks, reject',
    smtpd_peername_lookup: 'no',
    smtpd_client_connection_count_limit: '0',
    smtpd_client_connection_rate_limit: '0',
    smtpd_client_message_rate_limit: '0',
    default_process_limit: `${PEER_SESSIONS_MAX}`,
    in_flow_delay: '0',
    message_size_limit: '104857600',
    mailbox_size_limit: '0',
    virtual_mailbox_limit: '0',
    smtp_tls_security_level: relayTls,
  };
  if (relayTo !== undefined) {
    const colon = relayTo.lastIndexOf(':');
    settings.relayhost = `[${relayTo.slice(0, colon)}]:${relayTo.slice(colon + 1)}`;
    // One next hop gets all mail: let it have as many connections as a busy site would be given.
    settings.initial_destination_concurrency = '20';
    settings.smtp_destination_concurrency_limit = `${PEER_DELIVERIES_MAX}`;
  }
  if (domains.length > 0) {
    settings.virtual_mailbox_domains = domains.join(', ');
    settings.virtual_mailbox_base = join(folder, 'mail');
    settings.virtual_mailbox_maps = 'static:inbox/';
    settings.virtual_uid_maps = `static:${nobodyUser}`;
    settings.virtual_gid_maps = `static:${nobodyGroup}`;
    settings.virtual_minimum_uid = '1';
  }
  if (tls !== undefined) {
    settings.smtpd_tls_security_level = 'may';
    settings.smtpd_tls_cert_file = tls.certFile;
    settings.smtpd_tls_key_file = tls.keyFile;
  }
  return Object.entries({ ...settings, ...options.settings })
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

/** Postfix's own master.cf without chroot, with the one listener and what relaying and delivery need. */
function masterCf(port: number): string {
  const rows = [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    'pickup unix n - n 60 1 pickup',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    'verify unix - - n - 1 verify',
    'flush unix n - n 1000? 0 flush',
    'proxymap unix - - n - - proxymap',
    'proxywrite unix - - n - 1 proxymap',
    'smtp unix - - n - - smtp',
    'relay unix - - n - - smtp',
    'showq unix n - n - - showq',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'discard unix - - n - - discard',
    'virtual unix - n n - - virtual',
    'anvil unix - - n - 1 anvil',
    'scache unix - - n - 1 scache',
    'postlog unix-dgram n - n - 1 postlogd',
  ];
  return rows.map((row) => `${row}\n`).join('');
}

/** User and group number of a system account. */
function userOf(name: string): [number, number] {
  const fields = entryOf('/etc/passwd', name);
  return [Number(fields[2]), Number(fields[3])];
}

const groupOf = (name: string): number => Number(entryOf('/etc/group', name)[2]);

function entryOf(file: string, name: string): string[] {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`${file} has no ${name}`);
  return line.split(':');
}

const versionInstalled = (): string => execFileSync(POSTCONF, ['-dh', 'mail_version'], { encoding: 'utf8' }).trim();
