/** All scenarios, in the order of --list. */
import type { Scenario } from '../bench.ts';
import { commit } from './commit.ts';
import { crash } from './crash.ts';
import { deferredMillion } from './deferred_million.ts';
import { idle10k } from './idle_10k.ts';
import { relayAuth } from './relay_auth.ts';
import { relayFilters } from './relay_filters.ts';
import { relayLarge } from './relay_large.ts';
import { relayMixed } from './relay_mixed.ts';
import { relaySmall } from './relay_small.ts';
import { relayTls } from './relay_tls.ts';

export const SCENARIOS: readonly Scenario[] = [
  relaySmall,
  relayLarge,
  relayMixed,
  relayTls,
  relayAuth,
  relayFilters,
  idle10k,
  crash,
  commit,
  deferredMillion,
];
