/**
 * Question: what does it cost to find the fields of a header section, to make edits of changes, and to send content
 * through them?
 *
 * Bound by the processor. Content passes as views, so it should cost the same whatever its size: it would surprise us
 * if a chunk of 64 KiB took much longer than one of 4 KiB, or if the whole cost more than 15 µs a message.
 */

import { composeEdits, Editor } from '../../src/message/edits.ts';
import { type HeaderChange, headerEdits } from '../../src/message/header_changes.ts';
import { splitHeaders } from '../../src/message/headers.ts';
import { measure } from '../measure/micro.ts';
import { HEADER } from '../measure/samples.ts';

const section = splitHeaders(HEADER);
const changes: readonly HeaderChange[] = [
  { tag: 'change', name: 'Subject', nth: 1, value: ' [spam] lunch' },
  { tag: 'add', name: 'X-Spam-Flag', value: ' YES', before: 'end' },
  { tag: 'remove', name: 'DKIM-Signature', nth: 'all' },
];
const filters = headerEdits(section, changes).edits;
const trace = [
  { at: 0, drop: 0, insert: 'Received: from x\r\n\tby mx.example.com; Tue, 24 Nov 2026 12:00:00 +0000\r\n' },
];
const edits = composeEdits({ trace, filters });
const contentOf = (bytes: number): Buffer => Buffer.concat([Buffer.from(HEADER), Buffer.alloc(bytes, 'x')]);

function sent(content: Buffer): number {
  const editor = new Editor(edits, content.length);
  return editor.apply(content).length + editor.end().length;
}

const [small, large] = [contentOf(4096), contentOf(65_536)];
await measure('edits of a header section', {
  'fields found': { run: () => splitHeaders(HEADER), bytes: HEADER.length },
  'three changes made edits': { run: () => headerEdits(section, changes) },
  'composed with the trace': { run: () => composeEdits({ trace, filters }) },
  'content of 4 KiB sent through': { run: () => sent(small) },
  'content of 64 KiB sent through': { run: () => sent(large) },
});
