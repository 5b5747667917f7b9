/** Chance that a seed repeats: what fails in a property test fails again. */

/** Whole numbers in [0, below). Marsaglia's xorshift with 32 bits. */
export function chance(seed: number): (below: number) => number {
  let state = Math.imul(seed, 0x9e37_79b9) || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
