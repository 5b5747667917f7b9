/** The soak's tally: each kind of damage is found, and each second copy is explained or is not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ArrivalLine } from '../../../bench/load/arrivals_file.ts';
import { Bitmap } from '../../../bench/load/bitmap.ts';
import { type Strike, Tally, type Verdict } from '../../../bench/soak/tally.ts';

const RUN = 7;
const TO = ['a@to.example', 'b@to.example'];
const LARGE_BYTES = 1000;
const SECOND_US = 1_000_000;
const SLOWEST_US = 50_000;

/** Ten messages, each for two recipients. */
const tally = (): Tally => new Tally((run, number) => (run === RUN && number < 10 ? TO : undefined), LARGE_BYTES);

const line = (number: number, atUs: number, other: Partial<ArrivalLine> = {}): ArrivalLine => {
  return { atUs, run: RUN, number, bytes: 500, intact: true, to: TO, ...other };
};

function promised(...numbers: number[]): Map<number, Bitmap> {
  const bitmap = new Bitmap();
  for (const number of numbers) bitmap.add(number);
  return new Map([[RUN, bitmap]]);
}

const process = (atSeconds: number, other: Partial<Strike> = {}): Strike => {
  const atUs = atSeconds * SECOND_US;
  return { what: 'process', site: undefined, atUs, endUs: atUs + SECOND_US, connections: 1, ...other };
};

/** Message 1 came at the first time, and again at the second. */
function twice(firstUs: number, atUs: number, strikes: readonly Strike[]): Verdict {
  const counted = tally();
  counted.arrived('inside', line(1, firstUs));
  counted.arrived('inside', line(1, atUs));
  return counted.verdict(promised(1), strikes, SLOWEST_US);
}

describe('what should have come', () => {
  it('came: nothing is found', () => {
    const counted = tally();
    for (const number of [1, 2]) counted.arrived('inside', line(number, SECOND_US));
    const { lost, altered, strange, again, copies } = counted.verdict(promised(1, 2), [], SLOWEST_US);
    assert.deepEqual([lost, altered, strange, again, copies], [[], 0, 0, 0, 4]);
  });

  it('is lost where a message, or one of its recipients, is missing; by two sites is as good as by one', () => {
    const counted = tally();
    counted.arrived('inside', line(1, SECOND_US, { to: [TO[0]!] }));
    counted.arrived('mx1', line(2, SECOND_US, { to: [TO[0]!] }));
    counted.arrived('mx2', line(2, SECOND_US, { to: [TO[1]!] }));
    assert.deepEqual(counted.lost(promised(1, 2, 3)), [
      '7.1 for b@to.example',
      '7.3 for a@to.example',
      '7.3 for b@to.example',
    ]);
  });

  it('is altered where its checksum says so, and has not come then', () => {
    const counted = tally();
    counted.arrived('inside', line(1, SECOND_US, { intact: false }));
    const { lost, altered } = counted.verdict(promised(1), [], SLOWEST_US);
    assert.deepEqual([lost.length, altered], [2, 1]);
  });

  it('may come without a promise: its 250 was lost on the way', () => {
    const counted = tally();
    counted.arrived('inside', line(4, SECOND_US));
    const { lost, strange } = counted.verdict(promised(), [], SLOWEST_US);
    assert.deepEqual([lost, strange], [[], 0]);
  });

  it('is strange where nobody sent it, or not to there', () => {
    const counted = tally();
    counted.arrived('inside', line(-1, SECOND_US, { run: -1 }));
    counted.arrived('inside', line(99, SECOND_US));
    counted.arrived('inside', line(1, SECOND_US, { to: ['c@to.example'] }));
    assert.equal(counted.strange, 3);
  });

  it('counts what a soak must have had: several recipients, content in a file', () => {
    const counted = tally();
    counted.arrived('inside', line(1, SECOND_US, { to: [TO[0]!] }));
    counted.arrived('inside', line(2, SECOND_US, { bytes: LARGE_BYTES + 1 }));
    assert.deepEqual([counted.several, counted.large], [1, 1]);
  });
});

describe('what came twice', () => {
  const first = 9.99 * SECOND_US;
  const second = 12 * SECOND_US;

  it('is explained by a strike between the two', () => {
    const { again, unexplained, strikes } = twice(first, second, [process(10)]);
    assert.deepEqual([again, unexplained, strikes[0]?.again, strikes[0]?.oldestUs], [2, [], 2, 10_000]);
  });

  it('is explained where the first was on the wire when the strike fell', () => {
    assert.deepEqual(twice(10.2 * SECOND_US, second, [process(10)]).unexplained, []);
  });

  const unexplained: readonly (readonly [string, readonly Strike[]])[] = [
    ['without any strike', []],
    ['where the strike came after both', [process(13)]],
    ['where the strike was over before both', [process(8)]],
    ['where another site was struck', [process(10, { what: 'mx2', site: 'mx2' })]],
    ['where the first must have been durable for long', [process(25, { endUs: 26 * SECOND_US })]],
  ];
  for (const [name, strikes] of unexplained) {
    it(`is unexplained ${name}`, () => {
      const late = name.includes('durable') ? 30 * SECOND_US : second;
      assert.equal(twice(first, late, strikes).unexplained.length, 2);
    });
  }

  it('is explained by a strike at its own site', () => {
    const strike = process(10, { what: 'inside', site: 'inside' });
    assert.deepEqual(twice(first, second, [strike]).unexplained, []);
  });

  it('is unexplained beyond what was in flight: recipients on each connection, and what came just before', () => {
    const counted = tally();
    for (let number = 0; number < 8; number++) {
      // Two of them within the slowest 250 before the strike.
      const atUs = number < 2 ? 9.97 * SECOND_US : 9.5 * SECOND_US;
      counted.arrived('inside', line(number, atUs));
      counted.arrived('inside', line(number, second));
    }
    const postern = counted.verdict(promised(), [process(10)], SLOWEST_US);
    assert.deepEqual([postern.strikes[0]?.inFlight, postern.unexplained.length], [5 + 4, 16 - 9]);
    const site = counted.verdict(promised(), [process(10, { what: 'inside', site: 'inside' })], SLOWEST_US);
    assert.deepEqual([site.strikes[0]?.inFlight, site.unexplained.length], [5, 16 - 5]);
  });

  it('is explained by the next strike where the first has explained all it can', () => {
    const counted = tally();
    for (let number = 0; number < 4; number++) {
      counted.arrived('inside', line(number, 9 * SECOND_US));
      counted.arrived('inside', line(number, second));
    }
    const { strikes, unexplained: rest } = counted.verdict(promised(), [process(11), process(10)], SLOWEST_US);
    assert.deepEqual([strikes.map(({ again }) => again), rest], [[5, 3], []]);
  });
});
