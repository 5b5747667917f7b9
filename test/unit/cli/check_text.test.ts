import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkText } from '../../../src/cli/check_text.ts';

test('a recipient that goes elsewhere is told with its server', () => {
  const text = checkText({
    ...{ side: 'outside', stages: [], verdict: 'accepted', refusals: 0, leftOut: [], filters: [], notes: [] },
    changes: {
      ...{ removed: [], added: [], body: null, sender: '', recipients: ['b@x.example', 'c@x.example'] },
      routes: [{ recipient: 'c@x.example', route: 'smtp://10.0.0.9:25?tls=require' }],
    },
  });
  assert.match(text, /\nto {7}c@x\.example\nroute {4}c@x\.example smtp:\/\/10\.0\.0\.9:25\?tls=require\n/);
  assert.equal(text.match(/route/g)?.length, 1);
});
