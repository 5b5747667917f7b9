/** What is known of a client at each stage, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Source } from '../../../src/facts/source.ts';
import { Inspection } from '../../../src/relay/inspection.ts';
import type { Relay } from '../../../src/relay/relay.ts';
import { parseCommand } from '../../../src/smtp/command.ts';
import { testPolicy } from '../../support/policy.ts';

function setUp(yaml: string, sources: readonly Source[] = [], side: 'outside' | 'inside' = 'outside') {
  const relay = {
    policy: testPolicy(`authentication: { check: false }\n${yaml}`, sources),
    config: { hostname: 'mx.here.example' },
    local: { domains: new Set(['here.example']), subdomains: false },
    unavailable: () => null,
    logger: { log: () => {} },
  };
  const inspection = new Inspection(relay as unknown as Relay, 'session', { side, address: '192.0.2.7' });
  const say = async (line: string, tls = false) => {
    const command = parseCommand(line);
    assert.ok(command.verb !== 'mistake');
    return await inspection.command(command, tls);
  };
  return { inspection, say };
}

test('a second EHLO, as behind STARTTLS, takes the place of the first', async () => {
  const list: Source = {
    name: 'list',
    stage: 'helo',
    gives: ['dnsbl.score', 'listed'],
    ask: async ({ helo }) => ({ facts: { 'dnsbl.score': helo === 'clean.example' ? 0 : 3, listed: [] } }),
  };
  const rules = `
rules:
  - { id: two-points, when: { dnsbl.score: { atLeast: 2 }, from: all@x.example }, do: { reject: "Listed" } }`;
  const { say } = setUp(rules, [list]);
  assert.equal(await say('EHLO some.example'), null);
  assert.equal(await say('EHLO some.example', true), null);
  assert.equal(await say('MAIL FROM:<a@x.example>'), null);
  assert.equal(await say('RCPT TO:<b@here.example>'), null, 'three points are fewer than five');
  assert.equal((await say('MAIL FROM:<all@x.example>'))?.key, 'policyReject');
  assert.equal(await say('EHLO clean.example', true), null);
  assert.equal(await say('MAIL FROM:<all@x.example>'), null, 'what is said of another name is not said of this one');
});
