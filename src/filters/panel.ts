/**
 * All filters of one message as one: each piece of content goes to all of them at once, the slowest sets the pace, and
 * their findings become one. Those that are early hear of sender and recipients before, all at once, too.
 */
import { monotonicMs } from '../base/clock.ts';
import type { HeaderChange } from '../message/header_changes.ts';
import type { PiecePools } from './content_pieces.ts';
import { ContentPieces } from './content_pieces.ts';
import type { Examination, Filter, FilteredEnvelope, FilterReply, Findings, Verdict, Word } from './filter.ts';

export type Opinion = { readonly filter: string; readonly findings: Findings };
/** `ms`: how long it was waited for, behind the last byte. */
export type TimedOpinion = Opinion & { readonly ms: number };

/** What the client has said before it named recipients. */
export type OpenEnvelope = Omit<FilteredEnvelope, 'recipients'>;

/** A filter will not have this sender, or this recipient. */
export type Objection = { readonly filter: string; readonly reply: FilterReply };

/** In the order of the file. */
export class PanelExamination {
  readonly #envelope: OpenEnvelope;
  #seats: readonly { readonly name: string; readonly examination: Examination }[] = [];
  readonly #filters: readonly Filter[];
  readonly #early: ReadonlyMap<Filter, Examination>;
  readonly #pieces: ContentPieces;

  constructor(filters: readonly Filter[], envelope: OpenEnvelope, pools: PiecePools) {
    this.#pieces = new ContentPieces(pools);
    this.#envelope = envelope;
    this.#filters = filters.filter(({ side }) => side === 'both' || side === envelope.side);
    const early = this.#filters.filter((filter) => filter.early);
    this.#early = new Map(early.map((filter) => [filter, filter.begin({ ...envelope, recipients: [] })]));
  }

  /** Undefined: nobody has a word in this. Null: nobody is against it. Never rejects. */
  sender(): Promise<Objection | null> | undefined {
    return this.#ask((examination) => examination.sender());
  }

  /** As above; one at a time. */
  recipient(address: string): Promise<Objection | null> | undefined {
    return this.#ask((examination) => examination.recipient(address));
  }

  #ask(ask: (examination: Examination) => Promise<Word>): Promise<Objection | null> | undefined {
    if (this.#early.size === 0) return undefined;
    const words = [...this.#early].map(async ([{ name }, examination]) => {
      const reply = await ask(examination);
      return reply === null ? null : { filter: name, reply };
    });
    return Promise.all(words).then((all) => {
      const objections = all.filter((each) => each !== null);
      return objections.find(({ reply }) => reply.code >= 500) ?? objections[0] ?? null;
    });
  }

  /** Content comes: now all others begin. Once. */
  begin(recipients: readonly string[]): void {
    const envelope = { ...this.#envelope, recipients };
    this.#seats = this.#filters.map((filter) => ({
      name: filter.name,
      examination: this.#early.get(filter) ?? filter.begin(envelope),
    }));
  }

  /** As `Examination.write`, but of bytes that may change as soon as it has returned. */
  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined {
    if (this.#seats.length === 0) return undefined;
    let waits: Promise<void>[] = [];
    this.#pieces.write(chunk, from, to, (piece, from, to) => {
      waits = []; // who still has to be waited for says so again
      for (const { examination } of this.#seats) {
        const wait = examination.write(piece, from, to);
        if (wait !== undefined) waits.push(wait);
      }
    });
    return waits.length < 2 ? waits[0] : Promise.all(waits).then(() => undefined);
  }

  /** Resolves when the last has spoken; never rejects. */
  end(): Promise<readonly TimedOpinion[]> {
    this.#pieces.end();
    const startMs = monotonicMs();
    return Promise.all(
      this.#seats.map(async ({ name, examination }) => {
        const findings = await examination.end();
        return { filter: name, findings, ms: monotonicMs() - startMs };
      }),
    );
  }

  abort(): void {
    this.#pieces.end();
    for (const examination of this.#early.values()) examination.abort();
    for (const { examination } of this.#seats) examination.abort();
  }
}

/** The gravest first. A message that somebody could not examine is deferred rather than lost. */
const GRAVITY: readonly Verdict[] = ['reject', 'defer', 'discard', 'hold', 'accept'];

/** What holds in the end; `decided` is whose verdict it is, null where all accept. */
export type Consensus = Pick<Findings, 'verdict' | 'reply' | 'sender' | 'body' | 'recipients'> & {
  readonly decided: string | null;
  readonly headers: readonly HeaderChange[];
};

/**
 * The gravest verdict, of equal ones the first. Changes of all who let the message pass add up, in order; since none
 * has seen another's, field numbers are those of the message as it came. Of two senders or bodies the later one stays.
 */
export function consensusOf(opinions: readonly Opinion[]): Consensus {
  const verdict = GRAVITY.find((each) => opinions.some(({ findings }) => findings.verdict === each)) ?? 'accept';
  const decided = opinions.find(({ findings }) => findings.verdict === verdict);
  const { reply } = decided?.findings ?? {};
  const all = opinions.map(({ findings }) => findings);
  const sender = all.findLast((findings) => findings.sender !== undefined)?.sender;
  const body = all.findLast((findings) => findings.body !== undefined)?.body;
  const recipients = all.flatMap((findings) => (findings.recipients === undefined ? [] : [findings.recipients]));
  return {
    verdict,
    decided: verdict === 'accept' ? null : decided!.filter,
    ...(reply === undefined ? {} : { reply }),
    headers: all.flatMap(({ headers }) => headers),
    ...(sender === undefined ? {} : { sender }),
    ...(body === undefined ? {} : { body }),
    ...(recipients.length === 0
      ? {}
      : {
          recipients: {
            add: [...new Set(recipients.flatMap(({ add }) => add))],
            remove: [...new Set(recipients.flatMap(({ remove }) => remove))],
          },
        }),
  };
}
