import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whenAllKnown } from '../../../src/base/answers.ts';

test('what is known is answered at once', () => {
  assert.equal(
    whenAllKnown([1, 'two', null], ([one, two, none]) => `${one} ${two} ${none}`),
    '1 two null',
  );
});

test('one that comes later makes all of it later, in the order of the answers', async () => {
  const answer = whenAllKnown([Promise.resolve(1), 2], (known) => known);
  assert.ok(answer instanceof Promise);
  assert.deepEqual(await answer, [1, 2]);
});

test('one that fails fails it, and nothing is made of the others', async () => {
  const answer = whenAllKnown([1, Promise.reject(new Error('gone'))], () => assert.fail('not all have come'));
  await assert.rejects(async () => await answer, /gone/);
});
