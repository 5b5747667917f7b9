/**
 * Question: what does it cost to build a reply?
 *
 * Bound by the processor: replies without a detail are built once and kept. It would surprise us if one of these cost
 * more than 50 ns, or one with a detail more than 2 µs.
 */

import { replyLine } from '../../src/smtp/replies.ts';
import { measure } from '../measure/micro.ts';

await measure('a reply as wire text', {
  'as it stands in the table': { run: () => replyLine('ok') },
  'with an id in it': { run: () => replyLine('queued', 'mib3k2x9-a1b2c3-00-0001') },
  'with hostile words in it': { run: () => replyLine('policyReject', `${'\r\n'.repeat(100)}é${'x'.repeat(400)}`) },
  'with a status of its own': { run: () => replyLine('policyReject', 'no', { code: 554, enhanced: '5.7.1' }) },
});
