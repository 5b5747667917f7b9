import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMIT_TABLE, LIMITS } from '../../../src/config/limits.ts';

test('every limit has a value, a reason, and says what happens when it is reached', () => {
  for (const [key, [value, why, then]] of Object.entries(LIMIT_TABLE)) {
    assert.ok(Number.isSafeInteger(value) && value > 0, key);
    assert.ok(why.length > 10 && then.length > 5, key);
    assert.equal(LIMITS[key as keyof typeof LIMITS], value);
  }
});
