/**
 * A whole Postern in this process: spool lock, listeners, shards, status, and the order in which they come and go.
 *
 *   start: TLS files ─► spool lock ─► addresses ─► shards (replay) ─► pressure ─► admin, its socket ─► "ready"
 *   stop:  addresses given back, socket ─► shards drained ─► pressure ─► admin ─► lock
 *
 * Clients that come while journals are replayed get 421: an address that cannot be had shows before a long replay.
 */
import { wallMs } from '../base/clock.ts';
import { newNode } from '../base/ids.ts';
import { randomSecret } from '../base/random.ts';
import { LIMITS } from '../config/limits.ts';
import { readResidentBytes } from '../config/memory.ts';
import type { Config, HostPort } from '../config/options.ts';
import { redact } from '../config/print.ts';
import { sizeThreadPool } from '../config/thread_pool.ts';
import type { TlsMaterial } from '../config/tls_material.ts';
import { describeCertificates, loadTlsMaterial } from '../config/tls_material.ts';
import type { AdminToken } from '../config/token_file.ts';
import { loadAdminToken } from '../config/token_file.ts';
import type { PushedHashes } from '../facts/recipient_hashes.ts';
import { checkTlsMaterial } from '../net/tls.ts';
import { PressureWord, pressureMemory } from '../relay/pressure_word.ts';
import { QueueDesk } from '../relay/queue_desk.ts';
import type { QueueSource } from '../relay/queue_requests.ts';
import { REPLIES } from '../smtp/replies.ts';
import type { SocketPlace } from '../spool/folder.ts';
import { prepareFolder, removeStaleSocket, sealSocket, socketPlace } from '../spool/folder.ts';
import { inspectSpool } from '../spool/inspection.ts';
import { readSpoolSpace } from '../spool/space.ts';
import { SpoolFolderError } from '../spool/survey.ts';
import type { Logger } from '../telemetry/log.ts';
import { LogSink } from '../telemetry/log_sink.ts';
import { createMetricsMemory, Metrics, mainRow, totalOf } from '../telemetry/metrics.ts';
import type { Health, StatusReport, StatusSource } from '../telemetry/status.ts';
import type { Listen } from './acceptor.ts';
import { chooseListen } from './acceptor.ts';
import { Gate } from './gate.ts';
import type { Patience } from './heartbeat.ts';
import { listenFault, StartFailure } from './listeners.ts';
import { PolicyFile } from './policy_file.ts';
import { PressureWatch } from './pressure_watch.ts';
import type { SpoolLock } from './spool_lock.ts';
import { lockSpool } from './spool_lock.ts';
import { Status } from './status.ts';
import { Supervisor } from './supervisor.ts';

export type AdminServer = {
  readonly address: HostPort;
  reloadTls(material: TlsMaterial): void;
  close(): Promise<void>;
};
/** Recipients that the inside pushes go here. */
export type Pushes = { readonly recipients: PushedHashes; readonly logger: Logger };
/**
 * admin's `startAdmin`: a room beside this one, so whoever starts Postern brings it along. Pushes are for who has the
 * token; null: there is none.
 */
export type StartAdmin = (
  door: {
    readonly at: HostPort;
    readonly hostname: string;
    readonly pushes: (Pushes & { readonly token: () => AdminToken }) | null;
    readonly tls: TlsMaterial | null;
  },
  source: StatusSource,
) => Promise<AdminServer>;
/** admin's `startOperator`, likewise. */
export type StartOperator = (
  path: string,
  source: StatusSource,
  queue: QueueSource,
  pushes: Pushes,
) => Promise<{ close(): Promise<void> }>;

export type PosternParts = {
  readonly startAdmin?: StartAdmin;
  readonly startOperator?: StartOperator;
  /** Where log lines go: a descriptor or a file; standard output by default. */
  readonly logTo?: number | string;
  /** Called when all stands, before anybody is told so. */
  readonly onStarted?: (postern: Postern) => void;
  /** The shards' code; shard.ts but in tests. */
  readonly workerFile?: string;
  /** With a shard that hangs; that of config/limits.ts but in tests. */
  readonly patience?: Patience;
  /** How to accept; what was built but in tests. */
  readonly listen?: Listen;
};

export type Addresses = {
  readonly outside: readonly HostPort[];
  readonly inside: readonly HostPort[];
  readonly admin: HostPort | null;
};

const LOG_LIMITS = {
  batchBytes: LIMITS.logBatchBytes,
  batchMs: LIMITS.reportMs,
  valueCharsMax: LIMITS.logValueCharsMax,
  bufferBytesMax: LIMITS.logBufferBytesMax,
};

/** Resolves when connections are accepted. Rejects with StartFailure where the machine is not as configured. */
export async function startPostern(config: Config, parts: PosternParts = {}): Promise<Postern> {
  sizeThreadPool(config.workers);
  const tls = readTls(config);
  if ('faults' in tls) throw new StartFailure(tls.faults);
  const admin = loadAdminToken(config.adminTokenFile);
  if ('faults' in admin) throw new StartFailure(admin.faults);
  const lock = await prepareSpool(config.spoolDir);
  const postern = new Postern(config, parts, tls, admin.token, lock);
  try {
    await postern.start();
  } catch (error) {
    await postern.stop(0);
    throw error;
  }
  return postern;
}

type Tls = { readonly material: TlsMaterial | null; readonly warnings: readonly string[] };

/** Files that fit each other, and of which OpenSSL can make a context. */
function readTls(config: Config): Tls | { readonly faults: readonly string[] } {
  const tls = loadTlsMaterial(config);
  if ('faults' in tls) return tls;
  if (tls.material === null) return { material: null, warnings: [] };
  const { faults, warnings } = checkTlsMaterial(tls.material, wallMs());
  return faults.length > 0 ? { faults } : { material: tls.material, warnings };
}

/** There, ours alone, and fit to be used: before any shard changes anything in it. */
async function prepareSpool(directory: string): Promise<SpoolLock> {
  let lock: SpoolLock | null = null;
  try {
    lock = await lockSpool(await prepareFolder(directory), directory);
    await inspectSpool(directory);
    return lock;
  } catch (error) {
    lock?.release();
    throw error instanceof SpoolFolderError ? new StartFailure([error.message]) : error;
  }
}

export class Postern {
  readonly #config: Config;
  readonly #parts: PosternParts;
  readonly #lock: SpoolLock;
  readonly #sink: LogSink;
  readonly #supervisor: Supervisor;
  readonly #gate: Gate;
  readonly #watch: PressureWatch;
  readonly #status: Status;
  #tls: Tls;
  #token: AdminToken | null;
  #admin: AdminServer | null = null;
  #closeOperator: () => Promise<void> = async () => {};
  #listening: Addresses = { outside: [], inside: [], admin: null };
  #stopped: Promise<void> | null = null;
  readonly #policy: PolicyFile;

  constructor(config: Config, parts: PosternParts, tls: Tls, token: AdminToken | null, lock: SpoolLock) {
    const { hostname, workers } = config;
    const refusals = Object.entries(REPLIES).flatMap(([key, [code]]) => (code >= 400 ? [[key, code] as const] : []));
    const memory = createMetricsMemory(workers, Object.fromEntries(refusals));
    const metrics = new Metrics(memory, mainRow(memory));
    const pressed = pressureMemory();
    const word = new PressureWord(pressed);
    this.#config = config;
    this.#parts = parts;
    this.#lock = lock;
    this.#tls = tls;
    this.#token = token;
    this.#sink = new LogSink(
      config.logLevel,
      LOG_LIMITS,
      (lines) => metrics.count('log_lines_dropped', lines),
      parts.logTo,
    );
    this.#policy = new PolicyFile(
      config.config,
      config.spoolDir,
      config.workers,
      (detail) => this.#sink.log('source-trouble', { source: 'policy', detail }),
      () => this.#putInForce(),
    );
    this.#supervisor = new Supervisor(
      {
        config,
        node: newNode(),
        ticketSecret: randomSecret(32),
        workerFile: parts.workerFile ?? new URL('./shard.ts', import.meta.url).href,
        metricsMemory: memory,
        pressureMemory: pressed,
        logger: this.#sink,
        onLines: (lines) => this.#sink.write(lines),
        onSessionEnded: (key) => this.#gate.sessionEnded(key),
        onRestart: () => metrics.count('shard_restarts'),
        onHung: () => metrics.count('shards_hung'),
        patience: parts.patience,
      },
      tls.material,
    );
    const logger = this.#sink;
    const listen = parts.listen ?? chooseListen();
    this.#gate = new Gate({ config, dispatcher: this.#supervisor, pressure: word, metrics, logger, listen });
    const probes = {
      space: () => readSpoolSpace(config.spoolDir),
      residentBytes: readResidentBytes,
      queueMessages: () => totalOf(memory, 'queue_messages'),
    };
    this.#watch = new PressureWatch({ limits: config, probes, word, metrics, logger });
    const { slots } = this.#supervisor;
    const clients = () => this.#gate.clients;
    const hearClosings = () => this.#supervisor.hearClosings();
    const pressure = () => this.#watch.report();
    const rules = () => this.#policy.rules.totals();
    const filters = () => this.#policy.filters.totals();
    this.#status = new Status({ hostname, slots, memory, metrics, clients, hearClosings, pressure, rules, filters });
  }

  /** For `startPostern` only. */
  async start(): Promise<void> {
    this.#sink.log('starting', { pid: process.pid, node: process.version, config: redact(this.#config) });
    const { outside, inside } = await this.#gate.listen();
    await this.#policy.open();
    const read = await this.#policy.read();
    if ('faults' in read) throw new StartFailure(read.faults);
    await this.#supervisor.start(read.policy);
    await this.#watch.start();
    this.#logCertificates();
    this.#admin = await this.#openAdmin();
    await this.#openOperator();
    this.#listening = { outside, inside, admin: this.#admin?.address ?? null };
    this.#policy.watch(() => void this.reloadPolicy());
    this.#parts.onStarted?.(this);
    this.#status.state = 'serving';
    this.#sink.log('ready', { ...this.#listening, shards: this.#config.workers });
  }

  /** As bound: port 0 of the configuration is a real one here. */
  get listening(): Addresses {
    return this.#listening;
  }

  health(): Health {
    return this.#status.health();
  }

  report(): StatusReport {
    return this.#status.report();
  }

  /** Reads certificates and keys again: all of them take effect, or none. Open sessions go on as they are. */
  reloadTls(): boolean {
    const tls = readTls(this.#config);
    if ('faults' in tls) {
      this.#sink.log('tls-refused', { faults: tls.faults });
      return false;
    }
    this.#tls = tls;
    if (tls.material !== null) {
      this.#supervisor.reloadTls(tls.material);
      this.#admin?.reloadTls(tls.material);
    }
    this.#logCertificates();
    return true;
  }

  /** Reads the token for pushes again. */
  reloadToken(): boolean {
    const { adminTokenFile: file } = this.#config;
    if (file === '') return true;
    const read = loadAdminToken(file);
    if ('faults' in read) {
      this.#sink.log('token-refused', { faults: read.faults });
      return false;
    }
    this.#token = read.token;
    this.#sink.log('token-loaded', { file });
    return true;
  }

  /** Reads the policy file again: the whole of it takes effect, or nothing. Open transactions go on as they are. */
  async reloadPolicy(): Promise<boolean> {
    const { config: file } = this.#config;
    const read = await this.#policy.read();
    if ('faults' in read) {
      this.#sink.log('policy-refused', { file, faults: read.faults });
      return false;
    }
    this.#putInForce();
    this.#sink.log('policy-loaded', { file, rules: read.policy.document.rules.length });
    return true;
  }

  /** A shard dies as by a defect, and comes back: for the demo and for tests. */
  crashShard(shard: number): void {
    this.#supervisor.crash(shard);
  }

  /** Open transactions finish within `msMax`. Resolves when all is closed; calling it again waits for the same end. */
  stop(msMax = this.#config.shutdownSeconds * 1000, why = ''): Promise<void> {
    this.#stopped ??= this.#stop(msMax, why);
    return this.#stopped;
  }

  /** The last words of a process that cannot go on. */
  logFatal(error: unknown): void {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    this.#sink.log('fatal', { detail: message, stack: stack ?? '' });
    this.#sink.flush();
  }

  async #stop(msMax: number, why: string): Promise<void> {
    this.#status.state = 'stopping';
    this.#sink.log('stopping', { why, seconds: msMax / 1000 });
    this.#gate.stop();
    await this.#closeOperator();
    await this.#supervisor.stop(msMax);
    this.#gate.close();
    this.#watch.stop();
    await this.#admin?.close();
    await this.#policy.close();
    this.#lock.release();
    this.#sink.log('stopped');
    await this.#sink.end();
  }

  async #openAdmin(): Promise<AdminServer | null> {
    const { adminListen: at, adminTls, hostname } = this.#config;
    const { startAdmin } = this.#parts;
    if (at === null || startAdmin === undefined) return null;
    try {
      const pushes = this.#token === null ? null : { ...this.#pushes(), token: () => this.#token! };
      const tls = adminTls ? this.#tls.material : null;
      return await startAdmin({ at, hostname, pushes, tls }, this.#status);
    } catch (error) {
      throw new StartFailure([listenFault('adminListen', at, error as NodeJS.ErrnoException)]);
    }
  }

  /** Mail goes on without it, so that it cannot be had is an error in the log, not the end. */
  async #openOperator(): Promise<void> {
    const { startOperator } = this.#parts;
    if (startOperator === undefined) return;
    let place: SocketPlace | null = null;
    try {
      place = await socketPlace(this.#config.spoolDir);
      await removeStaleSocket(place);
      const desk = new QueueDesk(this.#supervisor.slots, this.#sink);
      const server = await startOperator(place.path, this.#status, desk, this.#pushes());
      this.#closeOperator = closing(server, place);
      await sealSocket(place);
    } catch (error) {
      this.#sink.log('admin-socket-failed', { detail: (error as Error).message });
      await this.#closeOperator();
      await place?.release();
    }
  }

  /** As it stands at this moment: a push may have come since the file was read. */
  #putInForce(): void {
    const policy = this.#policy.inForce;
    if (policy !== null) this.#supervisor.reloadPolicy(policy);
  }

  #pushes(): Pushes {
    return { recipients: this.#policy.recipients, logger: this.#sink };
  }

  #logCertificates(): void {
    const { material, warnings } = this.#tls;
    if (material === null) return;
    this.#sink.log('tls-loaded', { certificates: describeCertificates(material), warnings });
  }
}

/** Once: whoever stops may have failed to start before. */
function closing(server: { close(): Promise<void> }, place: SocketPlace): () => Promise<void> {
  let closed: Promise<void> | null = null;
  return () => {
    closed ??= server.close().then(() => place.release());
    return closed;
  };
}
