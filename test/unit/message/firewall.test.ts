/** What the header firewall takes out, and what it hides. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HEADERS } from '../../../src/config/policy/headers.ts';
import { areSound } from '../../../src/message/edits.ts';
import type { Edit } from '../../../src/message/envelope.ts';
import { Firewall, type FirewallRules } from '../../../src/message/firewall.ts';
import { splitHeaders } from '../../../src/message/headers.ts';

const spliced = (edits: readonly Edit[], content: string): string =>
  edits.reduceRight((text, { at, drop, insert }) => text.slice(0, at) + insert + text.slice(at + drop), content);

const RULES: FirewallRules = {
  remove: ['X-MS-Exchange-Organization-*', 'X-Originating-IP', 'X-Spam-?'],
  keep: ['X-MS-Exchange-Organization-Keep'],
  received: 'keep',
  hideNames: ['*.corp.local', 'corp.local'],
  isHidden: (address) => address.startsWith('10.') || address.startsWith('fd00:'),
};
const passed = (content: string, rules: Partial<FirewallRules> = {}): string => {
  const edits = new Firewall({ ...RULES, ...rules }).edits(content, () =>
    splitHeaders(content, Number.POSITIVE_INFINITY),
  );
  assert.ok(areSound(edits, content.length));
  return spliced(edits, content);
};

describe('removed', () => {
  const table: readonly (readonly [name: string, content: string, out: string])[] = [
    ['nothing', 'A: b\r\n\r\nx', 'A: b\r\n\r\nx'],
    ['by pattern, in any case', 'A: b\r\nx-ms-EXCHANGE-organization-scl: -1\r\nC: d\r\n\r\n', 'A: b\r\nC: d\r\n\r\n'],
    ['folded', 'X-Originating-IP:\r\n [10.1.1.1]\r\nC: d\r\n\r\n', 'C: d\r\n\r\n'],
    ['with a blank before the colon', 'X-Originating-IP : x\r\nC: d\r\n\r\n', 'C: d\r\n\r\n'],
    ['each of several', 'X-Spam-a: 1\r\nC: d\r\nX-Spam-b: 1\r\nX-Spam-b: 2\r\n\r\n', 'C: d\r\n\r\n'],
    ['not what only begins so', 'X-Spam-ab: 1\r\n\r\n', 'X-Spam-ab: 1\r\n\r\n'],
    ['not what is to stay', 'X-MS-Exchange-Organization-Keep: 1\r\n\r\n', 'X-MS-Exchange-Organization-Keep: 1\r\n\r\n'],
    ['not in the body', '\r\nX-Originating-IP: x\r\n', '\r\nX-Originating-IP: x\r\n'],
    ['with a very long name', `X-MS-Exchange-Organization-${'a'.repeat(900)}: 1\r\nC: d\r\n\r\n`, 'C: d\r\n\r\n'],
    ['behind a line that is no field', 'no field\r\nX-Originating-IP: x\r\n\r\n', 'no field\r\n\r\n'],
    ['behind a lone line feed', 'A: b\nX-Originating-IP: x\nC: d\n\n', 'A: b\nC: d\n\n'],
    ['at the end of it all', 'X-Originating-IP: x', ''],
  ];
  for (const [name, content, out] of table) test(name, () => assert.equal(passed(content), out));

  test('nothing, and not even looked at field by field, where no line begins like one of the names', () => {
    const split = () => assert.fail('it is split');
    const header = 'Received: x\r\nSubject: X-Spam-a: 1\r\n X-Originating-IP: x\r\nX-Spa: 1\r\n\r\n';
    assert.deepEqual(new Firewall(RULES).edits(header, split), []);
  });
});

const TRACE =
  'Received: from PC7.corp.local (pc7.corp.local. [10.1.2.3])\r\n' +
  '\tby mail.example.org ([IPv6:fd00::25]) with ESMTP;\r\n\t' +
  'Tue, 24 Nov 2026 13:44:17 +0000\r\n';
const FOREIGN = 'Received: from a.example ([192.0.2.7]) by b.example; Tue, 24 Nov 2026 13:44:17 +0000\r\n';

describe('Received fields of the inside', () => {
  test('stay', () => assert.equal(passed(TRACE), TRACE));
  test('go, and others do not', () => assert.equal(passed(TRACE + FOREIGN + TRACE, { received: 'remove' }), FOREIGN));
  test('are masked', () =>
    assert.equal(
      passed(TRACE + FOREIGN, { received: 'mask' }),
      'Received: from hidden.invalid (hidden.invalid [0.0.0.0])\r\n' +
        '\tby mail.example.org ([IPv6:::]) with ESMTP;\r\n\t' +
        `Tue, 24 Nov 2026 13:44:17 +0000\r\n${FOREIGN}`,
    ));
});

test('ten thousand fields, and fields as long as all of them, in no time that grows with their square', () => {
  const many = `${'X-Spam-a: 1\r\nC: d\r\n'.repeat(10_000)}\r\n`;
  assert.equal(passed(many), `${'C: d\r\n'.repeat(10_000)}\r\n`);
  const long = `Received: ${'10.1.1.1 '.repeat(25_000)}\r\n\r\n`;
  assert.equal(passed(long, { received: 'mask' }).length, long.length - 25_000);
  for (const char of 'a.:-1') passed(`Received: ${char.repeat(250_000)}\r\n\r\n`, { received: 'mask' });
});

test('sound for whatever a header is', () => {
  const piece = fc.constantFrom(
    'Received: ',
    'X-Originating-IP',
    ':',
    ' ',
    '\r\n',
    '\n',
    '\t',
    '10.1.1.1',
    '.corp.local',
    'a',
    '::',
    'IPv6:',
  );
  const property = fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
    passed(pieces.join(''), { received: 'mask' });
    passed(pieces.join(''), { received: 'remove' });
  });
  fc.assert(property, { numRuns: 1000 });
});

test('the section of the file has defaults that serve', () => {
  const { outside, inside } = HEADERS.parse({});
  assert.ok(outside.remove.includes('X-MS-Exchange-Organization-*'));
  assert.deepEqual([inside.received, inside.hideNames], ['keep', []]);
  assert.equal(HEADERS.safeParse({ outside: { removes: [] } }).success, false);
  assert.equal(HEADERS.safeParse({ inside: { remove: ['a b'] } }).success, false);
});
