/** The addon of native/, if it was built: the only file that loads it. Each room takes of it what is its own. */
import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * Raised whenever the meaning of a call, or of a slot or a cut of the scanner changes: an addon of another version is
 * not used.
 */
export const INTERFACE_VERSION = 4;

const FILE = join(import.meta.dirname, '..', '..', 'native', 'build', 'scanner.node');

type Versioned = { readonly version: number };

/** The addon, or why there is none. */
export function loadAddon<Part>(file: string = FILE): { readonly addon: Part } | { readonly why: string } {
  let addon: Part & Versioned;
  try {
    addon = createRequire(import.meta.url)(file) as Part & Versioned;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return { why: code === 'MODULE_NOT_FOUND' ? 'the addon was not built' : `the addon does not load (${code})` };
  }
  if (addon.version === INTERFACE_VERSION) return { addon };
  return { why: `the addon is of version ${addon.version}, not ${INTERFACE_VERSION}: run npm ci` };
}
