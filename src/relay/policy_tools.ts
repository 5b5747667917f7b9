/** What a policy asks with, as the configuration has it: the same for a shard and for a check without one. */
import { LIMITS } from '../config/limits.ts';
import type { Config } from '../config/options.ts';
import type { FilterHooks } from '../filters/filter.ts';
import { listeningAddresses } from '../net/addresses.ts';
import type { Deadlines } from '../net/connection.ts';
import type { Dns } from '../net/dns.ts';
import { createDns } from '../net/dns.ts';
import type { LocalDomains } from '../policy/recipient.ts';
import type { Relaxer } from '../scanner/relaxer.ts';
import type { PolicyTools } from './policy.ts';
import { Router } from './router.ts';

export type ToolSettings = {
  readonly config: Config;
  readonly relaxer: Relaxer;
  readonly deadlines: Deadlines;
  readonly hooks: FilterHooks;
  readonly shard: number;
};

export function policyTools(settings: ToolSettings): { readonly tools: PolicyTools; readonly router: Router } {
  const { config } = settings;
  const dns = createDns({ servers: config.dnsServers, timeoutMsMax: config.dnsSecondsMax * 1000 });
  const local = { domains: new Set(config.domains), subdomains: config.subdomains };
  const router = routerOf(config, dns, local);
  const insideTargets = async () => {
    const hop = await router.nextHop(config.domains[0]!);
    return hop.tag === 'hop' ? hop.targets : [];
  };
  return { tools: { ...settings, local, dns, insideTargets, sourceMsMax: LIMITS.sourceMsMax }, router };
}

function routerOf(config: Config, dns: Dns, local: LocalDomains): Router {
  const listening = [...config.outsideListen, ...config.insideListen];
  return new Router(dns, {
    local,
    insideRoute: config.insideRoute,
    outsideRoute: config.outsideRoute,
    outsidePort: config.outsidePort,
    insideTls: config.insideTls,
    outsideTls: config.outsideTls,
    mx: {
      hostname: config.hostname,
      ownAddresses: listeningAddresses(listening.map(({ host }) => host)),
      allowPrivate: config.allowPrivateMx,
    },
  });
}
