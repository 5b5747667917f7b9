/**
 * How hard the machine is pressed, and who is deferred for it. A pure verdict over readings, with hysteresis: a
 * quantity leaves a level at another mark than the one where it came to it, and between the two nothing changes.
 *
 *   level 0   everybody is served
 *   level 1   outside is deferred: 421 to new connections, 452 at MAIL; inside goes on, and so does delivery
 *   level 2   everything new is deferred in the same way; delivery goes on, which is what relieves us
 *
 *   what is free, in parts of its minimum        what is in use, in parts of its maximum
 *
 *        1/2    5/8     1     9/8                  8/10   9/10      1
 *    ─────┼──────┼──────┼──────┼────►            ────┼──────┼───────┼────►
 *    to 2 ◄      │ to 1 ◄      │                     │      ► to 1  ► to 2
 *                ► from 2      ► from 1       from 1 ◄      ◄ from 2
 *
 * The level of the whole is that of the worst quantity. What cannot be read is unknown, and presses nobody: a broken
 * gauge must not stop the mail, and behind each mark there is a harder end (ENOSPC is 452, too).
 */
import type { Side } from '../message/envelope.ts';
import type { ReplyKey } from '../smtp/replies.ts';

/** In the order in which they are named as the cause where several are equally bad. */
export const QUANTITIES = ['spool-bytes', 'spool-inodes', 'queue', 'memory'] as const;
export type Quantity = (typeof QUANTITIES)[number];

export type Level = 0 | 1 | 2;

/** Whole numbers; null: unknown. */
export type Readings = Readonly<Record<Quantity, number | null>>;

/** 0: off, each. */
export type PressureLimits = {
  readonly spoolFreeBytesMin: number;
  readonly spoolFreeInodesMin: number;
  readonly queueMessagesMax: number;
  readonly memoryResidentBytesMax: number;
};

/** Where a quantity comes to a level, and where it leaves it; level 1 first. */
type Marks = {
  readonly worse: 'below' | 'from';
  readonly enter: readonly [number, number];
  readonly leave: readonly [number, number];
};

/** A quantity as it stands. `marks`: where levels 1 and 2 begin; null: it is not limited. */
export type Gauged = {
  readonly value: number | null;
  readonly level: Level;
  readonly marks: readonly [number, number] | null;
};

export type Pressure = {
  readonly level: Level;
  /** The quantity that has come furthest; null at level 0. */
  readonly cause: Quantity | null;
  readonly quantities: Readonly<Record<Quantity, Gauged>>;
};

/** Level 1 below `min`, level 2 below half of it. */
const free = (min: number): Marks | null =>
  min === 0
    ? null
    : { worse: 'below', enter: [min, Math.ceil(min / 2)], leave: [Math.ceil((min * 9) / 8), Math.ceil((min * 5) / 8)] };

/** Level 2 from `max` on, level 1 from nine tenths of it. */
const used = (max: number): Marks | null => {
  if (max === 0) return null;
  const nine = Math.ceil((max * 9) / 10);
  return { worse: 'from', enter: [nine, max], leave: [Math.ceil((max * 8) / 10), nine] };
};

const marksOf = (limits: PressureLimits): Readonly<Record<Quantity, Marks | null>> => ({
  'spool-bytes': free(limits.spoolFreeBytesMin),
  'spool-inodes': free(limits.spoolFreeInodesMin),
  queue: used(limits.queueMessagesMax),
  memory: used(limits.memoryResidentBytesMax),
});

function levelOf(marks: Marks | null, value: number | null, before: Level): Level {
  if (marks === null || value === null) return 0;
  const beyond = (mark: number) => (marks.worse === 'below' ? value < mark : value >= mark);
  const at = (level: 1 | 2) => beyond(marks.enter[level - 1]!) || (before >= level && beyond(marks.leave[level - 1]!));
  return at(2) ? 2 : at(1) ? 1 : 0;
}

/** `before` is the last verdict; null for the first one. */
export function judgePressure(readings: Readings, limits: PressureLimits, before: Pressure | null): Pressure {
  const marks = marksOf(limits);
  const gauged = (quantity: Quantity): Gauged => ({
    value: readings[quantity],
    level: levelOf(marks[quantity], readings[quantity], before?.quantities[quantity].level ?? 0),
    marks: marks[quantity]?.enter ?? null,
  });
  const quantities = {
    'spool-bytes': gauged('spool-bytes'),
    'spool-inodes': gauged('spool-inodes'),
    queue: gauged('queue'),
    memory: gauged('memory'),
  };
  const level = Math.max(...QUANTITIES.map((quantity) => quantities[quantity].level)) as Level;
  const cause = level === 0 ? null : QUANTITIES.find((quantity) => quantities[quantity].level === level)!;
  return { level, cause, quantities };
}

/** Those beyond a mark, the worst ones first. */
export const reasonsOf = ({ quantities }: Pressure): readonly Quantity[] =>
  ([2, 1] as const).flatMap((level) => QUANTITIES.filter((quantity) => quantities[quantity].level === level));

/** What a client is told for each cause: at the door, and at MAIL in a session that was open before. */
const DEFERRALS = {
  'spool-bytes': { connection: 'closedForSpool', transaction: 'spoolShort' },
  'spool-inodes': { connection: 'closedForSpool', transaction: 'spoolShort' },
  queue: { connection: 'closedForQueue', transaction: 'queueLong' },
  memory: { connection: 'closedForMemory', transaction: 'memoryShort' },
} as const satisfies Record<Quantity, Readonly<Record<'connection' | 'transaction', ReplyKey>>>;

export type Deferral = (typeof DEFERRALS)[Quantity];

/** The deferring replies, or null where this side is served. */
export function deferralOf(side: Side, level: Level, cause: Quantity | null): Deferral | null {
  if (cause === null || level < (side === 'outside' ? 1 : 2)) return null;
  return DEFERRALS[cause];
}
