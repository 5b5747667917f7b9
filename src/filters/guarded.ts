/**
 * A protocol behind the promises of filter.ts: whatever it does, an examination ends in time, holds little, and has
 * findings.
 *
 *   begin ─► breaker open? ─► wait for a slot ─► protocol.examine ─┬─► findings ─► dry run? ─► end()
 *                 └──────────────── failure ◄─── time over, abort ─┘                 ▲
 *                                      └──────────► open: accept; closed: defer ─────┘
 *
 * Of failures the breaker counts those that speak of the filter's health. What one message can cause by itself
 * (`error`, `bounds`) is left out, or a stranger could switch a filter off for all.
 */
import type { FilterConfig } from '../config/filters.ts';
import type { Timers } from '../net/dns_exchange.ts';
import { Breaker } from './breaker.ts';
import { replyOf } from './checks.ts';
import type { Piece } from './content_pieces.ts';
import type {
  Examination,
  FailureReason,
  Filter,
  FilteredEnvelope,
  FilterHooks,
  Findings,
  Verdict,
  Word,
} from './filter.ts';
import { ACCEPTED, FilterFailure } from './filter.ts';
import { Hearing } from './hearing.ts';
import { Passage } from './passage.ts';
import { Patience } from './patience.ts';
import type { Protocol, Subject } from './protocol.ts';
import { Slots } from './slots.ts';

const UNHEALTHY: ReadonlySet<FailureReason> = new Set(['unreachable', 'timeout', 'died', 'malformed']);

export class GuardedFilter implements Filter {
  readonly name: string;
  readonly side: FilterConfig['side'];
  readonly early: boolean;
  readonly config: FilterConfig;
  readonly protocol: Protocol;
  readonly timers: Timers;
  readonly hooks: FilterHooks;
  readonly breaker: Breaker;
  readonly slots: Slots;

  constructor(config: FilterConfig, protocol: Protocol, timers: Timers, hooks: FilterHooks) {
    this.name = config.name;
    this.side = config.side;
    this.early = protocol.early === true;
    this.config = config;
    this.protocol = protocol;
    this.timers = timers;
    this.hooks = hooks;
    this.breaker = new Breaker(config.breaker, (open) => hooks.breaker(config.name, open));
    this.slots = new Slots(config.connectionsMax);
  }

  begin(envelope: FilteredEnvelope): Examination {
    return new GuardedExamination(this, envelope);
  }

  close(): Promise<void> {
    return this.protocol.close();
  }
}

class GuardedExamination implements Examination, Subject {
  readonly envelope: FilteredEnvelope;
  readonly hearing: Hearing;
  readonly content: Passage;
  readonly patience: Patience;
  readonly #filter: GuardedFilter;
  readonly #beganMs: number;
  readonly #findings: Promise<Findings>;
  readonly #failed = Promise.withResolvers<never>();
  #cut: ((why: 'abort' | 'failure') => void) | null = null;
  #why: 'abort' | 'failure' = 'failure';
  #over = false;
  #tooLarge = false;
  /** Recipients that it would not have. */
  #refused = 0;

  constructor(filter: GuardedFilter, envelope: FilteredEnvelope) {
    this.#filter = filter;
    this.envelope = envelope;
    this.#beganMs = filter.timers.nowMs();
    this.patience = new Patience(filter.timers, filter.config, (detail) =>
      this.#fail(new FilterFailure('timeout', detail)),
    );
    const listener = { onThirst: () => this.patience.rest(), onContent: () => this.patience.owe() };
    this.hearing = new Hearing(listener);
    this.content = new Passage(listener);
    this.#failed.promise.catch(() => undefined); // it may fail when nobody races any more
    this.#findings = this.#run();
  }

  /** What comes next is in the client's hands: whether the filter is well may be found out by others meanwhile. */
  async sender(): Promise<Word> {
    const word = await this.#word(this.hearing.sender());
    if (!this.#over) this.#filter.breaker.unknown();
    return word;
  }

  async recipient(address: string): Promise<Word> {
    const word = await this.#word(this.hearing.recipient(address));
    if (word === null) return null;
    this.#refused++;
    return this.#filter.config.dryRun ? null : word;
  }

  /** On what is asked, or on the whole message. */
  #word(asked: Promise<Word>): Promise<Word> {
    return Promise.race([asked, this.#findings.then(({ reply }) => reply ?? null)]);
  }

  write(piece: Piece, from: number, to: number): Promise<void> | undefined {
    this.hearing.over();
    const wait = this.content.write(piece, from, to);
    const bytesMax = this.#filter.config.contentBytesMax;
    if (bytesMax === 0 || this.content.bytes <= bytesMax || this.#over) return this.#over ? undefined : wait;
    this.#tooLarge = true;
    this.#fail(new FilterFailure('aborted', 'the message is larger than contentBytesMax'));
    return undefined;
  }

  end(): Promise<Findings> {
    this.hearing.over();
    this.content.end();
    return this.#findings;
  }

  abort(): void {
    this.#fail(new FilterFailure('aborted', 'the message is not coming'));
  }

  readonly onCut = (cut: (why: 'abort' | 'failure') => void): void => {
    this.#cut = cut;
    if (this.#over) this.#cutNow();
  };

  #cutNow(): void {
    const cut = this.#cut;
    this.#cut = null;
    cut?.(this.#why);
  }

  #fail(failure: FilterFailure): void {
    if (this.#over) return;
    this.#why = failure.reason === 'aborted' ? 'abort' : 'failure';
    this.#failed.reject(failure);
    this.#finish();
    this.#cutNow();
  }

  #finish(): void {
    this.#over = true;
    this.patience.stop();
    this.hearing.over();
    this.content.close();
  }

  async #run(): Promise<Findings> {
    let findings: Findings;
    try {
      findings = await this.#examined();
    } catch (error) {
      if (!(error instanceof FilterFailure)) throw error;
      findings = this.#without(error);
    }
    this.#cut = null;
    this.#finish();
    if (this.#filter.config.dryRun) findings = onTrial(findings, this.#refused);
    this.#filter.hooks.ended({
      filter: this.#filter.name,
      findings,
      seconds: (this.#filter.timers.nowMs() - this.#beganMs) / 1000,
      filterSeconds: this.patience.spentMs / 1000,
      refused: this.#refused,
    });
    return findings;
  }

  async #examined(): Promise<Findings> {
    const { breaker, protocol, timers } = this.#filter;
    if (!breaker.admits(timers.nowMs()))
      throw new FilterFailure('paused', 'it has failed too often, and is left alone');
    let release = (): void => undefined;
    try {
      release = this.#filter.slots.takeFree() ?? (await this.#slot());
      this.patience.owe(this.#filter.config.connectMs);
      const examining = protocol.examine(this);
      examining.catch(() => undefined); // where it lost the race, it fails for being cut
      const findings = await Promise.race([examining, this.#failed.promise]);
      breaker.succeeded();
      return findings;
    } catch (error) {
      if (error instanceof FilterFailure && UNHEALTHY.has(error.reason)) breaker.failed(timers.nowMs());
      else breaker.unknown();
      throw error;
    } finally {
      release();
    }
  }

  /** Resolves with what gives the slot back. */
  async #slot(): Promise<() => void> {
    const { timers, config, slots } = this.#filter;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const release = slots.take(resolve);
    const stop = timers.after(config.connectMs, () =>
      reject(new FilterFailure('busy', `all ${config.connectionsMax} connections are in use`)),
    );
    try {
      await Promise.race([promise, this.#failed.promise]);
      return release;
    } catch (error) {
      release();
      throw error;
    } finally {
      stop();
    }
  }

  /** The fail mode. */
  #without({ reason, message }: FilterFailure): Findings {
    if (this.#tooLarge) return { ...ACCEPTED, action: 'too-large' };
    const failure = { reason, detail: message };
    if (reason === 'aborted' || this.#filter.config.onFailure === 'open') return { ...ACCEPTED, failure };
    return { verdict: 'defer', reply: replyOf('filterFailed'), headers: [], failure };
  }
}

/** What was found stays, what was asked for goes. */
function onTrial({ verdict, reply, headers, sender, recipients, body, ...found }: Findings, refused: number): Findings {
  const touched = refused + (recipients === undefined ? 0 : Object.values(recipients).flat().length);
  const changes = headers.length + touched + (sender === undefined ? 0 : 1) + (body === undefined ? 0 : 1);
  const accept: Verdict = 'accept';
  return { ...found, verdict: accept, headers: [], dryRun: { verdict, ...(reply && { reply }), changes } };
}
