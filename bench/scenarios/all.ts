/** All scenarios, in the order of --list. */
import type { Scenario } from '../bench.ts';
import { adminHttp } from './admin_http.ts';
import { commit } from './commit.ts';
import { connectFlood } from './connect_flood.ts';
import { crash } from './crash.ts';
import { deferredMillion } from './deferred_million.ts';
import { fanOut } from './fan_out.ts';
import { idle10k } from './idle_10k.ts';
import { relayAuth } from './relay_auth.ts';
import { relayFilters } from './relay_filters.ts';
import { relayLarge } from './relay_large.ts';
import { relayMixed } from './relay_mixed.ts';
import { relaySmall } from './relay_small.ts';
import { relayTls } from './relay_tls.ts';
import { slowClients } from './slow_clients.ts';

export const SCENARIOS: readonly Scenario[] = [
  relaySmall,
  relayLarge,
  relayMixed,
  relayTls,
  relayAuth,
  relayFilters,
  fanOut,
  connectFlood,
  slowClients,
  adminHttp,
  idle10k,
  crash,
  commit,
  deferredMillion,
];
