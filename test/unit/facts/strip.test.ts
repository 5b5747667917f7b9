/** Parts are taken out, a notice stands in their place, and every other byte stays. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import { MIME } from '../../../src/config/policy/mime.ts';
import { MimeExamination } from '../../../src/facts/mime.ts';
import { stripParts } from '../../../src/facts/strip.ts';
import { areSound } from '../../../src/message/edits.ts';
import type { Edit, Side } from '../../../src/message/envelope.ts';

const RULES = MIME.parse({
  strip: [
    { id: 'executables', extensions: ['exe', 'js*'], notice: 'Gone.\nAsk us.' },
    { id: 'video', side: 'inside', types: ['video/*'], notice: 'Too large.' },
    { id: 'odd', faults: ['name-direction'] },
  ],
}).strip;
const NOTICE = 'Content-Type: text/plain; charset=us-ascii\r\nX-Postern-Removed: executables\r\n\r\nGone.\r\nAsk us.';

const spliced = (edits: readonly Edit[], content: string): string =>
  edits.reduceRight((text, { at, drop, insert }) => text.slice(0, at) + insert + text.slice(at + drop), content);

function stripped(content: string, side: Side = 'outside') {
  const examination = new MimeExamination();
  const bytes = Buffer.from(content, 'latin1');
  examination.write(bytes, 0, bytes.length);
  const found = stripParts(examination.end().leaves, RULES, side, content);
  if (found === null) return null;
  assert.ok(areSound(found.edits, bytes.length));
  return { content: spliced(found.edits, content), parts: found.parts };
}

const multipart = (...parts: string[]): string =>
  `Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${parts.map(delimited).join('')}--b--\r\n`;
const delimited = (part: string): string => `--b\r\n${part}\r\n`;
const TEXT = '\r\ntext';

describe('taken out', () => {
  test('one of several', () => {
    const content = multipart(TEXT, 'Content-Type: a/b; name=X.EXE\r\n\r\nMZ\r\n', TEXT);
    assert.deepEqual(stripped(content), {
      content: multipart(TEXT, NOTICE, TEXT),
      parts: [{ rule: 'executables', part: 'X.EXE' }],
    });
  });

  test('by type, on its side only', () => {
    const content = multipart('Content-Type: video/MP4\r\n\r\nx');
    assert.equal(stripped(content)?.content, content);
    assert.deepEqual(stripped(content, 'inside')?.parts, [{ rule: 'video', part: 'video/mp4' }]);
  });

  test('by a fault of its own', () => {
    const content = multipart(TEXT, 'Content-Type: a/b; name="a\xe2\x80\xaetxt.b"\r\n\r\nx');
    assert.equal(stripped(content)?.parts[0]?.rule, 'odd');
  });

  test('the message itself: its other fields stay', () => {
    const content =
      'From: a@b.example\r\nContent-Type: a/b;\r\n name=x.js\r\nContent-Language: en\r\n' +
      'Content-Transfer-Encoding: base64\r\nTo: c@d.example\r\n\r\nAAAA\r\n';
    assert.equal(
      stripped(content)?.content,
      `From: a@b.example\r\nContent-Language: en\r\nTo: c@d.example\r\n${NOTICE}\r\n`,
    );
  });

  test('a part without a body: the delimiter behind it stays one', () => {
    for (const header of ['Content-Type: a/b; name=x.exe\r\n', 'Content-Type: a/b; name=x.exe']) {
      const content = multipart(header, TEXT);
      assert.equal(stripped(content)?.content, multipart(NOTICE, TEXT));
    }
  });

  test('a part that nothing closes: the content still ends with a line', () => {
    const open = (part: string): string => multipart(TEXT, part).replace('--b--\r\n', '');
    assert.equal(stripped(open('Content-Type: a/b; name=x.exe\r\n\r\nMZ'))?.content, open(NOTICE));
    assert.equal(stripped(open('Content-Type: a/b; name=x.exe'))?.content, open(NOTICE));
  });

  test('nothing, where nothing is named', () => assert.deepEqual(stripped(multipart(TEXT))?.parts, []));

  test('not more than the limit: then the message is to be held', () => {
    const part = 'Content-Type: a/b; name=x.exe\r\n\r\nx';
    assert.equal(
      stripped(multipart(...Array<string>(LIMITS.strippedPartsMax).fill(part)))?.parts.length,
      LIMITS.strippedPartsMax,
    );
    assert.equal(stripped(multipart(...Array<string>(LIMITS.strippedPartsMax + 1).fill(part))), null);
  });
});

test('the section of the file says what to strip', () => {
  assert.deepEqual(MIME.parse({}), { strip: [] });
  for (const wrong of [
    { id: 'x' },
    { id: 'X', names: ['a'] },
    { id: 'x', names: [''] },
    { id: 'x', names: ['a'], notice: 'ä' },
  ])
    assert.equal(MIME.safeParse({ strip: [wrong] }).success, false);
});
