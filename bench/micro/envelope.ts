/**
 * Question: what does it cost to write an envelope for the journal, and to read it back?
 *
 * Bound by the processor: MessagePack by msgpackr, most of it short strings. It would surprise us if a message to one
 * recipient cost more than 3 µs either way, or a further recipient more than 0.3 µs.
 */

import { packMessage, unpackMessage } from '../../src/spool/bodies.ts';
import { measure } from '../measure/micro.ts';
import { envelopeTo } from '../measure/samples.ts';

const messageTo = (recipients: number) => ({ key: 42, envelope: envelopeTo(recipients), states: null, file: null });
const [one, hundred] = [messageTo(1), messageTo(100)];
// The packer's buffer is its own.
const [oneBytes, hundredBytes] = [Buffer.from(packMessage(one)), Buffer.from(packMessage(hundred))];

await measure('an envelope, coded', {
  'written, one recipient': { run: () => packMessage(one) },
  'written, a hundred': { run: () => packMessage(hundred) },
  'read, one recipient': { run: () => unpackMessage(oneBytes) },
  'read, a hundred': { run: () => unpackMessage(hundredBytes) },
});
