/** The only readers of time. Wall time names and ages messages; the monotonic one measures deadlines and latencies. */

/** Milliseconds since 1970, whole. May jump when the system's clock is set. */
export const wallMs = (): number => Date.now();

/** Milliseconds since the process started, with fractions. Never goes back. */
export const monotonicMs = (): number => performance.now();
