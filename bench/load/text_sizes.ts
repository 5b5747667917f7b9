/**
 * Texts of many sizes: as many as are chosen from, made once before the run.
 *
 * A log-normal distribution is what mail has: half of it below the median, and a long tail. 256 sizes stand for it, at
 * even steps of probability, so that the median is exact and the tail ends at 2.6 sigma, half a percent from its end.
 */
import { plainText } from './messages.ts';
import { STAMP_BYTES } from './stamp.ts';
import { random } from './text.ts';

export type LogNormal = {
  readonly medianBytes: number;
  /** Of the logarithm: 1.5 has a tenth of all mail above seven times the median. */
  readonly sigma: number;
  readonly bytesMax: number;
};

/** The least that a stamp, a header and a line need. */
export const MESSAGE_BYTES_MIN = 400;
export const MESSAGE_BYTES_MAX = 100 << 20;
/** Of all texts together: each is in memory twice, as it is and with its dots doubled. */
export const TEXTS_BYTES_MAX = 512 << 20;
const GRID = 16;

export type Texts = { readonly texts: readonly Buffer[]; readonly choose: (index: number) => number };

export const oneSize = (bytes: number): Texts => ({ texts: [plainText(bytes - STAMP_BYTES)], choose: () => 0 });

export function manySizes(run: number, distribution: LogNormal): Texts {
  if (bytesOf(distribution) > TEXTS_BYTES_MAX)
    throw new Error(`messages of such sizes need more than ${TEXTS_BYTES_MAX} bytes: a lower maximum is wanted`);
  const texts = sizesOf(distribution).map((bytes) => plainText(bytes - STAMP_BYTES));
  return { texts, choose: (index) => random(run * 1_000_003 + index).below(texts.length) };
}

/** Of all its texts together. */
export const bytesOf = (distribution: LogNormal): number =>
  sizesOf(distribution).reduce((sum, bytes) => sum + bytes, 0);

/** Box and Muller's normal deviates of an even grid instead of chance. */
export function sizesOf({ medianBytes, sigma, bytesMax }: LogNormal): readonly number[] {
  const sizes: number[] = [];
  for (let i = 0; i < GRID; i++)
    for (let j = 0; j < GRID; j++) {
      const deviate = Math.sqrt(-2 * Math.log((i + 0.5) / GRID)) * Math.cos((2 * Math.PI * (j + 0.5)) / GRID);
      const bytes = Math.round(medianBytes * Math.exp(sigma * deviate));
      sizes.push(Math.min(bytesMax, Math.max(MESSAGE_BYTES_MIN, bytes)));
    }
  return sizes;
}
