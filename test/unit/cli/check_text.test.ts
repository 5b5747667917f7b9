/** What postern check found, as people read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkText } from '../../../src/cli/check_text.ts';

test('a recipient that goes elsewhere is told with its server', () => {
  const recipients = [
    { address: 'b@x.example', route: null },
    { address: 'c@x.example', route: 'smtp://10.0.0.9:25?tls=require' },
  ];
  const text = checkText({
    ...{ side: 'outside', stages: [], verdict: 'accepted', refusals: 0, leftOut: [], filters: [], notes: [] },
    changes: { removed: [], added: [], body: null, sender: '', recipients },
  });
  assert.match(text, /\nto {7}b@x\.example\n/);
  assert.match(text, /\nto {7}c@x\.example +by smtp:\/\/10\.0\.0\.9:25\?tls=require\n/);
});
