import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Release } from '../../../src/relay/release.ts';
import { Slices } from '../../../src/relay/slices.ts';
import { Rows } from '../../../src/spool/rows.ts';
import type { RecipientState, Row } from '../../../src/spool/spool.ts';
import { envelopeOf } from '../spool/ledger.ts';

const LATER_MS = 4_000_000_000_000;

function setUp() {
  const index = new Rows();
  const greetings = new Map<string, number>();
  const back: string[] = [];
  const released: Row[] = [];
  const owner = {
    greetings: (site: string) => greetings.get(site) ?? -1,
    siteIsBack: (site: string) => back.push(site),
  };
  const release = new Release(index, new Slices(), owner, (row) => released.push(row));
  const waits = (key: number, site: string, nextMs = LATER_MS): Row => {
    const row = index.add(key, envelopeOf(1), null, null);
    const state: RecipientState = { tag: 'waiting', attempts: 1, nextMs, site, detail: '', warned: false };
    index.apply(row, [{ recipient: 0, state }]);
    return row;
  };
  const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  return { release, greetings, back, released, waits, settled };
}

test('whoever waits for a site is due when it answers again, who is held or waits for another one is not', async () => {
  const { release, released, waits, settled } = setUp();
  const row = waits(1, 'mx a');
  waits(2, 'mx b');
  waits(3, 'mx a', Number.POSITIVE_INFINITY);
  release.blocked('mx a');
  release.tick();
  await settled();
  assert.deepEqual(released, []);
  release.connected('mx a');
  release.tick();
  await settled();
  assert.deepEqual(released, [row]);
});

test('a site that was not down releases nobody', async () => {
  const { release, released, waits, settled } = setUp();
  waits(1, 'mx a');
  release.connected('mx a');
  release.tick();
  await settled();
  assert.deepEqual(released, []);
});

test('what another shard has found out counts, once', async () => {
  const { release, greetings, back, released, waits, settled } = setUp();
  const row = waits(1, 'mx a');
  greetings.set('mx a', 7);
  release.blocked('mx a');
  release.tick();
  await settled();
  assert.deepEqual(back, []);
  greetings.set('mx a', 8);
  release.tick();
  await settled();
  assert.deepEqual([back, released], [['mx a'], [row]]);
  release.tick();
  await settled();
  assert.equal(released.length, 1);
});
