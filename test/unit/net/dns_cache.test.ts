/** How long answers are kept, and which one goes first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import { DnsCache } from '../../../src/net/dns_cache.ts';
import type { DnsAnswer } from '../../../src/net/dns_message.ts';

const found = (ttlSeconds: number): DnsAnswer => ({
  tag: 'records',
  records: ['192.0.2.1'],
  authentic: false,
  ttlSeconds,
});
const none = (ttlSeconds: number): DnsAnswer => ({ tag: 'none', why: 'nodata', authentic: false, ttlSeconds });

/** For how many seconds the cache gives `answer`. */
function keptSeconds(answer: DnsAnswer): number {
  let seconds = 0;
  for (let step = 2 ** 20; step >= 1; step /= 2) {
    const cache = new DnsCache();
    cache.put('key', answer, 100, 0);
    if (cache.get('key', (seconds + step) * 1000 - 1) !== null) seconds += step;
  }
  return seconds;
}

test('an answer is kept for its TTL, at least a second and at most a day', () => {
  assert.equal(keptSeconds(found(300)), 300);
  assert.equal(keptSeconds(found(0)), LIMITS.dnsTtlSecondsMin);
  assert.equal(keptSeconds(found(0x7fffffff)), LIMITS.dnsTtlSecondsMax);
});

test('"there is none" has a bound of its own', () => {
  assert.equal(keptSeconds(none(300)), 300);
  assert.equal(keptSeconds(none(0)), LIMITS.dnsTtlSecondsMin);
  assert.equal(keptSeconds(none(86_400)), LIMITS.dnsNegativeTtlSecondsMax);
});

test('a failure of the servers is kept briefly, one of our limits not at all', () => {
  assert.equal(keptSeconds({ tag: 'failed', reason: 'servfail' }), LIMITS.dnsFailureSeconds);
  assert.equal(keptSeconds({ tag: 'failed', reason: 'timeout' }), LIMITS.dnsFailureSeconds);
  assert.equal(keptSeconds({ tag: 'failed', reason: 'limit' }), 0);
});

test('the TTL given out is what is left', () => {
  const cache = new DnsCache();
  const first = cache.put('key', found(1_000_000), 100, 5000);
  assert.equal(first.tag === 'records' && first.ttlSeconds, LIMITS.dnsTtlSecondsMax);
  const later = cache.get('key', 15_000);
  assert.equal(later?.tag === 'records' && later.ttlSeconds, LIMITS.dnsTtlSecondsMax - 10);
});

test('above the number of entries, the least recently used one goes', () => {
  const cache = new DnsCache();
  for (let n = 0; n < LIMITS.dnsCacheEntriesMax; n++) cache.put(`k${n}`, found(60), 100, 0);
  cache.get('k0', 1);
  cache.put('one more', found(60), 100, 1);
  assert.equal(cache.size, LIMITS.dnsCacheEntriesMax);
  assert.notEqual(cache.get('k0', 1), null);
  assert.equal(cache.get('k1', 1), null);
  assert.notEqual(cache.get('k2', 1), null);
});

test('above the number of bytes, too', () => {
  const cache = new DnsCache();
  for (let n = 0; n < 1000; n++) cache.put(`k${n}`, found(60), 65_535, 0);
  assert.ok(cache.bytes <= LIMITS.dnsCacheBytesMax && cache.size > 200, `${cache.bytes} bytes, ${cache.size} entries`);
  assert.equal(cache.get('k0', 1), null);
  assert.notEqual(cache.get('k999', 1), null);
});

test('an answer that replaces another, or has run out, gives its bytes back', () => {
  const cache = new DnsCache();
  cache.put('key', found(60), 1000, 0);
  cache.put('key', found(60), 10, 0);
  const small = cache.bytes;
  assert.ok(small < 1000);
  cache.get('key', 60_000);
  assert.deepEqual([cache.size, cache.bytes], [0, 0]);
});
