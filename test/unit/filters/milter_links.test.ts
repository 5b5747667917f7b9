/** Connections to a milter that carry more than one message. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { FilteredEnvelope } from '../../../src/filters/filter.ts';
import type { MilterAnswer } from '../../support/fake_milter.ts';
import { at, FakeMilter, reply } from '../../support/fake_milter.ts';
import { ENVELOPE, examine, MESSAGE, startFilter } from '../../support/filters.ts';
import { ManualTimers } from '../../support/timers.ts';

/** Of another session of the same client. */
const OTHER: FilteredEnvelope = { ...ENVELOPE, id: 'mib3k2x9-a1b2c3-00-0002' };

let milter: FakeMilter;
afterEach(() => milter.close());

describe('a connection that has carried a message', () => {
  const CONTENT = 'MRRTLLLLNBE';

  /** One that does this when it hears on its first connection of another client. */
  const startedWith = (then: MilterAnswer): Promise<FakeMilter> =>
    FakeMilter.start({
      answer: ({ letter, connection }) =>
        letter === 'C' && connection === 1 && milter.told('C').length === 2 ? then : undefined,
    });

  test('carries the next one where the end was `continue`: of the same session with MAIL at once', async () => {
    milter = await FakeMilter.start();
    const { filter } = startFilter({ type: 'milter', at: milter.at });
    for (const envelope of [ENVELOPE, ENVELOPE, OTHER, ENVELOPE]) {
      assert.equal((await examine(filter, MESSAGE, envelope)).failure, undefined);
    }
    await filter.close();
    await milter.heard('Q');
    assert.equal(milter.connections, 1);
    const { letters } = milter;
    assert.equal(letters.replaceAll('D', ''), `OCH${CONTENT}${CONTENT}KCH${CONTENT}KCH${CONTENT}Q`);
  });

  test('hears of its client anew where anything that CONNECT and HELO tell has changed', async () => {
    milter = await FakeMilter.start();
    const { filter } = startFilter({ type: 'milter', at: milter.at });
    const { client } = ENVELOPE;
    const changes: Partial<FilteredEnvelope>[] = [
      { helo: 'other.example' },
      { tls: null },
      { user: 'alice' },
      { client: { ...client, port: 40_002 } },
      { client: { ...client, name: null } },
    ];
    for (const [at, change] of changes.entries()) {
      await examine(filter);
      await examine(filter, MESSAGE, { ...ENVELOPE, ...change });
      assert.equal(milter.told('C').length, 2 * at + 2);
    }
    await filter.close();
  });

  test('is that of the same session, where one of several has carried it', async () => {
    milter = await FakeMilter.start();
    const { filter } = startFilter({ type: 'milter', at: milter.at });
    await Promise.all([examine(filter), examine(filter, MESSAGE, OTHER)]);
    assert.equal(milter.connections, 2);
    for (let message = 0; message < 2; message++) {
      await examine(filter);
      await examine(filter, MESSAGE, OTHER);
    }
    assert.equal(milter.connections, 2);
    assert.equal(milter.told('C').length, 2);
    await filter.close();
  });

  test('carries no other where the end was `accept`', async () => {
    milter = await FakeMilter.start({ answer: at('E', reply('a')) });
    const { filter } = startFilter({ type: 'milter', at: milter.at });
    for (let message = 0; message < 2; message++) await examine(filter);
    assert.equal(milter.connections, 2);
    await filter.close();
  });

  test('that died while idle costs nothing', async () => {
    milter = await startedWith('hang-up');
    const { filter, ends } = startFilter({ type: 'milter', at: milter.at });
    await examine(filter);
    assert.equal((await examine(filter, MESSAGE, OTHER)).failure, undefined);
    assert.equal(milter.connections, 2);
    assert.equal(ends.length, 2);
    await filter.close();
  });

  test('is not used twice with a filter that has shown that it cannot', async () => {
    milter = await startedWith(null);
    const timers = new ManualTimers();
    const { filter } = startFilter({ type: 'milter', at: milter.at, stepMs: 500 }, timers);
    await examine(filter);
    const second = examine(filter, MESSAGE, OTHER);
    await milter.heard('C', 2);
    timers.advance(501);
    assert.equal((await second).failure?.reason, 'timeout');
    for (let message = 0; message < 2; message++) assert.equal((await examine(filter)).failure, undefined);
    assert.equal(milter.connections, 3);
    await filter.close();
  });

  test('goes on being used when a message that had not been answered yet is not coming', async () => {
    milter = await startedWith(null);
    const { filter } = startFilter({ type: 'milter', at: milter.at });
    await examine(filter);
    const given = filter.begin(OTHER);
    await milter.heard('C', 2);
    given.abort();
    assert.equal((await given.end()).failure?.reason, 'aborted');
    await milter.heard('Q');
    for (let message = 0; message < 2; message++) assert.equal((await examine(filter)).failure, undefined);
    assert.equal(milter.connections, 2, 'the second of the two came on the connection of the first');
    await filter.close();
  });
});
