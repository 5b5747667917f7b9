/** Tells when a file has changed: written in place, renamed over, or a link that points elsewhere now. */
import { unwatchFile, watchFile } from 'node:fs';

/** `everyMs` apart its times and size are looked at. Returns what ends the watch. */
export function watchForChange(path: string, everyMs: number, changed: () => void): () => void {
  const listener = (now: { mtimeMs: number; size: number; ino: number }, before: typeof now) => {
    // A file that has gone for a moment, between two renames, is no change yet.
    if (now.mtimeMs === 0) return;
    if (now.mtimeMs !== before.mtimeMs || now.size !== before.size || now.ino !== before.ino) changed();
  };
  watchFile(path, { interval: everyMs, persistent: false }, listener);
  return () => unwatchFile(path, listener);
}
