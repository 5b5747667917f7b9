/**
 * Libraries that are loaded when they are first needed, or when it is certain that they will be: most shards never need
 * most of them, and each costs 10 to 35 MB of a thread's memory (mailauth 35, undici 31, libmime 13, ldapts 10).
 */
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

/** `name` is a package, or a file of one; what comes back loads it once. */
export function lazily<Library>(name: string): () => Library {
  let library: Library | null = null;
  return () => {
    library ??= load(name) as Library;
    return library;
  };
}
