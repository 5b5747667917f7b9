import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DmarcChain, DmarcRules, DmarcVerdict } from '../../../src/policy/dmarc.ts';
import { disposeOf } from '../../../src/policy/dmarc.ts';

const FAILED: DmarcVerdict = { result: 'fail', domain: 'news.example.org', policy: 'reject' };
const NO_CHAIN: DmarcChain = { result: 'none', sealer: null, dmarcBefore: null };
const RULES: DmarcRules = { atMost: 'reject', exempt: [], trustedSealers: [] };

test('the owner is obeyed, and only for a failure', () => {
  for (const policy of ['none', 'quarantine', 'reject'] as const)
    assert.deepEqual(disposeOf({ ...FAILED, policy }, NO_CHAIN, RULES), { disposition: policy, override: null });
  for (const result of ['pass', 'none', 'temperror', 'permerror'] as const)
    assert.deepEqual(disposeOf({ ...FAILED, result }, NO_CHAIN, RULES), { disposition: 'none', override: null });
  assert.equal(disposeOf({ ...FAILED, policy: null }, NO_CHAIN, RULES).disposition, 'none');
});

test('no more is done than configured, and the reports say so', () => {
  const watched = disposeOf(FAILED, NO_CHAIN, { ...RULES, atMost: 'quarantine' });
  assert.deepEqual(watched, { disposition: 'quarantine', override: 'local_policy' });
});

test('domains are exempt with those below them, and no others', () => {
  const exempt = (list: string): string => disposeOf(FAILED, NO_CHAIN, { ...RULES, exempt: [list] }).disposition;
  assert.deepEqual(['example.org', 'news.example.org', 's.example.org', 'ws.example.org'].map(exempt), [
    'none',
    'none',
    'reject',
    'reject',
  ]);
});

test('a forwarder is believed that is trusted, whose chain holds, and for whom DMARC passed', () => {
  const rules = { ...RULES, trustedSealers: ['lists.test'] };
  const chain: DmarcChain = { result: 'pass', sealer: 'lists.test', dmarcBefore: 'pass' };
  assert.deepEqual(disposeOf(FAILED, chain, rules), { disposition: 'none', override: 'trusted_forwarder' });
  for (const other of [{ result: 'fail' }, { sealer: 'evil.test' }, { sealer: null }, { dmarcBefore: 'fail' }] as const)
    assert.equal(disposeOf(FAILED, { ...chain, ...other }, rules).disposition, 'reject');
});
