/**
 * Where a recipient's domain leads: the router gives a next hop, which names a site and the hosts to try in order.
 *
 *   routed by a rule ──► that server
 *   ours ──► POSTERN_INSIDE_ROUTE        anything else ──► POSTERN_OUTSIDE_ROUTE: a smart host, or the domain's MXes
 *
 * Answers at once where everything is written as an address, else as a promise: the usual message inward must not wait
 * for a turn of the event loop.
 */
import type { Config } from '../config/options.ts';
import type { Route } from '../config/parsers.ts';
import { printRoute, readRoute, withTls } from '../config/parsers.ts';
import { splitDestination } from '../message/destination.ts';
import type { Dns } from '../net/dns.ts';
import type { LocalDomains } from '../policy/recipient.ts';
import { isLocal } from '../policy/recipient.ts';
import type { MxSettings } from './mx.ts';
import { lookUpAddresses, resolveHosts } from './mx.ts';

/** One way to reach a site: a host and one of its addresses. */
export type Target = {
  readonly protocol: 'smtp' | 'lmtp';
  /** Name or literal as configured or found in DNS; for TLS, logs and DSNs. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly tls: Route['tls'];
  readonly credentials: Route['credentials'];
};

type Side = 'inside' | 'outside';

export type NextHop = {
  readonly tag: 'hop';
  /** Equal for all domains that share their set of hosts. */
  readonly site: string;
  readonly side: Side;
  /** In the order in which they are tried; never empty. */
  readonly targets: readonly Target[];
};
export type NoHop = {
  readonly tag: 'none';
  readonly permanent: boolean;
  readonly enhanced: string;
  readonly detail: string;
};

export type RouterSettings = {
  readonly local: LocalDomains;
  readonly insideRoute: readonly Route[];
  readonly outsideRoute: 'mx' | readonly Route[];
  readonly outsidePort: number;
  readonly insideTls: Config['insideTls'];
  readonly outsideTls: Config['outsideTls'];
  readonly mx: MxSettings;
};

export class Router {
  readonly #dns: Dns;
  readonly #settings: RouterSettings;
  readonly #inside: NextHop | null;

  constructor(dns: Dns, settings: RouterSettings) {
    this.#dns = dns;
    this.#settings = settings;
    this.#inside = literalHop('inside', settings.insideRoute);
  }

  /** `destination`: a domain, or a domain and a route (message/destination.ts). */
  nextHop(destination: string): NextHop | NoHop | Promise<NextHop | NoHop> {
    const settings = this.#settings;
    const { domain, route } = splitDestination(destination);
    const local = isLocal(domain, settings.local);
    if (route !== null) return this.#routed(local ? 'inside' : 'outside', route);
    if (local) return this.#inside ?? this.#named('inside', settings.insideRoute);
    if (settings.outsideRoute === 'mx') return this.#mx(domain);
    return literalHop('outside', settings.outsideRoute) ?? this.#named('outside', settings.outsideRoute);
  }

  async #mx(domain: string): Promise<NextHop | NoHop> {
    const found = await resolveHosts(this.#dns, domain, this.#settings.mx);
    if (found.tag === 'failed')
      return { tag: 'none', permanent: found.permanent, enhanced: found.enhanced, detail: found.detail };
    const targets: Target[] = [];
    for (const host of found.hosts) {
      for (const address of host.addresses) {
        const { outsidePort: port, outsideTls: tls } = this.#settings;
        targets.push({ protocol: 'smtp', host: host.name, address, port, tls, credentials: undefined });
      }
    }
    return { tag: 'hop', site: `mx ${found.site}`, side: 'outside', targets };
  }

  /**
   * Everything but the server is as the recipient's side has it: limits, and TLS where the route does not say. Its TLS
   * is a part of the site's name, so that no mail takes a connection that was made by another policy.
   */
  #routed(side: Side, text: string): NextHop | NoHop | Promise<NextHop | NoHop> {
    const read = readRoute(text);
    if (read === null) return { tag: 'none', permanent: false, enhanced: '4.3.5', detail: `no route: ${text}` };
    const { insideTls, outsideTls } = this.#settings;
    const route = withTls(read, side === 'inside' ? insideTls : outsideTls);
    const site = `${side} ${printRoute(route)}`;
    return literalHop(side, [route], site) ?? this.#named(side, [route], site);
  }

  /** A configured route with host names in it. One name that cannot be resolved does not hide the others. */
  async #named(side: Side, routes: readonly Route[], site = siteOf(side, routes)): Promise<NextHop | NoHop> {
    const found = await Promise.all(routes.map((route) => lookUpAddresses(this.#dns, route.host)));
    const targets = routes.flatMap((route, at) => (found[at] ?? []).map((address) => target(route, address)));
    if (targets.length > 0) return { tag: 'hop', site, side, targets };
    const names = routes.map((route) => route.host).join(', ');
    return { tag: 'none', permanent: false, enhanced: '4.4.3', detail: `no address found for ${names}` };
  }
}

function literalHop(side: Side, routes: readonly Route[], site = siteOf(side, routes)): NextHop | null {
  if (routes.length === 0 || !routes.every((route) => isAddress(route.host))) return null;
  return { tag: 'hop', site, side, targets: routes.map((route) => target(route, route.host)) };
}

/** Hosts come from the option table as names or as addresses without brackets; a name never ends in a digit. */
const isAddress = (host: string): boolean => host.includes(':') || /^[\d.]+$/.test(host);

const siteOf = (side: Side, routes: readonly Route[]): string =>
  `${side} ${routes.map((route) => `${route.protocol}://${route.host}:${route.port}`).join(',')}`;

function target(route: Route, address: string): Target {
  const { protocol, host, port, tls, credentials } = route;
  return { protocol, host, address, port, tls, credentials };
}
