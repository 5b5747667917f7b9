/** Replies of a server: what is one, what is none, and that it does not matter how the bytes come. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Reply, ReplyFault } from '../../../src/smtp/reply_reader.ts';
import { ReplyReader, replyText } from '../../../src/smtp/reply_reader.ts';

type Read = { readonly replies: readonly Reply[]; readonly fault: ReplyFault | null };

function read(chunks: Iterable<string>): Read {
  const reader = new ReplyReader();
  const replies: Reply[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let reply = reader.next(); reply !== null; reply = reader.next()) replies.push(reply);
  }
  return { replies, fault: reader.fault };
}

const whole = (wire: string): Read => read([wire]);

describe('a reply is read', () => {
  const table: readonly (readonly [wire: string, ...replies: Reply[]])[] = [
    ['250 OK\r\n', { code: 250, enhanced: '', lines: ['OK'] }],
    ['250 2.1.0 Sender OK\r\n', { code: 250, enhanced: '2.1.0', lines: ['2.1.0 Sender OK'] }],
    ['550 5.1.1\r\n', { code: 550, enhanced: '5.1.1', lines: ['5.1.1'] }],
    ['554 5.123.999 x\r\n', { code: 554, enhanced: '5.123.999', lines: ['5.123.999 x'] }],
    // Not of its class, or none at all.
    ['550 4.1.1 no\r\n', { code: 550, enhanced: '', lines: ['4.1.1 no'] }],
    ['550 5.1 no\r\n', { code: 550, enhanced: '', lines: ['5.1 no'] }],
    ['550 5.1.1234 no\r\n', { code: 550, enhanced: '', lines: ['5.1.1234 no'] }],
    ['354 3.1.1 go\r\n', { code: 354, enhanced: '', lines: ['3.1.1 go'] }],
    // Lenient about the end of a line and the lack of text (RFC 5321 §4.2).
    ['250 OK\n', { code: 250, enhanced: '', lines: ['OK'] }],
    ['250\r\n', { code: 250, enhanced: '', lines: [''] }],
    ['250 \r\n', { code: 250, enhanced: '', lines: [''] }],
    ['250\n', { code: 250, enhanced: '', lines: [''] }],
    ['250-a\r\n250-\r\n250 b\r\n', { code: 250, enhanced: '', lines: ['a', '', 'b'] }],
    ['250-a\n250\n', { code: 250, enhanced: '', lines: ['a', ''] }],
    ['550-5.7.1 a\r\n550 5.7.1 b\r\n', { code: 550, enhanced: '5.7.1', lines: ['5.7.1 a', '5.7.1 b'] }],
    ['200 lowest\r\n', { code: 200, enhanced: '', lines: ['lowest'] }],
    ['599 highest\r\n', { code: 599, enhanced: '', lines: ['highest'] }],
    [
      '250 a\r\n354 b\r\n550-c\r\n550 d\r\n',
      { code: 250, enhanced: '', lines: ['a'] },
      { code: 354, enhanced: '', lines: ['b'] },
      { code: 550, enhanced: '', lines: ['c', 'd'] },
    ],
  ];
  for (const [wire, ...replies] of table) {
    test(`${JSON.stringify(wire)}, whole and split at every byte`, () => {
      const expected = { replies, fault: null };
      assert.deepEqual(whole(wire), expected);
      assert.deepEqual(read(wire), expected);
      for (let at = 1; at < wire.length; at++) assert.deepEqual(read([wire.slice(0, at), wire.slice(at)]), expected);
    });
  }

  test('up to 128 lines, 2048 chars a line, 32 KiB in all', () => {
    const lines = [...'250-\r\n'.repeat(127).match(/.{4}\r\n/g)!, '250 \r\n'];
    assert.equal(whole(lines.join('')).replies[0]!.lines.length, 128);
    const longest = `250 ${'x'.repeat(2042)}\r\n`;
    assert.equal(longest.length, 2048);
    assert.equal(whole(longest).replies.length, 1);
    assert.equal(whole(`${longest.replace(' ', '-').repeat(15)}${longest}`).replies.length, 1);
  });

  test('one after another, without their sizes adding up', () => {
    const reply = `250-${'x'.repeat(2000)}\r\n250 y\r\n`;
    assert.equal(read(Array(100).fill(reply)).replies.length, 100);
  });
});

describe('a fault ends the reading', () => {
  const table: readonly (readonly [name: string, wire: string, fault: ReplyFault])[] = [
    ['words', 'hello\r\n', 'reply-malformed'],
    ['nothing', '\r\n', 'reply-malformed'],
    ['two digits', '25 OK\r\n', 'reply-malformed'],
    ['two digits, no text', '25\r\n', 'reply-malformed'],
    ['four digits', '2500 OK\r\n', 'reply-malformed'],
    ['1yz, which SMTP does not have', '100 wait\r\n', 'reply-malformed'],
    ['6yz', '600 what\r\n', 'reply-malformed'],
    ['a tab for the space', '250\tOK\r\n', 'reply-malformed'],
    ['a space before', ' 250 OK\r\n', 'reply-malformed'],
    ['another code in a later line (RFC 5321 §4.2.1)', '250-a\r\n251 b\r\n', 'reply-malformed'],
    ['no code in a later line', '250-a\r\nb\r\n', 'reply-malformed'],
    ['TLS from one who should speak first', '\x16\x03\x01\x02\x00\n', 'reply-malformed'],
    ['a line too long', `250 ${'x'.repeat(2043)}\r\n`, 'reply-too-long'],
    ['a line that does not end', 'x'.repeat(2049), 'reply-too-long'],
    ['129 lines', `${'250-\r\n'.repeat(128)}250 \r\n`, 'reply-too-long'],
    ['more than 32 KiB', `${`250-${'x'.repeat(1000)}\r\n`.repeat(33)}250 y\r\n`, 'reply-too-long'],
  ];
  for (const [name, wire, fault] of table) {
    test(`${name}: ${fault}`, () => {
      assert.deepEqual(whole(wire), { replies: [], fault });
      assert.deepEqual(read(wire), { replies: [], fault });
    });
  }

  test('what was whole before it is delivered, and nothing after it', () => {
    const { replies, fault } = whole('250 a\r\nnonsense\r\n250 b\r\n');
    assert.deepEqual([replies.length, fault], [1, 'reply-malformed']);
    const reader = new ReplyReader();
    reader.push('nonsense\r\n');
    assert.equal(reader.next(), null);
    reader.push('250 b\r\n');
    assert.equal(reader.next(), null);
    assert.equal(reader.fault, 'reply-malformed');
  });

  test('garbage never throws, and reads the same in any pieces', () => {
    const piece = fc.oneof(
      fc.constantFrom('250 ', '250-', '550 5.1.1 ', '\r\n', '\n', '\r', '-', '421'),
      fc.string({ unit: 'binary', maxLength: 5 }).map((text) => text.replace(/[^\0-\xff]/g, '?')),
    );
    const property = fc.property(fc.array(piece), fc.array(fc.nat(40)), (pieces, cuts) => {
      const wire = pieces.join('');
      const sorted = [0, ...cuts.filter((cut) => cut < wire.length).sort((a, b) => a - b), wire.length];
      const chunks = sorted.slice(1).map((to, at) => wire.slice(sorted[at], to));
      assert.deepEqual(read(chunks), whole(wire));
      assert.deepEqual(read(wire), whole(wire));
    });
    fc.assert(property, { numRuns: 300 });
  });
});

describe('the text of a reply', () => {
  const textOf = (wire: string): string => replyText(whole(wire).replies[0]!);

  test('is one printable line without enhanced codes', () => {
    assert.equal(textOf('550-5.1.1 No such\r\n550 5.1.1 user\r\n'), 'No such user');
    assert.equal(textOf('250 a\tb\x1b[0m \xc3\xa4c\r\n'), 'a?b?[0m ?c');
    assert.equal(textOf('250\r\n'), '');
    assert.equal(textOf('250  spaces \r\n'), 'spaces');
  });

  test('is cut at 500 chars', () => {
    assert.equal(textOf(`550 ${'x'.repeat(2000)}\r\n`).length, 500);
  });
});
