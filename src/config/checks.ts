/** What one option says of another, and what their files hold. Each fault is a whole line that says what to write. */
import type { Config, HostPort, OptionKey } from './options.ts';
import { variableOf } from './options.ts';
import { loadTlsMaterial } from './tls_material.ts';
import { loadAdminToken } from './token_file.ts';

/** `about`: a fault is dropped when one of these was faulty by itself. */
export type CrossFault = { readonly about: readonly OptionKey[]; readonly fault: string };

export function crossFaults(config: Config): readonly CrossFault[] {
  const faults: CrossFault[] = [];
  const add = (about: readonly OptionKey[], words: string) =>
    faults.push({ about, fault: `${variableOf(about[0]!)} ${words}` });
  if (config.domains.length === 0)
    add(['domains'], 'is not set; write the domains that you accept mail for, as example.org');
  if (config.insideRoute.length === 0)
    add(['insideRoute'], 'is not set; write your inside servers, as smtp://10.0.0.5:25');
  if (config.outsideListen.length === 0) add(['outsideListen'], 'names no address; write address:port');
  faults.push(...clashes(config), ...pressureFaults(config));
  if (config.adminTokenFile !== '' && config.adminListen === null)
    add(
      ['adminTokenFile', 'adminListen'],
      `opens a door of ${variableOf('adminListen')}, which is empty; leave it out`,
    );
  if (config.adminTls && config.tlsCert.length === 0)
    add(
      ['adminTls', 'tlsCert'],
      `asks for TLS without a certificate; write ${variableOf('tlsCert')} and ${variableOf('tlsKey')}`,
    );
  const admin = loadAdminToken(config.adminTokenFile);
  if ('faults' in admin) faults.push(...admin.faults.map((fault) => ({ about: ['adminTokenFile'] as const, fault })));
  const tls = loadTlsMaterial(config);
  if ('faults' in tls) faults.push(...tls.faults.map((fault) => ({ about: ['tlsCert', 'tlsKey'] as const, fault })));
  return faults;
}

/** Marks that would be passed before anything is wrong, or only when it is too late. */
function pressureFaults(config: Config): readonly CrossFault[] {
  const { memoryBytesMax, memoryResidentBytesMax, segmentBytes, spoolFreeBytesMin, workers } = config;
  const faults: CrossFault[] = [];
  if (memoryResidentBytesMax > 0 && memoryBytesMax > memoryResidentBytesMax / 2) {
    const theirs = `${variableOf('memoryResidentBytesMax')} (${memoryResidentBytesMax})`;
    const words = `content alone would take more than half of ${theirs}; write less, or more there`;
    const fault = `${variableOf('memoryBytesMax')}="${memoryBytesMax}": ${words}`;
    faults.push({ about: ['memoryBytesMax', 'memoryResidentBytesMax'], fault });
  }
  if (spoolFreeBytesMin > 0 && spoolFreeBytesMin < 2 * workers * segmentBytes) {
    const least = 2 * workers * segmentBytes;
    const words = `half of it must hold a segment of each shard; write at least ${least}, or 0 for off`;
    const fault = `${variableOf('spoolFreeBytesMin')}="${spoolFreeBytesMin}": ${words}`;
    faults.push({ about: ['spoolFreeBytesMin', 'workers', 'segmentBytes'], fault });
  }
  return faults;
}

/**
 * Two listeners on one port: the same address, or one is the unspecified address of its family (we listen IPv6-only).
 */
function clashes(config: Config): readonly CrossFault[] {
  const doors: { readonly key: OptionKey; readonly at: HostPort }[] = [
    ...config.outsideListen.map((at) => ({ key: 'outsideListen' as const, at })),
    ...config.insideListen.map((at) => ({ key: 'insideListen' as const, at })),
    ...(config.adminListen === null ? [] : [{ key: 'adminListen' as const, at: config.adminListen }]),
  ];
  return doors.flatMap((door, index) => {
    const other = doors.slice(0, index).find((earlier) => overlaps(earlier.at, door.at));
    if (other === undefined) return [];
    const theirs = `${printHostPort(other.at)} of ${variableOf(other.key)}`;
    const fault = `${variableOf(door.key)}="${printHostPort(door.at)}": clashes with ${theirs}; write another port`;
    return [{ about: [door.key, other.key], fault }];
  });
}

function overlaps(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0 || a.host.includes(':') !== b.host.includes(':')) return false;
  return a.host === b.host || [a.host, b.host].some((host) => host === '0.0.0.0' || host === '::');
}

/** `192.0.2.1:25`, `[2001:db8::1]:25` */
export const printHostPort = ({ host, port }: HostPort): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;
