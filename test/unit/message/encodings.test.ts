/** xtext, unitext and quoted-printable, each against what its RFC says. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { originalRecipient, quotedPrintable, xtextDecoded } from '../../../src/message/encodings.ts';

test('xtext is decoded once, and nothing that is not xtext', () => {
  assert.equal(xtextDecoded('a+2Bb+3Dc+20d'), 'a+b=c d');
  assert.equal(xtextDecoded('+2B2B'), '+2B');
  for (const text of ['+0A', '+7F', '+2b', '+2', '+', '+80']) assert.equal(xtextDecoded(text), text);
});

describe('Original-Recipient', () => {
  const table: readonly (readonly [orcpt: string, ascii: string | null, utf8: string | null])[] = [
    ['rfc822;Bob+2Bx@example.com', 'rfc822; Bob+x@example.com', 'rfc822; Bob+x@example.com'],
    ['X400;/c=de/+20', 'X400; /c=de/ ', 'X400; /c=de/ '],
    ['utf-8;bob@example.com', 'utf-8; bob@example.com', 'utf-8; bob@example.com'],
    ['utf-8;j\\x{F6}rg@example.com', 'utf-8; j\\x{F6}rg@example.com', 'utf-8; jörg@example.com'],
    ['UTF-8;jörg@example.com', 'UTF-8; j\\x{F6}rg@example.com', 'UTF-8; jörg@example.com'],
    ['utf-8;\\x{1F600}@example.com', 'utf-8; \\x{1F600}@example.com', 'utf-8; 😀@example.com'],
    ['utf-8;j+5Cx{F6}rg@example.com', 'utf-8; j\\x{F6}rg@example.com', 'utf-8; jörg@example.com'],
    // In ASCII a blank, a plus and an equals sign may not stand for themselves.
    ['utf-8;a\\x{2B}b\\x{3D}c\\x{20}d@x', 'utf-8; a\\x{2B}b\\x{3D}c\\x{20}d@x', 'utf-8; a\\x{2B}b\\x{3D}c\\x{20}d@x'],
    ['utf-8;ö\\x{2B}@x', 'utf-8; \\x{F6}\\x{2B}@x', 'utf-8; ö+@x'],
    ['no type', null, null],
  ];
  for (const [orcpt, ascii, utf8] of table) {
    test(orcpt, () =>
      assert.deepEqual([originalRecipient(orcpt, false), originalRecipient(orcpt, true)], [ascii, utf8]),
    );
  }

  test('what names no character is kept, escaped', () => {
    for (const hex of ['D800', '110000', '0D', '7F'])
      assert.equal(originalRecipient(`utf-8;a\\x{${hex}}`, true), `utf-8; a\\x{5C}x{${hex}}`);
  });
});

describe('quoted-printable (RFC 2045 §6.7)', () => {
  test('blanks at the end of a line, equals signs, and 8-bit octets are written in hex', () => {
    assert.equal(quotedPrintable('a b \r\nc=\t\r\n\xe9 .\r\n'), 'a b=20\r\nc=3D=09\r\n=E9 .\r\n');
  });

  test('lines have at most 76 characters, and read back as they were', () => {
    const octet = fc.constantFrom('a', ' ', '\t', '=', '\xc3', '\x80', '.', '\r\n');
    const property = fc.property(fc.string({ unit: octet, maxLength: 400 }), (octets) => {
      const written = quotedPrintable(octets);
      for (const line of written.split('\r\n')) assert.ok(line.length <= 76 && !/[ \t]$/.test(line), line);
      const read = written
        .replaceAll('=\r\n', '')
        .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
      assert.equal(read, octets);
    });
    fc.assert(property, { numRuns: 300 });
  });

  test('a line that just fits is not broken', () => {
    for (const chars of [75, 76]) assert.equal(quotedPrintable('x'.repeat(chars)), 'x'.repeat(chars));
    assert.equal(quotedPrintable('x'.repeat(77)), `${'x'.repeat(75)}=\r\nxx`);
  });
});
