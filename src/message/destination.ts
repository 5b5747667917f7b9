/**
 * Where a recipient goes, as one text that many recipients share, so that a million of them are numbers of texts: the
 * domain, and behind a blank, which no domain has, the route that a rule gave it.
 *
 *   example.org        example.org smtp://quarantine.example:25?tls=require
 */
import type { Recipient } from './envelope.ts';

export type Destination = { readonly domain: string; readonly route: string | null };

export function destinationOf({ address, route }: Recipient): string {
  const domain = address.slice(address.lastIndexOf('@') + 1);
  return route === undefined ? domain : `${domain} ${route}`;
}

export function splitDestination(text: string): Destination {
  const blank = text.indexOf(' ');
  return blank === -1 ? { domain: text, route: null } : { domain: text.slice(0, blank), route: text.slice(blank + 1) };
}
