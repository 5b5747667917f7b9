/** Addresses in fields are found where they are, and rewritten there and back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { REWRITE } from '../../../src/config/policy/rewrite.ts';
import { addressPlaces } from '../../../src/message/address_list.ts';
import { areSound } from '../../../src/message/edits.ts';
import type { Edit } from '../../../src/message/envelope.ts';
import { splitHeaders } from '../../../src/message/headers.ts';
import { ADDRESSES_REWRITTEN_MAX, clashes, type Direction, Rewriting } from '../../../src/message/rewriting.ts';

const found = (value: string): string[] =>
  addressPlaces(value, 100).map(
    ({ localStart, localEnd, domainStart, domainEnd }) =>
      `${value.slice(localStart, localEnd)}@${value.slice(domainStart, domainEnd)}`,
  );

describe('addresses of a list', () => {
  const table: readonly (readonly [value: string, addresses: readonly string[]])[] = [
    ['', []],
    [' bob@b.example', ['bob@b.example']],
    ['<bob@b.example>', ['bob@b.example']],
    ['Bob <bob@b.example>, ann@a.example', ['bob@b.example', 'ann@a.example']],
    ['"Smith, Bob" <bob@b.example>', ['bob@b.example']],
    ['"x@y.example" <bob@b.example>', ['bob@b.example']],
    ['x@y.example <bob@b.example>', ['bob@b.example']],
    ['Smith, Bob <bob@b.example>', ['bob@b.example']],
    ['=?utf-8?q?B=F6b=40x?= <bob@b.example>', ['bob@b.example']],
    ['bob@b.example (ann@a.example)', ['bob@b.example']],
    ['bob (one (two) \\) x@y.z) @ (c) b.example', ['bob@b.example']],
    ['friends: ann@a.example, <bob@b.example>;, c@d.example', ['ann@a.example', 'bob@b.example', 'c@d.example']],
    ['undisclosed-recipients:;', []],
    ['<@r.example,@s.example:bob@b.example>', ['bob@b.example']],
    ['"a b"@b.example', ['"a b"@b.example']],
    ['"a\\"@x"@b.example', ['"a\\"@x"@b.example']],
    ['bob@[192.0.2.7]', ['bob@[192.0.2.7]']],
    ['bob\r\n @b.example', ['bob@b.example']],
    ['a . b@b.example', []],
    ['a. b@b.example', []],
    ['bob@', []],
    ['@b.example', []],
    ['<>', []],
    ['bob@b.example> , x@y.example', ['bob@b.example', 'x@y.example']],
    ['<bob@b.example', ['bob@b.example']],
    ['"bob@b.example', []],
    ['(bob@b.example', []],
    ['<a@b.example> <c@d.example>', ['c@d.example']],
    ['a@b@c.example', ['b@c.example']],
  ];
  for (const [value, addresses] of table) test(JSON.stringify(value), () => assert.deepEqual(found(value), addresses));

  test('are found in a time that does not grow with the square of the value', () => {
    for (const piece of ['(', '"', '<', 'a@', '[', '\\', 'a,', '@', ':', 'a@b,'])
      addressPlaces(piece.repeat(250_000), 5000);
  });
});

const TABLE = REWRITE.parse({
  addresses: [{ inside: 'alice@corp.local', outside: 'Alice.Smith@example.org' }],
  domains: [
    { inside: 'corp.local', outside: 'example.org' },
    { inside: 'lab.local', outside: 'lab.example.com' },
  ],
  masquerade: ['example.net'],
});
const rewriting = new Rewriting(TABLE);

describe('an address', () => {
  const table: readonly (readonly [address: string, Direction, out: string])[] = [
    ['alice@corp.local', 'outwards', 'Alice.Smith@example.org'],
    ['ALICE@Corp.Local', 'outwards', 'Alice.Smith@example.org'],
    ['"alice"@corp.local', 'outwards', 'Alice.Smith@example.org'],
    ['Bob@corp.local', 'outwards', 'Bob@example.org'],
    ['bob@mail7.example.net', 'outwards', 'bob@example.net'],
    ['bob@a.b.example.net', 'outwards', 'bob@example.net'],
    ['bob@badexample.net', 'outwards', 'bob@badexample.net'],
    ['bob@mail7.example.net', 'inwards', 'bob@mail7.example.net'],
    ['bob@other.example', 'outwards', 'bob@other.example'],
    ['', 'outwards', ''],
    ['Postmaster', 'inwards', 'Postmaster'],
    ['"a@corp.local"@other.example', 'outwards', '"a@corp.local"@other.example'],
    ['alice.smith@example.org', 'inwards', 'alice@corp.local'],
    ['bob@EXAMPLE.ORG', 'inwards', 'bob@corp.local'],
  ];
  for (const [address, direction, out] of table)
    test(`${address} ${direction}`, () => assert.equal(rewriting.address(address, direction), out));
});

const spliced = (edits: readonly Edit[], content: string): string =>
  edits.reduceRight((text, { at, drop, insert }) => text.slice(0, at) + insert + text.slice(at + drop), content);
const sent = (content: string, direction: Direction, by = rewriting): string => {
  const edits = by.edits(splitHeaders(content), direction);
  assert.ok(areSound(edits, content.length));
  return spliced(edits, content);
};

test('a header, and not one byte more than its addresses', () => {
  const content =
    'From:  "Smith, =?utf-8?q?=C3=84?=" (alice@corp.local)\r\n\t< alice@corp.local >\r\nSubject: alice@corp.local\r\n' +
    'TO: g: bob@corp.local (x), <c@other.example>;\r\nMessage-ID: <1@corp.local>\r\n\r\nalice@corp.local\r\n';
  const out =
    'From:  "Smith, =?utf-8?q?=C3=84?=" (alice@corp.local)\r\n\t< Alice.Smith@example.org >\r\n' +
    'Subject: alice@corp.local\r\n' +
    'TO: g: bob@example.org (x), <c@other.example>;\r\nMessage-ID: <1@corp.local>\r\n\r\nalice@corp.local\r\n';
  assert.equal(sent(content, 'outwards'), out);
  assert.equal(sent(out, 'inwards'), content);
});

test('more addresses than anybody writes stay as they are', () => {
  const content = `To: ${'a@corp.local,'.repeat(ADDRESSES_REWRITTEN_MAX + 1)}\r\n\r\n`;
  assert.equal(sent(content, 'outwards').match(/example\.org/g)?.length, ADDRESSES_REWRITTEN_MAX);
});

const local = fc.constantFrom('a', 'b', 'c.d', 'e');
const insideDomain = fc.constantFrom('corp.local', 'lab.local', 'x.local');
const outsideDomain = fc.constantFrom('one.example', 'two.example', 'three.example');
const address = (domain: fc.Arbitrary<string>) => fc.tuple(local, domain).map(([name, host]) => `${name}@${host}`);
const pairOf = (inside: fc.Arbitrary<string>, outside: fc.Arbitrary<string>) => fc.record({ inside, outside });
const tables = fc
  .record({
    addresses: fc.array(pairOf(address(insideDomain), address(outsideDomain)), { maxLength: 5 }),
    domains: fc.array(pairOf(insideDomain, outsideDomain), { maxLength: 3 }),
    masquerade: fc.constant([]),
  })
  .filter((table) => clashes(table).length === 0);

test('there and back is the same address, by every table without clashes', () => {
  const property = fc.property(tables, address(insideDomain), (table, given) => {
    const by = new Rewriting(table);
    assert.equal(by.address(by.address(given, 'outwards'), 'inwards'), given);
    const content = `From: X <${given}>\r\n\r\n`;
    assert.equal(sent(sent(content, 'outwards', by), 'inwards', by), content);
  });
  fc.assert(property, { numRuns: 2000 });
});

test('tables by which mail would not come back are named', () => {
  const where = (table: object) => clashes(REWRITE.parse(table)).map(({ kind, at }) => `${kind} ${at.join('.')}`);
  const pair = (inside: string, outside: string) => ({ inside, outside });
  assert.deepEqual(where(TABLE), ['shadows addresses.0']);
  const taken = { ...TABLE, addresses: [...TABLE.addresses, pair('alice.smith@corp.local', 'alice@example.org')] };
  assert.deepEqual(where(taken), []);
  assert.deepEqual(where({ domains: [pair('a.local', 'x.example'), pair('b.local', 'X.example')] }), [
    'twice domains.1',
  ]);
  assert.deepEqual(where({ addresses: [pair('a@a.local', 'x@x.example'), pair('A@a.local', 'y@x.example')] }), [
    'twice addresses.1',
  ]);
});
