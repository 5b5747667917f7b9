import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue, TURNS } from '../../../src/relay/fair_queue.ts';
import { Places } from '../../../src/relay/places.ts';
import { chance } from '../../support/chance.ts';

const taken = (queue: FairQueue, count = Number.POSITIVE_INFINITY): string[] => {
  const parcels: string[] = [];
  while (parcels.length < count) {
    const recipients: number[] = [];
    const row = queue.take(recipients);
    if (row === -1) break;
    parcels.push(`${row}: ${recipients.join(' ')}`);
  }
  return parcels;
};
const swept = (queue: FairQueue, over: (row: number, recipient: number, sinceSeconds: number) => boolean): void => {
  for (const _ of queue.sweep(over));
};

test('what one sender sends leaves in its order', () => {
  const queue = new FairQueue(new Places());
  for (let row = 0; row < 5; row++) queue.push('fresh', 1, row, 0, 0);
  assert.deepEqual(taken(queue), ['0: 0', '1: 0', '2: 0', '3: 0', '4: 0']);
  assert.equal(queue.size, 0);
});

test('recipients of a message that stand together leave together, others in a turn of their own', () => {
  const queue = new FairQueue(new Places());
  for (const [row, recipient] of [
    [3, 0],
    [3, 1],
    [3, 7],
    [4, 0],
    [3, 9],
  ] as const)
    queue.push('fresh', 1, row, recipient, 0);
  assert.deepEqual(taken(queue), ['3: 0 1 7', '4: 0', '3: 9']);
});

test('who sends thousands delays another by one message, whenever that comes', () => {
  const queue = new FairQueue(new Places());
  for (let row = 0; row < 5000; row++) queue.push('fresh', 1, row, 0, 0);
  taken(queue, 100);
  queue.push('fresh', 2, 7000, 0, 0);
  queue.push('fresh', 3, 8000, 0, 0);
  const next = taken(queue, 4);
  assert.ok(next.includes('7000: 0') && next.includes('8000: 0'), next.join());
});

test('senders have one turn each in a round, also when lanes end and begin in it', () => {
  const queue = new FairQueue(new Places());
  for (let sender = 0; sender < 10; sender++)
    for (let n = 0; n <= sender; n++) queue.push('fresh', sender, sender * 100 + n, 0, 0);
  for (let round = 0; round < 10; round++) {
    const senders = taken(queue, 10 - round).map((each) => Math.floor(Number.parseInt(each, 10) / 100));
    assert.deepEqual(
      senders.sort((a, b) => a - b),
      Array.from({ length: 10 - round }, (_, at) => at + round),
    );
  }
  assert.equal(queue.size, 0);
});

test('bulk has one turn in eight while there is other mail, and all of them when there is none', () => {
  const queue = new FairQueue(new Places());
  for (let row = 0; row < 70; row++) queue.push('fresh', 1, row, 0, 0);
  for (let row = 100; row < 120; row++) queue.push('bulk', 2, row, 0, 0);
  const bulkAt = taken(queue).flatMap((each, at) => (Number.parseInt(each, 10) >= 100 ? [at] : []));
  assert.deepEqual(
    bulkAt.slice(0, 10),
    Array.from({ length: 10 }, (_, at) => (at + 1) * TURNS.length - 1),
  );
  assert.deepEqual(
    bulkAt.slice(10),
    Array.from({ length: 10 }, (_, at) => 80 + at),
  );
});

test('new mail waits for a message or two of a backlog, and the backlog has nearly half of all turns', () => {
  const queue = new FairQueue(new Places());
  for (let row = 0; row < 5000; row++) queue.push('tried', row, row, 0, 0);
  taken(queue, 1001);
  queue.push('fresh', 9000, 9000, 0, 0);
  assert.ok(taken(queue, 3).includes('9000: 0'));
  for (let row = 10_000; row < 10_400; row++) queue.push('fresh', row, row, 0, 0);
  const fresh = taken(queue, 800).filter((each) => Number.parseInt(each, 10) >= 9000);
  assert.equal(fresh.length, 400, 'all of it came within twice its number of turns');
  for (let row = 20_000; row < 30_000; row++) queue.push('fresh', row, row, 0, 0);
  const tried = taken(queue, 800).filter((each) => Number.parseInt(each, 10) < 9000);
  assert.equal(tried.length, 300);
});

test('more senders than lanes share lanes, and nobody is lost', () => {
  const queue = new FairQueue(new Places());
  for (let row = 0; row < 20_000; row++)
    queue.push(row % 3 === 0 ? 'bulk' : 'fresh', (row * 2_654_435_761) >>> 0, row, 0, 0);
  assert.equal(new Set(taken(queue)).size, 20_000);
});

test('a sweep takes out whom it is asked to, and leaves the others in their order', () => {
  const queue = new FairQueue(new Places());
  for (let row = 0; row < 10; row++) queue.push(row < 8 ? 'fresh' : 'bulk', row % 2, row, 0, row);
  swept(queue, (row, recipient, sinceSeconds) => {
    assert.deepEqual([recipient, sinceSeconds], [0, row]);
    return row % 4 === 0 || row === 9;
  });
  assert.equal(queue.size, 6);
  assert.equal(queue.oldestSeconds, 1);
  assert.deepEqual(taken(queue).sort(), ['1: 0', '2: 0', '3: 0', '5: 0', '6: 0', '7: 0']);
  assert.equal(queue.oldestSeconds, Number.POSITIVE_INFINITY);
});

test('whatever comes, goes and is swept in between, each recipient is taken or swept exactly once', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const next = chance(seed);
    const places = new Places();
    const queues = [new FairQueue(places), new FairQueue(places)] as const;
    const waiting = [new Set<string>(), new Set<string>()] as const;
    const sweeps: Generator<void>[] = [];
    const gone = (at: number, row: number, recipient: number): true => {
      assert.ok(waiting[at]!.delete(`${row} ${recipient}`), `seed ${seed}: ${row} ${recipient} is not there`);
      return true;
    };
    for (let step = 0; step < 3000; step++) {
      const at = next(2);
      const queue = queues[at]!;
      const kind = next(10);
      if (kind < 5) {
        for (let recipient = 0; recipient < 1 + next(3); recipient++) {
          queue.push(
            (['fresh', 'tried', 'tried', 'bulk'] as const)[next(4)]!,
            next(next(2) === 0 ? 3 : 1000),
            step,
            recipient,
            step,
          );
          waiting[at]!.add(`${step} ${recipient}`);
        }
      } else if (kind < 9) {
        const recipients: number[] = [];
        const row = queue.take(recipients);
        assert.equal(row === -1, recipients.length === 0);
        for (const recipient of recipients) gone(at, row, recipient);
      } else if (sweeps.length < 3) {
        const over = next(5);
        sweeps.push(queue.sweep((row, recipient) => row % 5 === over && gone(at, row, recipient)));
      }
      for (const sweep of [...sweeps]) if (sweep.next().done) sweeps.splice(sweeps.indexOf(sweep), 1);
      assert.equal(queue.size, waiting[at]!.size);
      assert.equal(places.size, waiting[0].size + waiting[1].size);
    }
  }
});
