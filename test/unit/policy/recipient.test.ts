import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeRecipient } from '../../../src/policy/recipient.ts';

const LOCAL = { domains: new Set(['example.org', 'example.net']), subdomains: false };
const WITH_SUBDOMAINS = { ...LOCAL, subdomains: true };
const outside = (local: string, domain: string) => ({ side: 'outside' as const, mailbox: { local, domain } });

test('from outside, our domains pass and no other', () => {
  assert.equal(judgeRecipient(outside('user', 'example.org'), LOCAL), null);
  assert.equal(judgeRecipient(outside('user', 'example.com'), LOCAL), 'relayDenied');
  assert.equal(judgeRecipient(outside('user', 'xexample.org'), LOCAL), 'relayDenied');
  assert.equal(judgeRecipient(outside('user', 'example.org.evil.test'), LOCAL), 'relayDenied');
});

test('subdomains pass only by option, at any depth', () => {
  assert.equal(judgeRecipient(outside('user', 'a.b.example.org'), LOCAL), 'relayDenied');
  assert.equal(judgeRecipient(outside('user', 'a.b.example.org'), WITH_SUBDOMAINS), null);
  assert.equal(judgeRecipient(outside('user', 'xexample.org'), WITH_SUBDOMAINS), 'relayDenied');
});

test('nothing in a local part makes another domain ours, or ours another', () => {
  for (const local of ['user%example.com', 'example.com!user', '"user@example.com"']) {
    assert.equal(judgeRecipient(outside(local, 'example.org'), LOCAL), null);
  }
  for (const local of ['user%example.org', 'example.org!user', '"user@example.org"']) {
    assert.equal(judgeRecipient(outside(local, 'example.com'), LOCAL), 'relayDenied');
  }
});

test('an address literal is nobody of ours', () => {
  assert.equal(judgeRecipient(outside('user', '[127.0.0.1]'), WITH_SUBDOMAINS), 'relayDenied');
});

test('the postmaster without a domain is always ours', () => {
  assert.equal(judgeRecipient(outside('Postmaster', ''), LOCAL), null);
});

test('from inside, anybody', () => {
  assert.equal(judgeRecipient({ side: 'inside', mailbox: { local: 'a', domain: 'example.com' } }, LOCAL), null);
});
