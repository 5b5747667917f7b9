/** Dot stuffing: what the server takes out again is what was put in, however the content comes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DotStuffer, endOfData } from '../../../src/smtp/dots.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** What a driver sends. */
function stuffed(chunks: readonly string[]): string {
  const stuffer = new DotStuffer();
  let sent = '';
  for (const chunk of chunks) {
    stuffer.split(bytes(chunk)).forEach((view, at) => {
      sent += (at > 0 ? '.' : '') + Buffer.from(view).toString('latin1');
    });
  }
  return sent;
}

/** RFC 5321 §4.5.2, the slow and plain way. */
const reference = (content: string): string => content.replace(/(^|\r\n)\./g, '$1..');

describe('dots at the start of a line are doubled', () => {
  const table: readonly (readonly [content: string, wire: string])[] = [
    ['', ''],
    ['.', '..'],
    ['..', '...'],
    ['a.b\r\n', 'a.b\r\n'],
    ['.a\r\n.b\r\n', '..a\r\n..b\r\n'],
    ['a\r\n.\r\nb\r\n', 'a\r\n..\r\nb\r\n'],
    ['a\r\n.\r\n.\r\n', 'a\r\n..\r\n..\r\n'],
    ['\r\n.', '\r\n..'],
    ['a.\r\n', 'a.\r\n'],
  ];
  for (const [content, wire] of table) {
    test(`${JSON.stringify(content)}, whole and split at every byte`, () => {
      assert.equal(reference(content), wire);
      assert.equal(stuffed([content]), wire);
      assert.equal(stuffed([...content]), wire);
      for (let at = 0; at <= content.length; at++) {
        assert.equal(stuffed([content.slice(0, at), '', content.slice(at)]), wire);
      }
    });
  }

  test('in any content and any pieces', () => {
    const chunk = fc.array(fc.constantFrom('.', '\r\n', 'a', '\r\n.', '..'), { maxLength: 8 });
    const property = fc.property(fc.array(chunk), (chunks) => {
      const texts = chunks.map((each) => each.join(''));
      assert.equal(stuffed(texts), reference(texts.join('')));
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('views share the memory of the chunk', () => {
    const chunk = bytes('a\r\n.b\r\n');
    const views = new DotStuffer().split(chunk);
    assert.deepEqual(
      views.map((view) => view.buffer === chunk.buffer),
      [true, true],
    );
    assert.equal(new DotStuffer().split(bytes('no dots here\r\n')).length, 1);
  });
});

test('the end of data stands on a line of its own', () => {
  assert.equal(endOfData(true), '.\r\n');
  assert.equal(endOfData(false), '\r\n.\r\n');
});
