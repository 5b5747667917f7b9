/** Every wait of a test is for an event, and ends with an error that says for what it was. */

/** On a busy machine of two cores; nothing is ever expected to take so long. */
export const WAIT_MS_MAX = 30_000;

/** Like `promise`, but rejects after a while; `what` may say more than was known when the wait began. */
export async function within<T>(what: string | (() => string), promise: Promise<T>, msMax = WAIT_MS_MAX): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`waited ${msMax} ms in vain for ${typeof what === 'string' ? what : what()}`)),
    msMax,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Something that changes, and those who wait for it to become so. */
export class Changes {
  readonly #waiting = new Set<() => void>();
  #failure: Error | null = null;

  /** Something has changed: whoever waits looks again. */
  note(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Nothing will change any more: all waits reject, later ones at once unless they are fulfilled already. */
  end(failure: Error): void {
    this.#failure ??= failure;
    this.note();
  }

  /** Resolves with what `look` gives as soon as that is neither undefined nor false. */
  until<T>(what: string | (() => string), look: () => T | undefined | false, msMax = WAIT_MS_MAX): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const again = (): void => {
      const found = look();
      if (found !== undefined && found !== false) resolve(found);
      else if (this.#failure !== null) reject(this.#failure);
    };
    this.#waiting.add(again);
    again();
    return within(what, promise, msMax).finally(() => this.#waiting.delete(again));
  }
}

const POLL_MS = 20;

/** For what nobody announces (files, gauges, another program's queue): looks again and again. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`waited ${WAIT_MS_MAX} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
