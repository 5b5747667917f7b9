import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SliceWorld } from '../../../src/relay/slices.ts';
import { Slices } from '../../../src/relay/slices.ts';

/** Each step of a task takes 0.1 ms; `turn` runs what was planned for the next turn of the event loop. */
class World implements SliceWorld {
  #nowMs = 0;
  #next: (() => void)[] = [];
  readonly nowMs = (): number => this.#nowMs;
  readonly soon = (action: () => void): void => void this.#next.push(action);

  step(): void {
    this.#nowMs += 0.1;
  }

  /** Milliseconds that it took; null: nothing was planned. */
  turn(): number | null {
    const beganMs = this.#nowMs;
    const actions = this.#next;
    this.#next = [];
    for (const action of actions) action();
    return actions.length === 0 ? null : this.#nowMs - beganMs;
  }
}

function* steps(world: World, count: number, log: string[], name: string): Generator<void> {
  for (let n = 0; n < count; n++) {
    world.step();
    yield;
  }
  log.push(name);
}

test('a long task never holds the event loop longer than a slice and a few steps', () => {
  const world = new World();
  const slices = new Slices(world);
  const log: string[] = [];
  slices.run(steps(world, 1000, log, 'long'));
  assert.deepEqual(log, []);
  const turns: number[] = [];
  for (let ms = world.turn(); ms !== null; ms = world.turn()) turns.push(ms);
  assert.ok(Math.max(...turns) < 7, `a turn of ${Math.max(...turns)} ms`);
  assert.ok(turns.length > 14, `${turns.length} turns`);
  assert.deepEqual(log, ['long']);
  assert.equal(slices.size, 0);
});

test('a short task does not wait for the end of a long one', () => {
  const world = new World();
  const slices = new Slices(world);
  const log: string[] = [];
  slices.run(steps(world, 1000, log, 'long'));
  slices.run(steps(world, 40, log, 'short'));
  while (world.turn() !== null);
  assert.deepEqual(log, ['short', 'long']);
});

test('a task may begin another, and stop ends all', () => {
  const world = new World();
  const slices = new Slices(world);
  const log: string[] = [];
  slices.run(
    (function* () {
      yield;
      slices.run(steps(world, 10, log, 'second'));
      yield;
    })(),
  );
  while (world.turn() !== null);
  assert.deepEqual(log, ['second']);
  slices.run(steps(world, 10, log, 'third'));
  slices.stop();
  while (world.turn() !== null);
  assert.deepEqual(log, ['second']);
});
