import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { BUILTIN } from '../../../src/policy/builtin.ts';
import type { Fault } from '../../../src/policy/condition.ts';
import type { RuleText } from '../../../src/policy/rule_text.ts';
import { parseRules, RULE } from '../../../src/policy/rule_text.ts';
import { Rules } from '../../../src/policy/rules.ts';

const NO_LISTS = { has: () => false };

function parse(texts: readonly unknown[], lists: readonly string[] = []) {
  const faults: Fault[] = [];
  const rules = parseRules(z.array(RULE).parse(texts), new Set(lists), ['rules'], faults);
  return { rules, faults: faults.map(({ path, message }) => `${path.join('.')}: ${message}`) };
}
function rulesOf(...texts: readonly RuleText[]): Rules {
  const { rules, faults } = parse(texts);
  assert.deepEqual(faults, []);
  return new Rules(rules);
}

test('the first final action of a stage ends it, what comes before adds up', () => {
  const rules = rulesOf(
    { id: 'slow', when: { side: 'outside' }, do: { tarpit: 2 } },
    { id: 'slower', when: { side: 'outside' }, do: { tarpit: 3 } },
    { id: 'not-this', when: { side: 'inside' }, do: { reject: 'no' } },
    { id: 'go', when: {}, do: { reject: 'Go away' } },
    { id: 'never', when: {}, do: { tarpit: 9 } },
  );
  const verdict = rules.judge('connect', { side: 'outside' }, NO_LISTS);
  assert.deepEqual(verdict.final, { tag: 'reject', rule: 'go', text: 'Go away', status: '5.7.1' });
  assert.equal(verdict.tarpitSeconds, 5);
  assert.deepEqual(
    verdict.trials.map(({ rule, matched }) => [rule.id, matched]),
    [
      ['slow', true],
      ['slower', true],
      ['not-this', false],
      ['go', true],
    ],
  );
});

test('a dry run is told and does nothing', () => {
  const rules = rulesOf({ id: 'try', when: {}, do: { reject: 'no' }, dryRun: true });
  const verdict = rules.judge('connect', {}, NO_LISTS);
  assert.equal(verdict.final, null);
  assert.deepEqual(
    verdict.trials.map(({ rule, matched }) => [rule.id, matched, rule.dryRun]),
    [['try', true, true]],
  );
});

test('a rule stands at the earliest stage that knows its facts, or later where it says so', () => {
  const { rules } = parse([
    { id: 'a', when: { side: 'outside' }, do: { reject: 'x' } },
    { id: 'b', when: { spf: 'fail', side: 'outside' }, do: { reject: 'x' } },
    { id: 'c', stage: 'rcpt', when: { helo: 'x' }, do: { defer: 'x' } },
    { id: 'd', when: { side: 'outside' }, do: { hold: true } },
    { id: 'e', when: { dmarc: 'fail' }, do: { tag: { header: 'X-Dmarc', value: 'fail' } } },
  ]);
  assert.deepEqual(
    rules.map(({ stage }) => stage),
    ['connect', 'mail', 'rcpt', 'data', 'data'],
  );
});

test('the first route of a stage counts, and whoever stands behind it is asked as ever', () => {
  const rules = rulesOf(
    { id: 'there', when: { rcpt: 'b@here.example' }, do: { route: 'smtp://10.0.0.9' } },
    { id: 'elsewhere', when: {}, do: { route: 'lmtp://Else.example:2400?tls=require' } },
    { id: 'dry', when: {}, do: { route: 'smtp://dry.example' }, dryRun: true },
    { id: 'spam', when: { 'spam.score': { atLeast: 5 } }, do: { route: 'smtp://[2001:DB8::5]' } },
    { id: 'unknown', when: { 'rcpt.known': false }, do: { reject: 'No' } },
  );
  const at = (facts: object) => rules.judge('rcpt', facts, NO_LISTS);
  assert.equal(at({ rcpt: 'b@here.example' }).route, 'smtp://10.0.0.9:25');
  assert.equal(at({ rcpt: 'c@here.example' }).route, 'lmtp://else.example:2400?tls=require');
  const refused = at({ rcpt: 'b@here.example', 'rcpt.known': false });
  assert.deepEqual([refused.route, refused.final?.rule], ['smtp://10.0.0.9:25', 'unknown']);
  assert.equal(rules.judge('data', { 'spam.score': 7 }, NO_LISTS).route, 'smtp://[2001:db8::5]:25');
  assert.equal(rules.judge('data', { 'spam.score': 3 }, NO_LISTS).route, null);
});

test('a route that leads nowhere, or comes too early, is refused', () => {
  const faultsOf = (route: string): string[] => {
    const parsed = RULE.safeParse({ id: 'x', when: {}, do: { route } });
    return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
  for (const route of [
    '10.0.0.9:25',
    'http://h',
    'smtp://',
    'smtp://h/x',
    'smtp://h?tls=maybe',
    'smtp://h:0',
    'mx',
    '',
  ]) {
    assert.match(String(faultsOf(route)), /^do\.route: (?:must|has) /, route);
  }
  for (const route of ['smtp://u:hunter2@h', 'smtp://u@h']) {
    assert.deepEqual(faultsOf(route), ['do.route: must have no user and no password: it is kept with each message']);
  }
  const route = 'smtp://h';
  const { rules, faults } = parse([
    { id: 'early', stage: 'mail', when: {}, do: { route } },
    { id: 'a', when: { side: 'outside' }, do: { route } },
    { id: 'b', when: { 'header.from.domain': 'x.example' }, do: { route } },
    { id: 'c', when: { dmarc: 'fail' }, do: { route } },
    { id: 'd', stage: 'data', when: { from: 'a@x.example' }, do: { route } },
  ]);
  assert.deepEqual(faults, ['rules.0.stage: route is for the stages rcpt, headers and data']);
  assert.deepEqual(
    rules.map(({ stage }) => stage),
    ['rcpt', 'headers', 'data', 'data'],
  );
});

test('a network may stand where the name of a list does', () => {
  const rule = (network: string) => ({ id: 'x', when: { 'client.address': { in: network } }, do: { accept: true } });
  for (const network of ['10.0.0.0/8', '2001:db8::/32']) assert.deepEqual(parse([rule(network)]).faults, [], network);
  for (const network of ['10.0.0.0/33', '10.0.0.1', 'x/8'])
    assert.deepEqual(parse([rule(network)]).faults, [`rules.0.when: there is no list "${network}"`]);
});

test('rules that cannot work are refused', () => {
  const { faults } = parse([
    { id: 'same', when: {}, do: { accept: true } },
    { id: 'same', when: {}, do: { accept: true } },
    { id: 'early', stage: 'connect', when: { rcpt: 'x' }, do: { reject: 'x' } },
    { id: 'drop', stage: 'rcpt', when: {}, do: { discard: true } },
    { id: 'list', when: { helo: { in: 'nowhere' } }, do: { reject: 'x' } },
  ]);
  assert.deepEqual(faults, [
    'rules.1.id: same is the id of another rule, too',
    'rules.2.stage: its facts are known from rcpt on',
    'rules.3.stage: discard is for the stages headers and data',
    'rules.4.when: there is no list "nowhere"',
  ]);
  assert.equal(RULE.safeParse({ id: 'x', when: {}, do: { reject: 'a\r\nb' } }).success, false);
  assert.equal(RULE.safeParse({ id: 'x', when: {}, do: { reject: 'a', defer: 'b' } }).success, false);
  assert.equal(RULE.safeParse({ id: 'X y', when: {}, do: { accept: true } }).success, false);
});

test('the built-in rules are rules, and without facts none of them holds', () => {
  const rules = rulesOf(...BUILTIN);
  for (const stage of ['connect', 'helo', 'mail', 'rcpt', 'headers', 'data'] as const) {
    const verdict = rules.judge(stage, { side: 'outside' }, NO_LISTS);
    assert.equal(verdict.final, null, stage);
  }
});

test('what the built-in rules are for', () => {
  const rules = rulesOf(...BUILTIN);
  const outside = { side: 'outside' } as const;
  const at = (stage: 'rcpt' | 'data', facts: object) => rules.judge(stage, { ...outside, ...facts }, NO_LISTS).final;
  assert.equal(at('rcpt', { 'rcpt.known': false })?.rule, 'unknown-recipient');
  assert.equal(at('rcpt', { 'rcpt.known': true }), null);
  assert.equal(at('rcpt', { 'dnsbl.score': 5 })?.rule, 'block-list');
  assert.equal(at('rcpt', { 'dnsbl.score': 5, 'dnswl.score': 5 }), null);
  assert.equal(at('rcpt', { 'grey.waiting': true })?.tag, 'defer');
  assert.equal(at('rcpt', { 'rate.exceeded': ['clients'] })?.tag, 'defer');
  assert.equal(at('data', { side: 'inside', 'rate.exceeded': ['senders'] })?.tag, 'hold');
  assert.equal(at('data', { dmarc: 'fail', 'dmarc.disposition': 'reject' })?.rule, 'dmarc-reject');
  assert.equal(at('data', { dmarc: 'fail', 'dmarc.policy': 'reject', 'dmarc.disposition': 'none' }), null);
  assert.equal(at('data', { dmarc: 'permerror', 'dmarc.disposition': 'none' })?.rule, 'no-author');
  const quarantined = rules.judge('data', { ...outside, 'dmarc.disposition': 'quarantine' }, NO_LISTS);
  assert.deepEqual([quarantined.final, quarantined.tags], [null, [{ header: 'X-Spam-Flag', value: 'YES' }]]);
  assert.equal(at('data', { virus: ['Eicar'] })?.rule, 'virus');
  assert.equal(at('data', { virus: [] }), null);
});
