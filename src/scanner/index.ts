/** The scanner that serves, and why it is this one. */
import { loadNative } from './native.ts';
import type { Scanner } from './scanner.ts';
import { twin } from './twin.ts';

export function chooseScanner(): { readonly scanner: Scanner; readonly why: string } {
  const { scanner, why } = loadNative();
  return { scanner: scanner ?? twin, why };
}
