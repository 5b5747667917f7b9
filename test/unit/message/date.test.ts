/** Dates as mail writes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mailDate } from '../../../src/message/date.ts';

test('a date is in UTC, with an offset (RFC 5322 §3.3)', () => {
  assert.equal(mailDate(0), 'Thu, 1 Jan 1970 00:00:00 +0000');
  assert.equal(mailDate(Date.UTC(2026, 10, 24, 13, 44, 7)), 'Tue, 24 Nov 2026 13:44:07 +0000');
  assert.equal(mailDate(Date.UTC(2024, 1, 29, 23, 59, 59) + 999), 'Thu, 29 Feb 2024 23:59:59 +0000');
});

test('the text of a second is not that of the next', () => {
  const second = Date.UTC(2026, 0, 1);
  assert.equal(mailDate(second), mailDate(second + 999));
  assert.notEqual(mailDate(second + 999), mailDate(second + 1000));
  assert.equal(mailDate(second - 1), 'Wed, 31 Dec 2025 23:59:59 +0000');
});

test('any date is read back as it was', () => {
  for (let at = 0; at < 500; at++) {
    const second = at * 4_321_987; // some 68 years, all months and days
    const text = mailDate(second * 1000);
    assert.equal(Date.parse(text), second * 1000);
    assert.match(text, /^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$/);
  }
});
