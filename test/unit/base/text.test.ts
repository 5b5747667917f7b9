import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeUtf8, hasControls, isAscii, utf8Bytes, utf8Octets } from '../../../src/base/text.ts';

test('octets of text are its UTF-8, and back', () => {
  for (const text of ['', 'plain', 'aö😀', '\ufeffwith a BOM', '\x00\x7f']) {
    const octets = Buffer.from(text).toString('latin1');
    assert.equal(utf8Octets(text), octets);
    assert.equal(utf8Bytes(text), octets.length);
    assert.equal(decodeUtf8(octets), text);
  }
});

test('octets that are not UTF-8 are no text', () => {
  const cut = ['\xc3', 'a\xe2\x82'];
  const overlong = ['\xc0\x80', '\xc1\xbf', '\xe0\x80\xaf', '\xf0\x80\x80\xaf'];
  const noCharacter = ['\x80', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xff'];
  for (const octets of [...cut, ...overlong, ...noCharacter])
    assert.equal(decodeUtf8(octets), null, JSON.stringify(octets));
});

test('ASCII ends at DEL; the tab is the only control that a text may hold', () => {
  assert.ok(isAscii('\x00 ~\x7f') && !isAscii('\x80'));
  for (const text of ['\t', ' ', '~', '\xa0', 'é']) assert.ok(!hasControls(text));
  for (const text of ['\x00', '\n', '\r', '\x1f', '\x7f', '\x80', '\x9f']) assert.ok(hasControls(`a${text}b`));
});
