/** The scanner that serves, and why it is this one. */
import type { Scanner } from './scanner.ts';
import { twin } from './twin.ts';

export type Choice = { readonly scanner: Scanner; readonly why: string };

export const chooseScanner = (): Choice => ({ scanner: twin, why: 'the TypeScript scanner' });
