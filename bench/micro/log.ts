/**
 * Question: what does a log line cost the shard that writes it?
 *
 * Bound by the processor: an object becomes a text, which waits for others. A relayed message has two such lines, and a
 * third where its connection is its own. It would surprise us if one cost more than 1 µs.
 */
import { BatchingLogger } from '../../src/telemetry/log.ts';
import { measure } from '../measure/micro.ts';

const LIMITS = { batchBytes: 65_536, batchMs: 50, valueCharsMax: 500, bufferBytesMax: 1 << 20 };
const [ID, SESSION, NEXT_HOP] = ['mib3k2x9-a1b2c3-00-0001', 'mib3k2x9-a1b2c3-00-0002', '192.0.2.25'];

let posted = 0;
const logger = new BatchingLogger('info', { shard: 1 }, LIMITS, (lines) => {
  posted += lines.length;
});

const accepted = (from: string) =>
  logger.log('accepted', {
    id: ID,
    session: SESSION,
    side: 'outside',
    client: '192.0.2.1',
    from,
    to: 'bob@example.com',
    recipients: 1,
    bytes: 4096,
    ms: 1.3,
  });

const delivery = (text: string) =>
  logger.log('delivery', {
    id: ID,
    site: `inside ${NEXT_HOP}:25`,
    host: NEXT_HOP,
    address: NEXT_HOP,
    tls: 'TLSv1.3',
    to: 'bob@example.com',
    recipients: 1,
    delivered: 1,
    deferred: 0,
    failed: 0,
    code: 250,
    enhanced: '2.0.0',
    text,
    ms: 2.7,
  });

const session = () =>
  logger.log('session', {
    session: SESSION,
    side: 'outside',
    client: '192.0.2.1',
    helo: 'mail.example.org',
    tls: true,
    messages: 1,
    refusals: 0,
    bytes: 4096,
    end: 'finished',
    ms: 12,
  });

const refused = () =>
  logger.log('refused', {
    session: SESSION,
    side: 'outside',
    client: '192.0.2.1',
    code: 550,
    reason: 'policyReject',
    detail: 'not welcome [listed-client]',
    stage: 'rcpt',
    rule: 'listed-client',
    helo: 'mail.example.org',
    from: 'alice@example.org',
    to: 'bob@example.com',
    facts: 'dnsbl.score=7 dnswl.score=unknown',
    costs: 'dns-lists 12.3',
    tried: 7,
  });

await measure('a log line in the batch of its shard', {
  accepted: { run: () => accepted('alice@example.org') },
  delivery: { run: () => delivery('2.0.0 Ok: queued as 4Zx1Yb2Kq9z3') },
  session: { run: session },
  'accepted, with a hostile sender': { run: () => accepted(`"${'\\"'.repeat(30)}"@example.org`) },
  'delivery, with an endless reply': { run: () => delivery('5.7.1 no '.repeat(100)) },
  'refused, by a rule': { run: refused },
});
logger.flush();
if (posted === 0) throw new Error('no line was posted');
