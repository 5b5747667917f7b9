import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import { Watchdog } from '../../../src/relay/watchdog.ts';

test('what stands still is logged once for as long as that lasts, and again when it comes back', () => {
  const lines: unknown[] = [];
  const watchdog = new Watchdog({ log: (event, fields) => void lines.push([event, fields]) });
  const still = (ms: number) => watchdog.ask([{ what: 'mx a.example', ms, facts: { due: 7 } }]);
  still(LIMITS.stalledMs - 1);
  assert.deepEqual([lines, watchdog.stalled], [[], 0]);
  still(LIMITS.stalledMs);
  still(LIMITS.stalledMs + 5000);
  const seconds = LIMITS.stalledMs / 1000;
  assert.deepEqual(lines, [['queue-stalled', { what: 'mx a.example', seconds, due: 7 }]]);
  assert.equal(watchdog.stalled, 1);
  watchdog.ask([]);
  assert.equal(watchdog.stalled, 0);
  still(LIMITS.stalledMs);
  assert.equal(lines.length, 2);
});
