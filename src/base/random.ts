/** The only source of chance. Tests that need it replaced take it as a parameter. */
import { randomBytes, randomInt } from 'node:crypto';

/** In [0, 1). Not for secrets: it spreads retries. */
export const randomFraction = (): number => Math.random();

/** A whole number in [0, below), unpredictable: ids and ports of DNS queries (RFC 5452 §9.2). */
export const randomBelow = (below: number): number => randomInt(below);

/** Key material that lives as long as the process. */
export const randomSecret = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
