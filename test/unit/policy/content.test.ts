import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeContent } from '../../../src/policy/content.ts';

const RULES = { messageBytesMax: 1000, receivedFieldsMax: 100, bareLineEnds: 'fix' as const };
const GOOD = { bytes: 1000, receivedFields: 100, bareLineEnds: false };

test('at its bounds a message passes, one beyond it does not', () => {
  assert.equal(judgeContent(GOOD, RULES), null);
  assert.equal(judgeContent({ ...GOOD, bytes: 1001 }, RULES), 'tooLarge');
  assert.equal(judgeContent({ ...GOOD, receivedFields: 101 }, RULES), 'tooManyHops');
});

test('bare line ends are refused only where the operator says so', () => {
  assert.equal(judgeContent({ ...GOOD, bareLineEnds: true }, RULES), null);
  assert.equal(judgeContent({ ...GOOD, bareLineEnds: true }, { ...RULES, bareLineEnds: 'refuse' }), 'bareLineEnds');
});
