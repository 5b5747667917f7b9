/** What holds whatever a filter does: deadlines of its own time, fail modes, the breaker, bounds, the trial. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FilterConfig } from '../../../src/config/filters.ts';
import { filterSchema } from '../../../src/config/filters.ts';
import { Piece } from '../../../src/filters/content_pieces.ts';
import type { Findings } from '../../../src/filters/filter.ts';
import { ACCEPTED, FilterFailure } from '../../../src/filters/filter.ts';
import { GuardedFilter } from '../../../src/filters/guarded.ts';
import type { Protocol, Subject } from '../../../src/filters/protocol.ts';
import { within } from '../../support/deadline.ts';
import { ENVELOPE, examine } from '../../support/filters.ts';
import { ManualTimers } from '../../support/timers.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A filter whose protocol the test writes. */
function guard(examineOne: (subject: Subject) => Promise<Findings>, row: Record<string, unknown> = {}, early = false) {
  const timers = new ManualTimers();
  const config: FilterConfig = filterSchema.parse({ name: 'f', type: 'clamd', at: 'tcp://127.0.0.1:9', ...row });
  const protocol: Protocol = { examine: examineOne, close: async () => undefined, ...(early ? { early } : {}) };
  const breaker: boolean[] = [];
  const ends: Findings[] = [];
  const hooks = {
    ended: ({ findings }: { findings: Findings }) => ends.push(findings),
    breaker: (_: string, open: boolean) => breaker.push(open),
  };
  return { timers, breaker, ends, filter: new GuardedFilter(config, protocol, timers, hooks) };
}

async function readAll({ content }: Subject): Promise<number> {
  let bytes = 0;
  for (let chunk = await content.read(); chunk !== null; chunk = await content.read()) bytes += chunk.length;
  return bytes;
}

const hang = async (): Promise<never> => new Promise(() => undefined);

describe('time', () => {
  test('a slow client is not the filter’s fault', async () => {
    const { filter, timers } = guard(async (subject) => ({ ...ACCEPTED, score: await readAll(subject) }), {
      stepMs: 100,
      totalMs: 300,
    });
    const examination = filter.begin(ENVELOPE);
    for (let piece = 0; piece < 10; piece++) {
      await settle();
      timers.advance(1000);
      await examination.write(new Piece(Buffer.from('abc')), 0, 3);
    }
    await settle();
    assert.deepEqual(await examination.end(), { ...ACCEPTED, score: 30 });
  });

  test('a step that takes too long fails, and cuts what is under way', async () => {
    let cut = '';
    const { filter, timers, ends } = guard(
      (subject) => {
        subject.onCut((why) => {
          cut = why;
        });
        subject.patience.owe();
        return hang();
      },
      { stepMs: 100 },
    );
    const examination = filter.begin(ENVELOPE);
    await settle();
    timers.advance(5000);
    assert.equal(cut, 'failure');
    assert.equal(
      examination.write(new Piece(Buffer.alloc(100_000)), 0, 100_000),
      undefined,
      'content is taken and dropped',
    );
    const { verdict, failure } = await examination.end();
    assert.deepEqual([verdict, failure?.reason], ['defer', 'timeout']);
    assert.equal(ends.length, 1);
  });

  test('which wait was too long is told: connectMs before the first sign of life, then stepMs', async () => {
    for (const lives of [false, true]) {
      const { filter, timers } = guard(
        (subject) => {
          if (lives) subject.patience.owe();
          return hang();
        },
        { connectMs: 100, stepMs: 200 },
      );
      const examination = filter.begin(ENVELOPE);
      await settle();
      timers.advance(250);
      const { failure } = await within('findings', examination.end());
      assert.deepEqual(failure, { reason: 'timeout', detail: `it was silent for ${lives ? 200 : 100} ms` });
    }
  });

  test('signs of life renew the step, not the total', async () => {
    let patience!: Subject['patience'];
    const { filter, timers } = guard(
      (subject) => {
        patience = subject.patience;
        patience.owe();
        return hang();
      },
      { stepMs: 100, totalMs: 1000, connectMs: 100 },
    );
    const examination = filter.begin(ENVELOPE);
    await settle();
    for (let ms = 0; ms < 990; ms += 90) {
      timers.advance(90);
      patience.owe();
    }
    timers.advance(50);
    assert.match((await within('findings', examination.end())).failure!.detail, /totalMs/);
  });

  test('a filter that takes nothing holds the client up, and no longer than its step', async () => {
    const { filter, timers } = guard(
      async (subject) => {
        await subject.content.read();
        return hang();
      },
      { stepMs: 100 },
    );
    const examination = filter.begin(ENVELOPE);
    await settle();
    const piece = new Piece(Buffer.alloc(65_536));
    examination.write(piece, 0, 65_536);
    await settle();
    const wait = examination.write(piece, 0, 65_536);
    assert.ok(wait !== undefined);
    timers.advance(101);
    await within('the writer', wait);
    assert.equal((await examination.end()).failure?.reason, 'timeout');
  });
});

describe('failure', () => {
  const fail = async (): Promise<never> => {
    throw new FilterFailure('died', 'just so');
  };

  test('closed defers with 451, open accepts, both say why', async () => {
    const closed = await examine(guard(fail).filter);
    assert.deepEqual([closed.verdict, closed.reply?.code, closed.failure?.detail], ['defer', 451, 'just so']);
    const open = await examine(guard(fail, { onFailure: 'open' }).filter);
    assert.deepEqual(open, { ...ACCEPTED, failure: { reason: 'died', detail: 'just so' } });
  });

  test('so many in a row open the breaker; one message tries when the pause is over', async () => {
    let healthy = false;
    let asked = 0;
    const { filter, timers, breaker } = guard(
      async () => {
        asked++;
        return healthy ? ACCEPTED : fail();
      },
      { breaker: { failures: 3, pauseMs: 1000 } },
    );
    for (let message = 0; message < 5; message++) await examine(filter);
    assert.deepEqual([asked, breaker], [3, [true]]);
    assert.equal((await examine(filter)).failure?.reason, 'paused');
    timers.advance(1000);
    const [first, second] = await Promise.all([examine(filter), examine(filter)]);
    assert.deepEqual([first.failure?.reason, second.failure?.reason, asked], ['died', 'paused', 4]);
    timers.advance(999);
    assert.equal((await examine(filter)).failure?.reason, 'paused');
    timers.advance(1);
    healthy = true;
    assert.equal((await examine(filter)).failure, undefined);
    assert.deepEqual(breaker, [true, false]);
    assert.equal((await examine(filter)).failure, undefined);
  });

  test('a message whose client takes its time does not keep others from trying', async () => {
    let healthy = false;
    const examineOne = async ({ hearing, content }: Subject): Promise<Findings> => {
      if (!healthy) return await fail();
      while ((await hearing.next(null)) !== null);
      while ((await content.read()) !== null);
      return ACCEPTED;
    };
    const { filter, timers, breaker } = guard(examineOne, { breaker: { failures: 1, pauseMs: 1000 } }, true);
    await examine(filter);
    timers.advance(1000);
    healthy = true;
    const slow = filter.begin(ENVELOPE);
    assert.equal(await slow.sender(), null);
    assert.equal((await examine(filter)).failure, undefined);
    assert.deepEqual(breaker, [true, false]);
    assert.equal((await slow.end()).failure, undefined);
  });

  test('what one message can cause by itself does not open it', async () => {
    const { filter, breaker } = guard(async () => {
      throw new FilterFailure('error', 'this message is too odd');
    });
    for (let message = 0; message < 20; message++) assert.equal((await examine(filter)).failure?.reason, 'error');
    assert.deepEqual(breaker, []);
  });

  test('a success between ends the row', async () => {
    let asked = 0;
    const { filter, breaker } = guard(async () => (++asked % 5 === 0 ? ACCEPTED : fail()));
    for (let message = 0; message < 20; message++) await examine(filter);
    assert.deepEqual(breaker, []);
  });
});

describe('bounds', () => {
  test('more messages at once than connectionsMax wait, in their order, and no longer than connectMs', async () => {
    const doors: (() => void)[] = [];
    const { filter, timers } = guard(
      () =>
        new Promise((resolve) => {
          doors.push(() => resolve(ACCEPTED));
        }),
      { connectionsMax: 2, connectMs: 100, stepMs: 60_000, totalMs: 60_000 },
    );
    const all = Array.from({ length: 4 }, () => filter.begin(ENVELOPE));
    await settle();
    assert.equal(doors.length, 2);
    doors[0]!();
    await settle();
    assert.equal(doors.length, 3);
    timers.advance(101);
    assert.equal((await all[3]!.end()).failure?.reason, 'busy');
    all[1]!.abort();
    doors[2]!();
    assert.equal(
      (await all[2]!.end()).failure?.reason,
      'timeout',
      'connectMs counts from its slot, without a sign of life',
    );
  });

  test('a message that is too large is not examined, and passes', async () => {
    let cut = '';
    const { filter } = guard(
      async (subject) => {
        subject.onCut((why) => {
          cut = why;
        });
        await readAll(subject);
        return { ...ACCEPTED, verdict: 'reject' };
      },
      { contentBytesMax: 1000 },
    );
    assert.deepEqual(await examine(filter, 'x'.repeat(1001)), { ...ACCEPTED, action: 'too-large' });
    assert.equal(cut, 'abort');
    assert.equal((await examine(filter, 'x'.repeat(1000))).verdict, 'reject');
  });

  test('an aborted message ends everything and gives its place back', async () => {
    const { filter, ends, breaker } = guard(hang, { connectionsMax: 1, breaker: { failures: 1, pauseMs: 1000 } });
    for (let message = 0; message < 3; message++) {
      const examination = filter.begin(ENVELOPE);
      await settle();
      examination.abort();
      examination.abort();
      await settle();
    }
    assert.deepEqual(
      ends.map(({ failure }) => failure?.reason),
      ['aborted', 'aborted', 'aborted'],
    );
    assert.deepEqual(breaker, []);
  });
});

test('on trial a filter changes nothing, and what it would have done is told', async () => {
  const { filter } = guard(
    async () => ({
      verdict: 'hold',
      score: 7,
      names: ['X'],
      headers: [{ tag: 'remove', name: 'A', nth: 1 }],
      sender: '',
      body: Buffer.from('x'),
      recipients: { add: ['a@b.test'], remove: [] },
    }),
    { dryRun: true },
  );
  assert.deepEqual(await examine(filter), {
    ...ACCEPTED,
    score: 7,
    names: ['X'],
    dryRun: { verdict: 'hold', changes: 4 },
  });
  const failing = guard(async () => Promise.reject(new FilterFailure('died', 'x')), { dryRun: true });
  assert.equal((await examine(failing.filter)).verdict, 'accept');
});

test('tiny spans cost no more than their bytes', async () => {
  let chunks = 0;
  const { filter } = guard(async ({ content }) => {
    for (let chunk = await content.read(); chunk !== null; chunk = await content.read()) chunks++;
    return ACCEPTED;
  });
  const examination = filter.begin(ENVELOPE);
  const piece = new Piece(Buffer.alloc(64_000, 'ab'));
  for (let at = 0; at < piece.bytes.length; at += 2) {
    const wait = examination.write(piece, at, at + 2);
    if (wait !== undefined) await wait;
  }
  assert.equal((await examination.end()).failure, undefined);
  assert.ok(chunks < 20, `${chunks} chunks for 32,000 spans`);
});
