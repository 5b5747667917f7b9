/** The scanner in C++ (native/), if it was built: the only file that loads the addon. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Relaxer } from './relaxer.ts';
import type { Scanner } from './scanner.ts';
import { INTERFACE_VERSION } from './scanner.ts';

type Addon = Pick<Scanner, 'scan' | 'finish'> & Relaxer & { readonly version: number; readonly instructions: string };

export type NativeScanner = {
  readonly scanner: Scanner | null;
  readonly relaxer: Relaxer | null;
  readonly why: string;
};

const FILE = join(import.meta.dirname, '..', '..', 'native', 'build', 'scanner.node');

export function loadNative(file: string = FILE): NativeScanner {
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(file) as Addon;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return {
      scanner: null,
      relaxer: null,
      why: code === 'MODULE_NOT_FOUND' ? 'the addon was not built' : `the addon does not load (${code})`,
    };
  }
  if (addon.version !== INTERFACE_VERSION) {
    return {
      scanner: null,
      relaxer: null,
      why: `the addon is of version ${addon.version}, not ${INTERFACE_VERSION}: run npm ci`,
    };
  }
  const { scan, finish, relax } = addon;
  return { scanner: { name: 'native', scan, finish }, relaxer: { relax }, why: `the addon, by ${addon.instructions}` };
}
