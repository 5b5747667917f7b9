/**
 * What a relay of another make has to bring for a place beside Postern: the same job (mail from loopback, queued as
 * durably as it comes, all of it relayed to the sink), in a folder of its own, on loopback, with nothing left when it
 * has stopped.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type PeerOptions = {
  /** Empty, or to be made; everything of this run goes here. */
  readonly folder: string;
  /** The sink, on 127.0.0.1. */
  readonly sinkPort: number;
  /** STARTTLS is offered, with session tickets. */
  readonly tls?: CertificateFiles;
};

/** PEM. */
export type CertificateFiles = { readonly certFile: string; readonly keyFile: string };

export type PeerRelay = {
  readonly version: string;
  readonly port: number;
  /** The root of all its processes. */
  readonly pid: number;
  /** So far at most, or now, where there are many processes. */
  memoryBytes(): number;
  stop(): Promise<void>;
};

export type Peer = {
  readonly name: string;
  /** What has been done for a message when its 250 leaves; each was seen with strace, in this configuration. */
  readonly durability: string;
  /** Why its CPU time cannot be read, where it cannot. */
  readonly cpuUnknown?: string;
  /** What has to be done to have it here. */
  readonly getIt: string;
  /** It can be asked for STARTTLS. */
  readonly tls?: true;
  /** Why it cannot run here. */
  missing(): string | undefined;
  /** Fetches it into `PEERS_FOLDER`; none where only the machine's own will do. */
  readonly install?: () => void;
  start(options: PeerOptions): Promise<PeerRelay>;
};

/** Peers that are fetched and not installed. */
export const PEERS_FOLDER = join(fileURLToPath(new URL('../..', import.meta.url)), 'var', 'peers');

/** Raised to the same for all that limit it: more than a scenario that compares has open at once. */
export const PEER_SESSIONS_MAX = 200;
/** To the sink at once: it is the one next hop, as a busy site is. */
export const PEER_DELIVERIES_MAX = 50;
