/** From a row of the policy file to a filter that can be used. */
import type { FilterConfig } from '../config/filters.ts';
import type { Timers } from '../net/dns_exchange.ts';
import { BodyBudget } from './changes.ts';
import { Clamd } from './clamd.ts';
import type { Filter, FilterHooks } from './filter.ts';
import { GuardedFilter } from './guarded.ts';
import { Hook } from './hook.ts';
import { Milter } from './milter.ts';
import type { Protocol } from './protocol.ts';
import { Rspamd } from './rspamd.ts';
import { Spamd } from './spamd.ts';
import type { FilterNet } from './wire.ts';

export type FilterPorts = FilterNet & { readonly timers: Timers; readonly hooks: FilterHooks };

/** Connects to nobody before its first message. */
export function createFilter(config: FilterConfig, ports: FilterPorts): Filter {
  return new GuardedFilter(config, protocolOf(config, ports, new BodyBudget()), ports.timers, ports.hooks);
}

function protocolOf(config: FilterConfig, net: FilterNet, budget: BodyBudget): Protocol {
  switch (config.type) {
    case 'milter':
      return new Milter(config, net, budget);
    case 'rspamd':
      return new Rspamd(config, net, budget);
    case 'clamd':
      return new Clamd(config, net);
    case 'spamd':
      return new Spamd(config, net, budget);
    case 'http':
      return new Hook(config, net, budget);
  }
}
