/** Addresses: one text for each, whom admission counts, what is not public, and lists of networks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import {
  clientKey,
  isAddress,
  isLoopback,
  isPrivate,
  listeningAddresses,
  NetworkSet,
  normaliseAddress,
} from '../../../src/net/addresses.ts';

const v4 = fc.ipV4();
const v6 = fc.ipV6().map(normaliseAddress);

test('an address has one text', () => {
  const cases = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '::FFFF:c000:0201': '192.0.2.1',
    '2001:DB8:0:0:0::1': '2001:db8::1',
    'fe80::1%eth0': 'fe80::1',
    '::1': '::1',
    '': '',
    'no address': 'no address',
    ':::': ':::',
  };
  for (const [text, expected] of Object.entries(cases)) assert.equal(normaliseAddress(text), expected);
});

test('a client is an IPv4 address, or a /64', () => {
  const cases = {
    '192.0.2.1': '192.0.2.1',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2',
    '2001:db8:1:2::': '2001:db8:1:2',
    '2001:db8::7': '2001:db8:0:0',
    '2001:db8::1:2:3:4:5': '2001:db8:0:1',
    '2001:db8:1::': '2001:db8:1:0',
    '::1': '0:0:0:0',
    '::': '0:0:0:0',
    '::2:3:4:5:6:7:8': '0:2:3:4',
  };
  for (const [address, key] of Object.entries(cases)) assert.equal(clientKey(address), key, address);
});

test('an address is told from a name, and from what merely works as one somewhere', () => {
  for (const text of ['192.0.2.1', '::1', '::ffff:192.0.2.1', 'fe80::1%lo']) assert.ok(isAddress(text), text);
  for (const text of [
    '',
    'localhost',
    '127.1',
    '010.0.0.1',
    '0x7f000001',
    '2130706433',
    '1.2.3.4.5',
    '[::1]',
    '192.0.2.1:25',
  ])
    assert.ok(!isAddress(text), text);
});

test('two IPv6 addresses are one client exactly if their first 64 bits are equal', () => {
  const bits = (address: string) =>
    ipaddr.IPv6.parse(address)
      .parts.slice(0, 4)
      .map((part) => part.toString(16));
  fc.assert(
    fc.property(v6, (address) => {
      if (address.includes(':')) assert.equal(clientKey(address), bits(address).join(':'));
    }),
    { numRuns: 1000 },
  );
});

test('what is not unicast on the public Internet is private', () => {
  const addresses = [
    ...[
      '0.0.0.0',
      '0.1.2.3',
      '10.1.2.3',
      '100.64.0.1',
      '100.127.255.255',
      '127.0.0.1',
      '127.255.255.254',
      '169.254.169.254',
    ],
    ...[
      '172.16.0.1',
      '172.31.255.255',
      '192.0.0.8',
      '192.0.2.1',
      '192.168.1.1',
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.1',
    ],
    ...['224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255'],
    ...[
      '::',
      '::1',
      'fe80::1',
      'fe80::1%lo',
      'febf::1',
      'fec0::1',
      'fc00::1',
      'fd12:3456::1',
      'ff02::1',
      '2001:db8::1',
    ],
    ...['100::1', '5f00::1', '3fff::1', '4000::1', '2001::1', '2001:2::1', '2001:10::1'],
    ...['::ffff:10.0.0.1', '::ffff:127.0.0.1', '::127.0.0.1', '::10.0.0.1', '::ffff:0:10.0.0.1'],
    ...[
      '64:ff9b::10.0.0.1',
      '64:ff9b::127.0.0.1',
      '64:ff9b:1::8.8.8.8',
      '2002:0a00:0001::1',
      '2002:7f00:1::',
      '2002:c0a8:101::1',
    ],
    ...['', 'localhost', '127.1', '0x7f.0.0.1', '2130706433', '010.0.0.1', '[::1]'],
  ];
  for (const address of addresses) assert.ok(isPrivate(address), address);
});

test('what is, is not', () => {
  const addresses = [
    ...[
      '8.8.8.8',
      '1.1.1.1',
      '100.63.255.255',
      '100.128.0.1',
      '172.15.0.1',
      '172.32.0.1',
      '192.167.1.1',
      '223.255.255.255',
    ],
    ...[
      '2a00:1450:4001::1',
      '2600::1',
      '2001:4860:4860::8888',
      '::ffff:8.8.8.8',
      '64:ff9b::8.8.8.8',
      '2002:808:808::1',
    ],
  ];
  for (const address of addresses) assert.ok(!isPrivate(address), address);
});

test('loopback is known in all its forms', () => {
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(address), address);
  for (const address of ['10.0.0.1', '::2', '', 'localhost']) assert.ok(!isLoopback(address), address);
});

test('a set of networks holds what is in one of them', () => {
  const set = new NetworkSet(['10.0.0.0/8', '192.0.2.128/25', '198.51.100.7/32', '2001:db8::/32', 'fd00::1/128']);
  for (const address of ['10.255.0.1', '::ffff:10.0.0.1', '192.0.2.200', '198.51.100.7', '2001:db8:ffff::1', 'fd00::1'])
    assert.ok(set.contains(address), address);
  for (const address of ['11.0.0.1', '192.0.2.1', '198.51.100.6', '2001:db9::1', 'fd00::2', '', 'x', '10.0.0'])
    assert.ok(!set.contains(address), address);
});

test('the empty set holds nothing, /0 its whole family, and a mapped network is one of IPv4', () => {
  assert.ok(!new NetworkSet([]).contains('192.0.2.1'));
  const all = new NetworkSet(['0.0.0.0/0']);
  assert.ok(all.contains('255.255.255.255') && all.contains('0.0.0.0') && !all.contains('2001:db8::1'));
  const all6 = new NetworkSet(['::/0']);
  assert.ok(all6.contains('ffff::') && !all6.contains('192.0.2.1'));
  const mapped = new NetworkSet(['::ffff:10.0.0.0/104']);
  assert.ok(mapped.contains('10.1.2.3') && !mapped.contains('11.1.2.3'));
});

test('a set of networks agrees with the slow way', () => {
  const cidr4 = fc.tuple(v4, fc.integer({ min: 0, max: 32 }));
  const cidr6 = fc.tuple(v6, fc.integer({ min: 0, max: 128 })).filter(([address]) => address.includes(':'));
  const cidrs = fc.array(fc.oneof(cidr4, cidr6), { maxLength: 8 });
  fc.assert(
    fc.property(cidrs, fc.oneof(v4, v6), (networks, probe) => {
      const set = new NetworkSet(networks.map(([address, length]) => `${address}/${length}`));
      const parsed = ipaddr.parse(probe);
      const slow = (address: string) =>
        networks.some(([network, length]) => {
          const other = ipaddr.parse(network);
          return other.kind() === ipaddr.parse(address).kind() && ipaddr.parse(address).match(other, length);
        });
      assert.equal(set.contains(parsed.toString()), slow(probe));
      for (const [address] of networks) assert.ok(set.contains(address), 'a network holds its own address');
    }),
    { numRuns: 500 },
  );
});

test('a wildcard listener is reached at every address of the machine', () => {
  assert.deepEqual(listeningAddresses(['192.0.2.1', '2001:DB8::1']), ['192.0.2.1', '2001:db8::1']);
  const all = listeningAddresses(['0.0.0.0']);
  assert.ok(all.includes('127.0.0.1') && all.every((address) => !address.includes(':')), all.join());
  assert.ok(listeningAddresses(['::']).includes('127.0.0.1'));
});
