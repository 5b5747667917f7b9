/** The state of the process as /healthz and the dashboard show it. Plain values: it is printed as JSON. */

export type ShardState = 'starting' | 'ready' | 'broken' | 'waiting' | 'stopped';

export type ShardReport = {
  readonly shard: number;
  readonly state: ShardState;
  readonly restarts: number;
  /** As the gate counts them: from its hand-over to its close. */
  readonly sessions: number;
  readonly messages: number;
  readonly ready: number;
  readonly scheduled: number;
  readonly connectionsOut: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly eventLoopDelayMs: number;
};

/** How hard the machine is pressed (policy/pressure.ts). */
export type PressureReport = {
  /** 1: outside is deferred. 2: everything new is. */
  readonly level: number;
  /** Quantities that ask for it, the worst ones first. */
  readonly reasons: readonly string[];
  readonly quantities: readonly {
    readonly quantity: string;
    /** Null: unknown. */
    readonly value: number | null;
    readonly level: number;
    /** Where levels 1 and 2 begin; null: not limited. */
    readonly marks: readonly [number, number] | null;
  }[];
};

/** Counters rise from the start of the process; whoever reads twice has rates. */
export type StatusReport = {
  readonly hostname: string;
  readonly timeMs: number;
  readonly uptimeSeconds: number;
  readonly state: 'starting' | 'serving' | 'stopping';
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  readonly totals: {
    readonly connections: number;
    readonly connectionsRefused: number;
    readonly messagesFromOutside: number;
    readonly messagesFromInside: number;
    readonly bytes: number;
    readonly recipientsDelivered: number;
    readonly recipientsDeferred: number;
    readonly recipientsFailed: number;
    readonly dsnQueued: number;
    readonly logLinesDropped: number;
  };
  readonly pressure: PressureReport;
  readonly refusals: readonly { readonly reason: string; readonly code: number; readonly count: number }[];
  readonly shards: readonly ShardReport[];
};

export type Health = {
  /**
   * A shard serves. Pressure of whatever level leaves it true: a process that defers new mail and delivers what it has
   * does what it should, and one that an orchestrator starts anew for it would not, while it replays its journals.
   */
  readonly ok: boolean;
  readonly stopping: boolean;
  readonly shards: number;
  readonly shardsReady: number;
  readonly shardsBroken: number;
  readonly pressure: PressureReport;
};

/** What the admin server asks. */
export interface StatusSource {
  health(): Health;
  report(): StatusReport;
  metricsPage(): Promise<string>;
}
