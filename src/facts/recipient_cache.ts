/**
 * What a directory that is far away has said, kept for a while: bounded, known and unknown apart, so that a harvest
 * of unknown addresses does not drive out those that get mail. One question for each address at a time; trouble is not
 * kept.
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Directory, Knowledge } from './recipients.ts';

export type CacheTerms = { readonly knownSeconds: number; readonly unknownSeconds: number };

const KNOWN: Knowledge = { known: true };
const UNKNOWN: Knowledge = { known: false };

export class CachedDirectory implements Directory {
  readonly #directory: Directory;
  readonly #known: Kept;
  readonly #unknown: Kept;
  readonly #underWay = new Map<string, Promise<Knowledge>>();
  readonly #nowMs: () => number;

  constructor(directory: Directory, { knownSeconds, unknownSeconds }: CacheTerms, nowMs = monotonicMs) {
    this.#directory = directory;
    this.#known = new Kept(knownSeconds * 1000);
    this.#unknown = new Kept(unknownSeconds * 1000);
    this.#nowMs = nowMs;
  }

  knows(text: string): Knowledge | Promise<Knowledge> {
    const address = text.toLowerCase();
    const nowMs = this.#nowMs();
    if (this.#known.has(address, nowMs)) return KNOWN;
    if (this.#unknown.has(address, nowMs)) return UNKNOWN;
    const underWay = this.#underWay.get(address);
    if (underWay !== undefined) return underWay;
    if (this.#underWay.size >= LIMITS.recipientQuestionsMax) return { trouble: 'too many questions at a time' };
    const asked = this.#ask(address, text);
    this.#underWay.set(address, asked);
    return asked;
  }

  async #ask(address: string, text: string): Promise<Knowledge> {
    const knowledge = await this.#directory.knows(text);
    this.#underWay.delete(address);
    if ('known' in knowledge) (knowledge.known ? this.#known : this.#unknown).put(address, this.#nowMs());
    return knowledge;
  }
}

/** Oldest first; a map keeps the order in which keys came. */
class Kept {
  readonly #until = new Map<string, number>();
  readonly #keptMs: number;

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  has(address: string, nowMs: number): boolean {
    const until = this.#until.get(address);
    if (until === undefined) return false;
    if (nowMs < until) return true;
    this.#until.delete(address);
    return false;
  }

  put(address: string, nowMs: number): void {
    if (this.#keptMs === 0) return;
    this.#until.delete(address);
    this.#until.set(address, nowMs + this.#keptMs);
    if (this.#until.size <= LIMITS.recipientsKeptMax) return;
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest);
      break;
    }
  }
}
