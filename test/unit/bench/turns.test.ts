/** How targets take their turns: what each is asked for, in which order, and what goes on beside it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Bench } from '../../../bench/bench.ts';
import { Bitmap } from '../../../bench/load/bitmap.ts';
import type { SourceOptions } from '../../../bench/load/source.ts';
import type { Ends } from '../../../bench/measure/carried.ts';
import { Paced, takeTurns, type Way } from '../../../bench/measure/turns.ts';
import { temporaryFolder } from '../../support/folders.ts';

const LATENCY = { count: 1, meanUs: 1, p50Us: 1, p90Us: 1, p99Us: 1, p999Us: 1, p9999Us: 1, maxUs: 1 };
const PER_SECOND = 1000;

/** A source and a sink that carry nothing, a thousand messages a second, and note what they are asked for. */
function setUp(quick: boolean, rounds: number, faulty: (load: SourceOptions) => boolean = () => false) {
  const happened: string[] = [];
  const loads: SourceOptions[] = [];
  const source = {
    call: async (method: string, load: SourceOptions) => {
      if (method === 'acknowledged') return new Bitmap().bytes();
      loads.push(load);
      happened.push(`${load.port}${load.seconds === undefined ? '' : ' warms up'}`);
      const attempted = load.messages ?? 7;
      return {
        ...{ run: loads.length, attempted, acknowledged: faulty(load) ? attempted - 1 : attempted, gaveUp: false },
        ...{ cpuMs: 1, firstConnectUs: 0, tls: { handshakes: 0, resumed: 0 }, failed: {}, connectFailed: {} },
        phases: { end: LATENCY, message: LATENCY },
      };
    },
  };
  const sink = {
    call: async (method: string) => {
      const distinct = loads.at(-1)?.messages ?? 7;
      if (method === 'counts') return { distinct, duplicates: 0, altered: 0, lastUs: (distinct / PER_SECOND) * 1e6 };
      return method === 'stats' ? { bytes: 0, runs: [] } : new Bitmap().bytes();
    },
  };
  const bench = {
    settings: { quick, rounds },
    say: () => undefined,
    folder: () => temporaryFolder('turns'),
  } as unknown as Bench;
  return { happened, loads, bench, ends: { source, sink } as unknown as Ends };
}

const way = (name: string, messages: Way['messages']): Way => ({ name, load: { rate: 5 }, phase: 'end', messages });
const target = (port: number) => ({ name: `${port}`, port, pid: 0 });

describe('turns', () => {
  it('each begin with some time of the same load: the first of a way with the longest, the same for all', async () => {
    const { bench, ends, loads } = setUp(false, 2);
    const { turns } = await takeTurns(bench, ends, [way('a', 100)], [target(1), target(2)]);
    assert.deepEqual(
      loads.map(({ port, seconds, messages }) => [port, seconds, messages]),
      [
        ...[1, 2].flatMap((port) => [
          [port, 5, undefined],
          [port, undefined, 100],
        ]),
        ...[2, 1].flatMap((port) => [
          [port, 0.3, undefined],
          [port, undefined, 100],
        ]),
      ],
    );
    assert.deepEqual(
      turns.all.map(({ round, messages }) => [round, messages]),
      [1, 1, 2, 2].map((round) => [round, 100]),
    );
  });

  it('at a share of what a target carried just before, beside the bare disk', async () => {
    const { bench, ends, loads } = setUp(true, 1);
    const ways = [way('full', 100), { ...way('half', new Paced('full', 0.5, 4)), bareSyncs: true } as const];
    const { turns } = await takeTurns(bench, ends, ways, [target(1)]);
    const [full, half] = turns.all;
    assert.equal(full?.perSecond, PER_SECOND);
    assert.deepEqual([loads[1]?.rate, loads[3]?.rate, half?.messages], [5, PER_SECOND / 2, 2000 * 0.08]);
    assert.equal(full?.bareP99Us, 0);
    assert.ok(half!.bareP99Us > 0);
  });

  it('have beside them what they are said to have, and only while they count', async () => {
    const { bench, ends, happened } = setUp(true, 1);
    const beside = async () => {
      happened.push('begins');
      return async () => {
        happened.push('ends');
        return ['it was wrong'];
      };
    };
    const { failures } = await takeTurns(bench, ends, [way('a', 100)], [{ ...target(1), beside }]);
    assert.deepEqual(happened, ['1 warms up', 'begins', '1', 'ends']);
    assert.deepEqual(failures, ['a, it was wrong']);
  });

  it('are void where something was lost while they warmed up', async () => {
    const { bench, ends } = setUp(true, 1, ({ seconds }) => seconds !== undefined);
    const { failures } = await takeTurns(bench, ends, [way('a', 100)], [target(1)]);
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, /^a, 1, warming up: 6 of 7 answered 250/);
  });
});
