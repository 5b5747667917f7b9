/** What the long scenarios read and conclude: tenths of a course, Postern's metrics, a growing file, a bad outage. */
import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseArrival } from '../../../bench/load/arrivals_file.ts';
import { recipientsOf, SAMPLE_RECIPIENTS_MAX, sample } from '../../../bench/load/messages.ts';
import { Sink } from '../../../bench/load/sink.ts';
import { Source } from '../../../bench/load/source.ts';
import { type Moment, tenthsOf } from '../../../bench/measure/course.ts';
import { bareSyncs } from '../../../bench/measure/disk.ts';
import { MetricsPage } from '../../../bench/measure/metrics.ts';
import { Tail } from '../../../bench/peers/tail.ts';
import { type Outage, outageFaults } from '../../../bench/scenarios/outage_report.ts';
import { temporaryFolder } from '../../support/folders.ts';

const moment = (ms: number, done: number, cpuMs = ms, rssBytes = done): Moment => ({ ms, done, cpuMs, rssBytes });
const rates = (moments: readonly Moment[]): number[] => tenthsOf(moments).map(({ perSecond }) => Math.round(perSecond));

describe('the tenths of a course', () => {
  it('are equal where it went evenly, wherever one looked', () => {
    assert.deepEqual(rates([moment(0, 0), moment(300, 30), moment(1000, 100)]), Array(10).fill(100));
    assert.deepEqual(rates([moment(0, 0), moment(1000, 100)]), Array(10).fill(100));
  });

  it('begin with the first message, not with the wait for it', () => {
    assert.deepEqual(rates([moment(0, 0), moment(5000, 0), moment(6000, 100)]), Array(10).fill(100));
  });

  it('tell where it slowed down, with CPU and memory', () => {
    const tenths = tenthsOf([moment(0, 0, 0, 10), moment(1000, 50, 100, 70), moment(6000, 100, 600, 60)]);
    assert.deepEqual(
      tenths.map(({ perSecond }) => Math.round(perSecond)),
      [50, 50, 50, 50, 50, 10, 10, 10, 10, 10],
    );
    assert.deepEqual([tenths[0]?.cpuMsPerMessage, tenths[9]?.cpuMsPerMessage], [2, 10]);
    assert.deepEqual([tenths[0]?.rssBytes, tenths[9]?.rssBytes], [70, 70]);
  });

  it('are none where nothing was done', () => assert.deepEqual(tenthsOf([moment(0, 0), moment(1, 0)]), []));
});

describe("Postern's metrics", () => {
  const page = new MetricsPage('# HELP x\npostern_a{shard="0"} 1\npostern_a{shard="1"} 2.5\npostern_b_sum 1e3\n');

  it('are summed over their labels', () => assert.deepEqual([page.sum('a'), page.sum('b_sum')], [3.5, 1000]));

  it('are not zero where there are none', () => assert.throws(() => page.sum('c'), /postern_c/));
});

describe('a file as it grows', () => {
  it('is read once, from where one began', () => {
    const path = join(temporaryFolder('tail'), 'log');
    writeFileSync(path, 'before\n');
    const tail = new Tail(path, 7);
    assert.equal(tail.read(), '');
    appendFileSync(path, 'one\ntw');
    assert.equal(tail.read(), 'one\ntw');
    appendFileSync(path, 'o\n');
    assert.deepEqual([tail.read(), tail.read()], ['o\n', '']);
  });
});

describe('the arrivals file', { timeout: 20_000 }, () => {
  const samples = { senderDomains: ['from.example'], recipientDomains: ['to.example'] };

  it('has each message of a run, its recipients as they were sent', async () => {
    const arrivalsFile = join(temporaryFolder('arrivals'), 'sink.arrivals');
    const sink = await Sink.listen({ arrivalsFile });
    const run = 5;
    const options = { port: sink.port, run, connections: 3, messages: 60, pipelining: true, samples };
    const report = await new Source(options).run();
    await sink.close();
    assert.equal(report.acknowledged, 60);
    const lines = new Tail(arrivalsFile)
      .read()
      .split('\n')
      .flatMap((line) => parseArrival(line) ?? []);
    assert.equal(lines.length, 60);
    for (const { number, intact, to, bytes } of lines) {
      assert.ok(intact);
      assert.deepEqual(to, sample(run, number, samples).to);
      assert.deepEqual(to, recipientsOf(run, number, samples));
      assert.ok(to.length <= SAMPLE_RECIPIENTS_MAX);
      assert.ok(bytes > sample(run, number, samples).text.length);
    }
  });

  it('may end in the middle of a line', () => assert.equal(parseArrival('[1,2,3,4,true,["a@to.ex'), undefined));
});

describe('a bare sync', () => {
  it('is timed, and leaves nothing behind', () => {
    const { count, meanUs } = bareSyncs(temporaryFolder('syncs'), 0.02);
    assert.ok(count > 0 && meanUs > 0);
  });
});

describe('an outage', () => {
  const tenth = { perSecond: 100, cpuMsPerMessage: 1, rssBytes: 1 };
  const kept = { queued: 100_000, rssBytes: 1, peakBytes: 1 };
  const good: Outage = {
    messages: 100_000,
    bytes: 2048,
    retrySeconds: 60,
    idleBytes: 0,
    filling: { perSecond: 100, tenths: [tenth, tenth] },
    rest: { ...kept, journalBytes: 1, attempts: 0, cpuMsPerSecond: 0 },
    restarts: [{ ...kept, signal: 'SIGKILL', endMs: 1, readyMs: 9_999, acceptedMs: 1 }],
    drain: {
      firstMs: 1,
      perSecond: 1,
      tenths: [],
      duplicates: 0,
      freshP50Ms: 1,
      freshP99Ms: 1,
      peakBytes: 1,
      journalBytes: 1,
    },
    relayed: [],
  };
  const slow = { ...tenth, perSecond: 79 };
  const [restart] = good.restarts;
  const bad: Readonly<Record<string, Partial<Outage>>> = {
    'rate of the first': { filling: { perSecond: 1, tenths: [tenth, slow] } },
    'no figure at all': { filling: { perSecond: 1, tenths: [] } },
    'peak memory': { rest: { ...good.rest, peakBytes: 600_000_001 } },
    'peak memory of a start': { restarts: [{ ...restart!, peakBytes: 600_000_001 }] },
    'peak memory of the drain': { drain: { ...good.drain, peakBytes: 600_000_001 } },
    'queue held': { rest: { ...good.rest, queued: 99_999 } },
    'attempts while': { rest: { ...good.rest, attempts: 1 } },
    'ready only': { restarts: [{ ...restart!, readyMs: 10_001 }] },
    'messages after SIGKILL': { restarts: [{ ...restart!, queued: 99_999 }] },
  };

  it('is boring where everything is as wanted', () => assert.deepEqual(outageFaults(good), []));

  for (const [name, change] of Object.entries(bad))
    it(`is not: ${name}`, () => assert.equal(outageFaults({ ...good, ...change }).length, 1));

  it('of few messages says nothing about the rate', () => {
    const few = { ...good, messages: 99_999, filling: { perSecond: 1, tenths: [tenth, slow] } };
    assert.deepEqual(outageFaults(few), []);
  });
});
