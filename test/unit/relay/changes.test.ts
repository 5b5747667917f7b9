/** Edits as a person reads them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeEdits } from '../../../src/message/edits.ts';
import type { Edit, Envelope } from '../../../src/message/envelope.ts';
import { changesOf } from '../../../src/relay/changes.ts';
import type { Passage } from '../../../src/relay/passage.ts';

const HEADER = 'Received: from pc7\r\n\tby inner\r\nX-A: 1\r\nX-A: 1\r\nSubject: é\r\n\r\n';
const BYTES = Buffer.from(HEADER, 'utf8').toString('latin1');

function changes(edits: readonly Edit[], body: Buffer | null = null, header = BYTES) {
  const envelope = { edits: composeEdits({ firewall: edits }), sender: '', recipients: [{ address: 'b@x.example' }] };
  return changesOf(envelope as unknown as Envelope, { header, body } as unknown as Passage);
}

test('a field that is changed goes and comes, as a whole; one of two equal ones goes once', () => {
  const name = BYTES.indexOf('pc7');
  const second = BYTES.lastIndexOf('X-A: 1\r\n');
  const { removed, added, body, sender, recipients } = changes([
    { at: 0, drop: 0, insert: 'Received: from us\r\n' },
    { at: name, drop: 3, insert: 'hidden' },
    { at: second, drop: 8, insert: '' },
  ]);
  assert.deepEqual(removed, ['Received: from pc7\r\n\tby inner', 'X-A: 1']);
  assert.deepEqual(added, ['Received: from us', 'Received: from hidden\r\n\tby inner']);
  assert.deepEqual([body, sender, recipients], [null, '', [{ address: 'b@x.example', route: null }]]);
});

test('text beyond ASCII is read as what it is', () => {
  assert.deepEqual(changes([{ at: 0, drop: 0, insert: 'X-B: ü\r\n' }]).added, ['X-B: ü']);
  const subject = BYTES.indexOf('Subject');
  assert.deepEqual(changes([{ at: subject, drop: BYTES.length - 2 - subject, insert: '' }]).removed, ['Subject: é']);
});

test('what is done to the body is counted, and one that is replaced is said to be', () => {
  const at = BYTES.length;
  assert.deepEqual(changes([{ at: at + 10, drop: 90, insert: 'gone\r\n' }]).body, { removed: 90, added: 6 });
  assert.equal(changes([], Buffer.from('x')).body, 'replaced');
});

test('without a header that anybody looked at, what is put on top is all', () => {
  assert.deepEqual(changes([{ at: 0, drop: 0, insert: 'Received: from us\r\nX-Seen: yes\r\n' }], null, '').added, [
    'Received: from us',
    'X-Seen: yes',
  ]);
});
