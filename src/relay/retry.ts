/** When to try again, and when to give up (RFC 5321 §4.5.4.1). Pure: time and chance are handed in. */

export type RetryRules = {
  /** Waits between attempts, seconds; the last repeats. Never empty. */
  readonly retrySeconds: readonly number[];
  /** A message older than this is given up. */
  readonly queueSecondsMax: number;
};

/** Waits vary by a tenth to both sides, so that what failed together does not come back together. */
const JITTER = 0.1;

/**
 * The time of the next attempt in milliseconds since 1970, or null when the message is too old for one. The last one
 * is at the very end of its time rather than never. `chance` is in [0, 1).
 */
export function nextAttemptMs(
  attempts: number,
  acceptedMs: number,
  nowMs: number,
  chance: number,
  rules: RetryRules,
): number | null {
  const endMs = acceptedMs + rules.queueSecondsMax * 1000;
  if (nowMs >= endMs) return null;
  const seconds = rules.retrySeconds[Math.min(Math.max(attempts, 1), rules.retrySeconds.length) - 1]!;
  const waitMs = seconds * 1000 * (1 - JITTER + 2 * JITTER * chance);
  return Math.round(Math.min(nowMs + waitMs, endMs));
}
