/**
 * What is killed, and when: three hands that strike each at their own times, drawn from the seed, until the time is
 * over. Then all is up again.
 *
 *   Postern   the whole process (SIGKILL) or one shard; started again at once
 *   inside    the inside server (SIGKILL), away for a while
 *   mx2       killed and back at once in its other mood: it takes mail, or defers all of it
 */
import { pause } from '../bench.ts';
import { nowUs } from '../load/stamp.ts';
import { type Random, random } from '../load/text.ts';
import { inPlaceOf, type Postern, type PosternOptions, startPostern } from '../peers/postern.ts';
import type { Strike } from './tally.ts';
import type { Site, World } from './world.ts';

export const SHARDS = 2;
/** Of the strikes at Postern, out of ten: the others are at a shard. */
const PROCESS_STRIKES = 6;
const CALM_MS_MIN = 1_500;
const CALM_MS_SPREAD = 4_500;
const AWAY_MS_MIN = 200;
const AWAY_MS_SPREAD = 3_000;
/** After the death of a shard, what it had sent is at the sink by then. */
const ON_THE_WIRE_US = 1_000_000;

export class Striker {
  readonly strikes: Strike[] = [];
  /** Deaths that nobody here has caused. */
  readonly failures: string[] = [];
  readonly #world: World;
  readonly #options: PosternOptions;
  readonly #seed: number;
  readonly #endMs: number;
  #postern: Postern;
  /** The mood of mx2. */
  #defers = false;

  private constructor(world: World, options: PosternOptions, first: Postern, seed: number, seconds: number) {
    this.#world = world;
    this.#options = inPlaceOf(first, options);
    this.#postern = first;
    this.#seed = seed;
    this.#endMs = performance.now() + seconds * 1000;
  }

  static async start(world: World, options: PosternOptions, seed: number, seconds: number): Promise<Striker> {
    return new Striker(world, options, await startPostern(options), seed, seconds);
  }

  get postern(): Postern {
    return this.#postern;
  }

  count(what: Strike['what']): number {
    return this.strikes.filter((strike) => strike.what === what).length;
  }

  /** Resolves when the time is over, and everything is up. */
  async run(): Promise<void> {
    await Promise.all([
      this.#hand(random(this.#seed), (chance) => this.#strikePostern(chance)),
      this.#hand(random(this.#seed + 1), (chance) => this.#strikeInside(chance)),
      this.#hand(random(this.#seed + 2), () => this.#turnMood()),
    ]);
    if (this.#defers) await this.#turnMood();
  }

  async #hand(chance: Random, strike: (chance: Random) => Promise<void>): Promise<void> {
    for (;;) {
      const calmMs = CALM_MS_MIN + chance.below(CALM_MS_SPREAD);
      const leftMs = this.#endMs - performance.now();
      await pause(Math.max(0, Math.min(calmMs, leftMs)));
      if (calmMs > leftMs) return;
      await strike(chance);
    }
  }

  async #strikePostern(chance: Random): Promise<void> {
    const connections = this.#world.connectionsMax;
    if (!this.#postern.alive) this.failures.push('Postern had ended by itself');
    const atUs = nowUs();
    if (chance.below(10) >= PROCESS_STRIKES) {
      this.#postern.killShard(chance.below(SHARDS));
      this.strikes.push({ what: 'shard', site: undefined, atUs, endUs: atUs + ON_THE_WIRE_US, connections });
      return;
    }
    await this.#postern.kill();
    this.#postern = await startPostern(this.#options);
    this.strikes.push({ what: 'process', site: undefined, atUs, endUs: nowUs(), connections });
  }

  async #strikeInside(chance: Random): Promise<void> {
    const { inside } = this.#world;
    await this.#strikeSite('inside', inside);
    await pause(AWAY_MS_MIN + chance.below(AWAY_MS_SPREAD));
    await inside.start(false);
  }

  async #turnMood(): Promise<void> {
    const { moody } = this.#world;
    this.#defers = !this.#defers;
    await this.#strikeSite('mx2', moody);
    await moody.start(this.#defers);
  }

  async #strikeSite(what: Strike['what'], site: Site): Promise<void> {
    const atUs = nowUs();
    await site.kill();
    const { name, connectionsMax: connections } = site;
    this.strikes.push({ what, site: name, atUs, endUs: nowUs(), connections });
  }
}
