/** Where a destination leads: by its domain, or by the route that a rule gave it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { destinationOf } from '../../../src/message/destination.ts';
import { Router } from '../../../src/relay/router.ts';
import { FakeDns } from '../../support/fake_dns.ts';

const DNS = { 'A q.example': ['10.0.0.7'], 'MX else.example': [{ preference: 10, exchange: 'mx.else.example' }] };

function setUp(environment: Readonly<Record<string, string>> = {}, dns = new FakeDns(DNS)) {
  const loaded = loadConfig({
    POSTERN_DOMAINS: 'here.example',
    POSTERN_INSIDE_ROUTE: 'smtp://10.0.0.5?tls=require',
    POSTERN_OUTSIDE_ROUTE: 'smtp://u:p@10.0.0.6:587',
    ...environment,
  });
  assert.ok('config' in loaded, JSON.stringify(loaded));
  const { config } = loaded;
  const router = new Router(dns, {
    local: { domains: new Set(config.domains), subdomains: false },
    insideRoute: config.insideRoute,
    outsideRoute: config.outsideRoute,
    outsidePort: config.outsidePort,
    insideTls: config.insideTls,
    outsideTls: config.outsideTls,
    mx: { hostname: 'mx.here.example', ownAddresses: [], allowPrivate: false },
  });
  return (address: string, route?: string) =>
    router.nextHop(destinationOf(route === undefined ? { address } : { address, route }));
}

test('a route takes the place of what the router would say, inside and outside', () => {
  const hopOf = setUp({ POSTERN_INSIDE_TLS: 'never' });
  const address = '10.0.0.9';
  const target = { protocol: 'lmtp', host: address, address, port: 24, credentials: undefined };
  assert.deepEqual(hopOf('b@here.example', 'lmtp://10.0.0.9:24'), {
    ...{ tag: 'hop', site: 'inside lmtp://10.0.0.9:24?tls=never', side: 'inside' },
    targets: [{ ...target, tls: 'never' }],
  });
  assert.deepEqual(hopOf('b@else.example', 'lmtp://10.0.0.9:24'), {
    ...{ tag: 'hop', site: 'outside lmtp://10.0.0.9:24?tls=may', side: 'outside' },
    targets: [{ ...target, tls: 'may' }],
  });
});

test('mail to one server by different TLS policies never shares a site, nor that of the configuration', () => {
  const hopOf = setUp();
  const hops = ['', '?tls=require', '?tls=never'].map((tls) => hopOf('b@here.example', `smtp://10.0.0.5:25${tls}`));
  const sites = [hopOf('b@here.example'), ...hops].map((hop) => 'site' in hop && hop.site);
  assert.deepEqual(sites, [
    'inside smtp://10.0.0.5:25',
    'inside smtp://10.0.0.5:25?tls=may',
    'inside smtp://10.0.0.5:25?tls=require',
    'inside smtp://10.0.0.5:25?tls=never',
  ]);
});

test("a name is looked up for its addresses, private ones as well, and its MX is nobody's affair", async () => {
  const dns = new FakeDns(DNS);
  const hop = await setUp({}, dns)('b@else.example', 'smtp://q.example:2525');
  assert.deepEqual(dns.asked, ['A q.example', 'AAAA q.example']);
  assert.ok(hop.tag === 'hop');
  assert.deepEqual([hop.site, hop.targets[0]?.address], ['outside smtp://q.example:2525?tls=may', '10.0.0.7']);
});

test('an address of IPv6 is one again', () => {
  const hop = setUp()('b@here.example', 'smtp://[2001:db8::5]:2525?tls=require');
  assert.ok(!(hop instanceof Promise) && hop.tag === 'hop');
  assert.equal(hop.site, 'inside smtp://[2001:db8::5]:2525?tls=require');
  const address = '2001:db8::5';
  assert.deepEqual(hop.targets, [
    { protocol: 'smtp', host: address, address, port: 2525, tls: 'require', credentials: undefined },
  ]);
});

test('who cannot be found now, and what cannot be read, is waited for', async () => {
  for (const route of ['smtp://gone.example:25', 'nntp://10.0.0.9']) {
    const hop = await setUp()('b@here.example', route);
    assert.ok(hop.tag === 'none', route);
    assert.equal(hop.permanent, false, route);
  }
});
