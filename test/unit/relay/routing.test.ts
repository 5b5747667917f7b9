import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import { splitDestination } from '../../../src/message/destination.ts';
import type { Recipient } from '../../../src/message/envelope.ts';
import { Places } from '../../../src/relay/places.ts';
import type { NextHop } from '../../../src/relay/router.ts';
import type { Hop } from '../../../src/relay/routing.ts';
import { Routing } from '../../../src/relay/routing.ts';
import { Slices } from '../../../src/relay/slices.ts';
import { Rows } from '../../../src/spool/rows.ts';
import { eventually } from '../../support/deadline.ts';

const hop = (site: string): NextHop => ({ tag: 'hop', site, side: 'outside', targets: [] });

/** `atOnce` domains need no look-up; the others wait for `answer`. */
function setUp(atOnce: readonly string[] = []) {
  const index = new Rows();
  const places = new Places();
  const asked: string[] = [];
  const waiting = new Map<string, (hop: Hop) => void>();
  const log: string[] = [];
  const owner = {
    nextHop: (domain: string) => {
      asked.push(domain);
      if (atOnce.includes(domain)) return hop(domain);
      const { promise, resolve } = Promise.withResolvers<Hop>();
      waiting.set(domain, resolve);
      return promise;
    },
    arrived: (row: number, recipients: readonly number[], { tag, ...rest }: Hop) =>
      log.push(`${row}: ${recipients.join(' ')} ${tag === 'hop' ? (rest as NextHop).site : 'none'}`),
    routed: () => log.push('-'),
  };
  const routing = new Routing(owner, index, places, new Slices());
  const row = (...domains: string[]) => {
    const recipients = domains.map((text): Recipient => {
      const { domain, route } = splitDestination(text);
      return { address: `x@${domain}`, ...(route === null ? {} : { route }) };
    });
    const content = { bytes: 1, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: 1 };
    const rest = { origin: 'inside', acceptedMs: 0, sender: '', smtpUtf8: false, edits: [] } as const;
    return index.add(1, { id: 'a', recipients, content, ...rest }, null, null);
  };
  const answer = (domain: string, site: string) => waiting.get(domain)!(hop(site));
  return { routing, places, asked, log, row, answer };
}

test('a domain is asked for once in a tick, however many wait for it', () => {
  const { routing, asked, log, row } = setUp(['a.example']);
  for (let n = 0; n < 3; n++) routing.route(row('a.example', 'a.example'), [0, 1], 0);
  assert.deepEqual(asked, ['a.example']);
  assert.deepEqual(log, ['0: 0 1 a.example', '-', '1: 0 1 a.example', '-', '2: 0 1 a.example', '-']);
  routing.tick();
  routing.route(row('a.example'), [0], 0);
  assert.equal(asked.length, 2);
});

test('recipients of one domain part where one of them has a route', () => {
  const [plain, routed] = ['a.example', 'a.example smtp://q.example:25'];
  const { routing, asked, log, row } = setUp([plain, routed]);
  routing.route(row(plain, routed, plain), [0, 1, 2], 0);
  assert.deepEqual(asked, [plain, routed]);
  assert.deepEqual(log, [`0: 0 ${plain}`, `0: 1 ${routed}`, `0: 2 ${plain}`, '-']);
});

test('who waits for an answer of DNS waits at rest, behind those of the same domain', async () => {
  const { routing, places, asked, log, row, answer } = setUp();
  for (let n = 0; n < 3; n++) routing.route(row('a.example'), [0], 0);
  assert.deepEqual([asked, places.size, routing.lookUps], [['a.example'], 3, 1]);
  log.length = 0;
  answer('a.example', 'mx');
  await eventually('all have gone', () => places.size === 0);
  assert.deepEqual(log, ['0: 0 mx', '-', '1: 0 mx', '-', '2: 0 mx', '-']);
});

test('domains of one message are waited for together, so that it goes to a common site once', async () => {
  const { routing, log, row, answer } = setUp(['c.example']);
  routing.route(row('a.example', 'b.example', 'c.example', 'a.example'), [0, 1, 2, 3], 0);
  log.length = 0;
  answer('b.example', 'mx');
  routing.tick();
  answer('a.example', 'mx');
  await eventually('it has gone', () => log.length === 5);
  assert.deepEqual(log, ['0: 0 mx', '0: 1 mx', '0: 2 c.example', '0: 3 mx', '-']);
  assert.equal(routing.lookUps, 0);
});

test('more domains than may be looked up wait at rest for their look-up', async () => {
  const { routing, places, asked, row, answer } = setUp();
  const count = LIMITS.lookUpsMax + 10;
  for (let n = 0; n < count; n++) routing.route(row(`d${n}.example`), [0], 0);
  assert.deepEqual([asked.length, places.size], [LIMITS.lookUpsMax, count]);
  for (let n = 0; n < 10; n++) answer(`d${n}.example`, 'mx');
  await eventually('the last ones are asked for', () => asked.length === count);
  assert.equal(new Set(asked).size, count);
  for (let n = 10; n < count; n++) answer(`d${n}.example`, 'mx');
  await eventually('all have gone', () => places.size === 0);
});
