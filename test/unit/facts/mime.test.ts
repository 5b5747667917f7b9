/** What is found out about a message's parts, whole and split at every byte, and what does not blow it up. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../../src/config/limits.ts';
import { MimeExamination, type MimeFindings } from '../../../src/facts/mime.ts';
import { readPartHeader } from '../../../src/facts/mime_names.ts';
import type { MIME_FAULTS } from '../../../src/facts/mime_scan.ts';

const octets = (text: string): Buffer => Buffer.from(text, 'latin1');

function examined(content: Buffer, step = content.length): MimeFindings {
  const examination = new MimeExamination();
  for (let at = 0; at < content.length; at += step) examination.write(content, at, Math.min(content.length, at + step));
  return examination.end();
}

/** Found in one piece, and in pieces of one, two, three and seven bytes. */
function findings(text: string): MimeFindings {
  const whole = examined(octets(text));
  for (const step of [1, 2, 3, 7]) assert.deepEqual(examined(octets(text), step), whole, `in pieces of ${step}`);
  return whole;
}

const lines = (...each: string[]): string => each.map((line) => `${line}\r\n`).join('');

const MIXED = lines(
  'From: a@b.example',
  'Content-Type: multipart/mixed; boundary="b1"',
  '',
  'preamble',
  '--b1',
  '',
  'text',
  '--b1',
  'Content-Type: multipart/alternative; boundary=b2',
  '',
  '--b2',
  'Content-Type: text/html',
  '',
  '<p>--b2x',
  '--b2--  ',
  '',
  '--b1',
  'Content-Type: application/pdf; name="a.PDF"',
  'Content-Disposition: attachment; filename="a.PDF"',
  'Content-Transfer-Encoding: base64',
  '',
  'AAAA',
  '--b1--',
  'epilogue',
);

describe('parts', () => {
  test('of a mixed message, each with its bytes', () => {
    const { facts, leaves } = findings(MIXED);
    assert.deepEqual(facts, {
      'mime.names': ['a.PDF'],
      'mime.extensions': ['pdf'],
      'mime.types': ['multipart/mixed', 'text/plain', 'multipart/alternative', 'text/html', 'application/pdf'],
      'mime.depth': 2,
      'mime.parts': 5,
      'mime.faults': [],
    });
    assert.deepEqual(
      leaves.map(({ index, bodyStart, end }) => [index, MIXED.slice(bodyStart, end)]),
      [
        [1, 'text'],
        [3, '<p>--b2x'],
        [4, 'AAAA'],
      ],
    );
    assert.ok(MIXED.slice(leaves[2]!.start).startsWith('Content-Type: application/pdf'));
  });

  test('of a message that is one', () => {
    const { facts, leaves } = findings('Subject: x\r\nContent-Type: image/PNG\r\n\r\n--b\r\nbody\r\n');
    assert.deepEqual([facts['mime.parts'], facts['mime.depth'], facts['mime.types']], [1, 0, ['image/png']]);
    assert.equal(leaves.length, 1);
  });

  test('within a message within a message', () => {
    const inner = lines(
      'Content-Type: multipart/mixed; boundary=in',
      '',
      '--in',
      'Content-Type: a/b; name=x.exe',
      '',
      'x',
      '--in--',
    );
    const { facts } = findings(
      lines('Content-Type: multipart/mixed; boundary=out', '', '--out', 'Content-Type: message/rfc822', '') +
        inner +
        lines('--out--'),
    );
    assert.deepEqual([facts['mime.extensions'], facts['mime.depth'], facts['mime.faults']], [['exe'], 3, []]);
  });

  test('whose header is the last of the content, or cut by a delimiter', () => {
    assert.deepEqual(findings('Content-Type: a/b').facts['mime.types'], ['a/b']);
    const { facts, leaves } = findings(
      lines(
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'Content-Type: a/b; name=x.exe',
        '--b',
        '',
        'x',
        '--b--',
      ),
    );
    assert.deepEqual([facts['mime.extensions'], facts['mime.faults']], [['exe'], ['cut-header']]);
    assert.equal(leaves.length, 2);
  });
});

const multipart = (...body: string[]): string => lines('Content-Type: multipart/mixed; boundary=b', '', ...body);

describe('faults', () => {
  const nested = Array.from({ length: LIMITS.mimeDepthMax + 2 }, (_, n) =>
    lines(`Content-Type: multipart/mixed; boundary=b${n}x`, '', `--b${n}x`),
  ).join('');
  const table: readonly (readonly [content: string, faults: readonly (keyof typeof MIME_FAULTS)[]])[] = [
    [lines('Content-Type: multipart/mixed', '', 'x'), ['no-boundary']],
    [lines('Content-Type: multipart/mixed; boundary="ä"', '', '--ä', '', 'x'), ['no-boundary']],
    [multipart('x'), ['unclosed', 'no-parts']],
    [multipart('--b', '', 'x'), ['unclosed']],
    [multipart('--b--'), ['no-parts']],
    [multipart('--b', '', 'x', '--bx', '--b--'), ['odd-delimiter']],
    [
      multipart('--b', 'Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'x', '--b--', '--b--'),
      ['same-boundary'],
    ],
    [
      lines('Content-Type: multipart/mixed; boundary=b', 'Content-Transfer-Encoding: base64', '', 'AA'),
      ['encoded-multipart'],
    ],
    [lines('Content-Type: a/b', 'Content-type: c/d', '', 'x'), ['duplicate-field']],
    [
      lines('Content-Type: a/b; name=a.txt', 'Content-Disposition: attachment; filename=a.exe', '', 'x'),
      ['duplicate-name'],
    ],
    [lines('Content-Type: a/b; name=a.txt; name=a.exe', '', 'x'), ['duplicate-name']],
    [lines('A: b', 'no field', '', 'x'), ['no-field']],
    [`A: ${'x'.repeat(LIMITS.mimeHeaderBytesMax)}\r\n\r\nx`, ['long-header']],
    [`Content-Type: a/b; x=${'x'.repeat(LIMITS.mimeValueCharsMax)}\r\n\r\nx`, ['long-value']],
    [nested, ['too-deep', 'unclosed']],
    [multipart(...Array<string>(LIMITS.mimePartsMax + 5).fill('--b\r\n\r\nx'), '--b--'), ['too-many-parts']],
  ];
  for (const [content, faults] of table)
    test(faults.join(', '), () =>
      assert.deepEqual([...findings(content).facts['mime.faults']!].sort(), [...faults].sort()),
    );
});

describe('names', () => {
  const table: readonly (readonly [
    header: string,
    names: readonly string[],
    extensions: readonly string[],
    faults?: readonly string[],
  ])[] = [
    ['Content-Disposition: attachment; filename="a b.TXT"', ['a b.TXT'], ['txt']],
    ['Content-Type: a/b; name==?utf-8?B?cmVjaG51bmcuZXhl?=', ['rechnung.exe'], ['exe']],
    ['Content-Type: a/b; name="=?utf-8?Q?=C3=A4?= =?utf-8?Q?.exe?="', ['ä.exe'], ['exe']],
    ["Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.exe", ['€.exe'], ['exe']],
    [
      'Content-Disposition: attachment;\r\n filename*0*=iso-8859-1\'\'%e4;\r\n filename*1=".ex";\r\n filename*2=e',
      ['ä.exe'],
      ['exe'],
    ],
    [
      'Content-Disposition: attachment; filename="a.exe"; filename*=utf-8\'\'a.txt',
      ['a.txt', 'a.exe'],
      ['txt', 'exe'],
      ['duplicate-name'],
    ],
    [
      'Content-Type: a/b; name*0="a.t"; name*1=xt; name="=?utf-8?Q?a.exe?="',
      ['a.txt', 'a.exe'],
      ['txt', 'exe'],
      ['duplicate-name'],
    ],
    ['Content-Disposition: attachment; filename="=?utf-8?Q?=C3=A4?="; filename*=utf-8\'\'%C3%A4', ['ä'], []],
    ['Content-Type: a/b; name=C:\\\\temp\\\\x.exe', ['x.exe'], ['exe']],
    ['Content-Type: a/b; name="../../x.exe"', ['x.exe'], ['exe']],
    ['Content-Type: a/b; name=noextension', ['noextension'], []],
    ['Content-Type: a/b; name="x.exe. . "', ['x.exe'], ['exe'], ['name-trailing']],
    ['Content-Type: a/b; name="x.ex\x01e"', ['x.exe'], ['exe'], ['name-control']],
    ['Content-Type: a/b; name="annexe\xe2\x80\xaefdp.exe"', ['annexefdp.exe'], ['exe'], ['name-direction']],
    ['Content-Type: a/b; name="x.\xef\xbd\x85\xef\xbd\x98\xef\xbd\x85"', ['x.exe'], ['exe']],
    ['Content-Type: a/b; name=report.pdf.exe', ['report.pdf.exe'], ['exe'], ['name-double']],
    ['Content-Type: a/b; name="report.pdf      .exe"', ['report.pdf      .exe'], ['exe'], ['name-double']],
    ['Content-Type: a/b; name=archive.tar.gz', ['archive.tar.gz'], ['gz']],
    ['Content-Type: a/b; name="m\xfcll.exe"', ['müll.exe'], ['exe']],
    ["Content-Disposition: attachment; filename*=nonsense''%ff.exe", ['\ufffd.exe'], ['exe']],
  ];
  for (const [header, names, extensions, faults = []] of table) {
    test(JSON.stringify(header), () => {
      const read = readPartHeader(`${header}\r\n`);
      assert.deepEqual([read.names, read.extensions, read.faults], [names, extensions, faults]);
    });
  }

  test('a long one keeps its end', () => {
    const { names, extensions } = readPartHeader(`Content-Type: a/b; name=${'x'.repeat(5000)}.exe\r\n`);
    assert.deepEqual([names[0]!.length, extensions], [LIMITS.mimeNameCharsMax, ['exe']]);
  });
});

test('whatever comes, parts are within the content and in order, however it is cut', () => {
  const piece = fc.constantFrom(
    ...[
      '--',
      '--b',
      '--c',
      '--b--',
      '\r\n',
      '\r\n',
      '\n',
      '-',
      'x',
      '\r\n\r\n',
      'Content-Type: multipart/mixed; boundary=b',
    ],
    ...['Content-Type: multipart/x; boundary=c', 'Content-Type: message/rfc822', 'Content-Type: a/b; name=x.exe'],
  );
  const property = fc.property(fc.array(piece, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (pieces, step) => {
    const content = octets(pieces.join(''));
    const whole = examined(content);
    assert.deepEqual(examined(content, step), whole);
    let from = 0;
    for (const { start, bodyStart, end } of whole.leaves) {
      assert.ok(from <= start && start <= bodyStart && bodyStart <= end && end <= content.length);
      from = end;
    }
  });
  fc.assert(property, { numRuns: 2000 });
});

test('hostile values take no time that grows with their square', () => {
  const pieces = ['=?a?b?', '=?utf-8?q?=', '\\"', ';name*0=', ';', '=?x?q?a?= ', "''", '%', '. ', ';name= ;filename='];
  for (const piece of pieces) {
    for (const field of ['Content-Type: a/b; name=', 'Content-Disposition: x; filename="'])
      readPartHeader(`${field}${piece.repeat(60_000 / piece.length)}\r\n`);
  }
  examined(octets(multipart('--\r\n'.repeat(500_000))));
  examined(octets(multipart(`--b\r\n\r\n${'-'.repeat(2_000_000)}`)));
});
