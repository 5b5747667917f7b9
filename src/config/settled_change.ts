/**
 * Tells when files have changed and stand still again: written in place, renamed over, a link that points elsewhere, a
 * file more or less in a folder. A list that is still being copied is not read: half of it is a list, too, and refuses
 * mail for the other half.
 *
 *   look ─► as it was read: nothing        look ─► other ─► look ─► the same as at the look before: changed
 */
import { stat } from 'node:fs/promises';
import { listFiles } from './list_file.ts';

/** What tells one state of a path from another; '' where there is nothing: a rename has two ends. */
async function stateOf(path: string): Promise<string> {
  try {
    const states: string[] = [];
    for (const file of await listFiles(path)) {
      const { mtimeMs, size, ino } = await stat(file);
      states.push(`${file} ${mtimeMs} ${size} ${ino}`);
    }
    return states.join('\n');
  } catch {
    return '';
  }
}

/** A path that is followed: as it was read, and as it was at the last look. */
type Followed = { known: string; seen: string };

async function asItIs(path: string): Promise<Followed> {
  const state = await stateOf(path);
  return { known: state, seen: state };
}

export class SettledChange {
  readonly #changed: () => void;
  #paths = new Map<string, Followed>();
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** These, and no others, as they are now: whoever reads them does so afterwards. */
  follow(paths: readonly string[]): Promise<void> {
    this.#paths = new Map();
    return this.followToo(paths);
  }

  /** These, and no others: a path that was followed before has been read since, and is as it was before that. */
  async followToo(paths: readonly string[]): Promise<void> {
    const followed = new Map<string, Followed>();
    for (const path of new Set(paths)) {
      followed.set(path, this.#paths.get(path) ?? (await asItIs(path)));
    }
    this.#paths = followed;
  }

  async look(): Promise<void> {
    let changed = false;
    for (const [path, followed] of this.#paths) {
      const now = await stateOf(path);
      const settled = now !== '' && now === followed.seen;
      followed.seen = now;
      if (!settled || now === followed.known) continue;
      followed.known = now;
      changed = true;
    }
    if (changed && !this.#ended) this.#changed();
  }

  /** A look, and the next as long after its end. */
  start(everyMs: number): void {
    this.#timer = setTimeout(async () => {
      await this.look();
      if (!this.#ended) this.start(everyMs);
    }, everyMs).unref();
  }

  end(): void {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
