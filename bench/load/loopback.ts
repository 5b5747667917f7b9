/** Whether a host is this machine: load on any other is sent only by whoever says that he may. */
import ipaddr from 'ipaddr.js';

export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}
