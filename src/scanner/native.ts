/** The scanner in C++ (native/), if it was built. */
import { loadAddon } from '../base/addon.ts';
import type { Relaxer } from './relaxer.ts';
import type { Scanner } from './scanner.ts';

type Addon = Pick<Scanner, 'scan' | 'finish'> & Relaxer & { readonly instructions: string };

export type NativeScanner = {
  readonly scanner: Scanner | null;
  readonly relaxer: Relaxer | null;
  readonly why: string;
};

/** `file` is another one in tests. */
export function loadNative(file?: string): NativeScanner {
  const loaded = loadAddon<Addon>(file);
  if ('why' in loaded) return { scanner: null, relaxer: null, why: loaded.why };
  const { scan, finish, relax, instructions } = loaded.addon;
  return { scanner: { name: 'native', scan, finish }, relaxer: { relax }, why: `the addon, by ${instructions}` };
}
