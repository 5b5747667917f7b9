/** The scanner and the relaxer that serve, and why it is these. */
import { loadNative } from './native.ts';
import type { Relaxer } from './relaxer.ts';
import { relaxerTwin } from './relaxer_twin.ts';
import type { Scanner } from './scanner.ts';
import { twin } from './twin.ts';

export function chooseScanner(): { readonly scanner: Scanner; readonly relaxer: Relaxer; readonly why: string } {
  const { scanner, relaxer, why } = loadNative();
  return { scanner: scanner ?? twin, relaxer: relaxer ?? relaxerTwin, why };
}
