import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { authenticationResults, forgedResults } from '../../../src/message/authentication_results.ts';
import { Editor } from '../../../src/message/edits.ts';
import { readFields } from '../../../src/message/fields.ts';

const HOST = 'mx.example.com';

describe('what we write', () => {
  const written = (value: string | null): string =>
    authenticationResults(HOST, [
      { method: 'spf', result: 'pass', reason: null, properties: [['smtp.mailfrom', value]] },
    ]);

  test('no result says so', () => {
    assert.equal(authenticationResults(HOST, []), 'Authentication-Results: mx.example.com; none\r\n');
  });

  test('a value is a token, a quoted string, or left out', () => {
    const line = (shown: string): string => `Authentication-Results: mx.example.com;\r\n\tspf=pass${shown}\r\n`;
    assert.equal(written('example.org'), line(' smtp.mailfrom=example.org'));
    assert.equal(written('a b; dkim=pass'), line(' smtp.mailfrom="a b; dkim=pass"'));
    assert.equal(written('x"\\ y'), line(' smtp.mailfrom="x\\"\\\\ y"'));
    for (const left of [null, '', 'a\r\nb', 'a\0', '\xe9', 'x'.repeat(256)]) assert.equal(written(left), line(''));
  });

  test('lines are folded', () => {
    const property = (at: number) => [`header.d${at}`, `${'x'.repeat(20)}.test`] as const;
    const properties = Array.from({ length: 20 }, (_, at) => property(at));
    const field = authenticationResults(HOST, [{ method: 'dkim', result: 'fail', reason: 'so', properties }]);
    for (const line of field.split('\r\n')) assert.ok(line.length <= 78, line);
    assert.equal(field.match(/\r\n(?![\t]|$)/g), null);
  });
});

describe('forged ones', () => {
  const isTaken = (field: string): boolean => forgedResults(readFields(field).fields, HOST).length === 1;

  const forged = [
    'Authentication-Results: mx.example.com; spf=pass',
    'authentication-RESULTS: MX.Example.COM; spf=pass',
    'Authentication-Results : mx.example.com; spf=pass',
    'Authentication-Results\r\n : mx.example.com; spf=pass',
    'Authentication-Results:mx.example.com',
    'Authentication-Results:\r\n\tmx.example.com\r\n\t; spf=pass',
    'Authentication-Results: mx.example.com 1; spf=pass',
    'Authentication-Results: mx.example.com/1; spf=pass',
    'Authentication-Results: mx.example.com.; spf=pass',
    'Authentication-Results: (a (nested \\) one)) mx.example.com(v)1; spf=pass',
    'Authentication-Results: "mx.example.com"; spf=pass',
    'Authentication-Results: "mx.\\example.com"; spf=pass',
    'Authentication-Results: (not closed mx.example.com; spf=pass',
    'Authentication-Results: "mx.example.com; spf=pass',
    'Authentication-Results: ; mx.example.com; spf=pass',
  ];
  for (const field of forged)
    test(`taken out: ${JSON.stringify(field)}`, () => assert.equal(isTaken(`${field}\r\n`), true));

  const others = [
    'Authentication-Results: mx.example.org; spf=pass',
    'Authentication-Results: mx.example.com.evil.test; spf=pass',
    'Authentication-Results: other.example.com; spf=pass smtp.mailfrom=mx.example.com',
    'Authentication-Results: (mx.example.com) other.test; spf=pass',
    'ARC-Authentication-Results: i=1; mx.example.com; spf=pass',
    'X-Authentication-Results: mx.example.com; spf=pass',
  ];
  for (const field of others)
    test(`left: ${JSON.stringify(field)}`, () => assert.equal(isTaken(`${field}\r\n`), false));

  test('as edits, in order, with what is folded behind them', () => {
    const lines = [
      'Authentication-Results: mx.example.com;',
      '\tspf=pass',
      'Subject: x',
      'Authentication-Results: mx.example.com',
      'To: y',
      '',
      'body',
    ];
    const text = lines.join('\r\n');
    const editor = new Editor(forgedResults(readFields(text).fields, HOST), text.length);
    const left = [...editor.apply(Buffer.from(text)), ...editor.end()].map((part) => Buffer.from(part).toString());
    assert.equal(left.join(''), 'Subject: x\r\nTo: y\r\n\r\nbody');
  });
});

describe('fields as the most careful reader sees them', () => {
  const seen = (text: string) => readFields(text).fields.map(({ name, value }) => [name, value]);

  test('a name that is folded before its colon is a name', () => {
    assert.deepEqual(seen('From\r\n : a\r\nTo: b\r\n\r\n'), [
      ['from', ' a'],
      ['to', ' b'],
    ]);
  });

  test('a line that is no field belongs to the one above', () => {
    const text = 'Subject: a\r\n\xa0 b\r\nno field\r\nTo: c\r\n\r\n';
    assert.deepEqual(seen(text), [
      ['subject', ' a\r\n\xa0 b\r\nno field'],
      ['to', ' c'],
    ]);
    const [subject] = readFields(text).fields;
    assert.equal(text.slice(subject!.start, subject!.end), 'Subject: a\r\n\xa0 b\r\nno field\r\n');
  });

  test('whole, or not: by an empty line, the end of the text, or too many fields', () => {
    assert.equal(readFields('A: b\r\n\r\n').whole, true);
    assert.equal(readFields('A: b\r\n').whole, true);
    assert.equal(readFields('').whole, true);
    assert.equal(readFields('A: b\r\n'.repeat(2000)).whole, false);
  });
});
