/**
 * What a content filter is to the rest of Postern: one message in, as it arrives; findings out. Whatever stands behind
 * it (milter, rspamd, clamd, spamd, an HTTP hook) and however it behaves, these promises hold.
 *
 *   begin ─► write, write, … ─► end ─► Findings          abort at any time, and nothing is found
 *   begin ─► sender ─► recipient, … ─► write, …          of a filter that hears of the envelope as the client says it
 *
 * All filters examine at the same time, so none sees what another has changed.
 */
import type { Side } from '../message/envelope.ts';
import type { HeaderChange } from '../message/header_changes.ts';
import type { Piece } from './content_pieces.ts';

/** All that a filter may be told of a message beside its content. Mailboxes have no brackets, '' is the null sender. */
export type FilteredEnvelope = {
  readonly side: Side;
  /** Names the message where it has a name already, else the session. */
  readonly id: string;
  /** Our own host name. */
  readonly hostname: string;
  /** `name` is the confirmed reverse name, `pointer` what the PTR record says; null: none. Port 0 is not known. */
  readonly client: {
    readonly address: string;
    readonly port: number;
    readonly name: string | null;
    readonly pointer: string | null;
  };
  readonly helo: string;
  readonly extended: boolean;
  /** Bits 0 are not known. */
  readonly tls: { readonly version: string; readonly cipher: string; readonly bits: number } | null;
  /** The identity that AUTH has proved. */
  readonly user: string | null;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly smtpUtf8: boolean;
};

export interface Filter {
  readonly name: string;
  /** Of the two sides, those whose messages it examines. */
  readonly side: Side | 'both';
  /** Its examination begins when the client has named the sender, and it has a word in each reply from then on. */
  readonly early: boolean;
  /** Of an early one the recipients follow one by one. */
  begin(envelope: FilteredEnvelope): Examination;
  /** Idle connections end now, others as they become idle: a transaction keeps the policy that it began with. */
  close(): Promise<void>;
}

/** One message; everything that it holds is bounded. */
export interface Examination {
  /** Of an early filter, and the first call: whether the transaction may begin. By its deadline; never rejects. */
  sender(): Promise<Word>;
  /** As above: whether this recipient may be one. One at a time. */
  recipient(address: string): Promise<Word>;
  /**
   * Content as it will be in the journal (dots unstuffed, CRLF), in order. The piece is held as long as it is needed.
   * A promise: the filter is behind, so wait. Never rejects; after the filter has spoken it is at once.
   */
  write(piece: Piece, from: number, to: number): Promise<void> | undefined;
  /** That was all. Resolves by the filter's deadline at the latest; never rejects. */
  end(): Promise<Findings>;
  /** The message is not coming. */
  abort(): void;
}

export type Verdict = 'accept' | 'reject' | 'defer' | 'discard' | 'hold';

/** Checked: its class is the verdict's, the text one printable line of ASCII, bounded. */
export type FilterReply = { readonly code: number; readonly enhanced: string; readonly text: string };

/** On a sender or a recipient; null: nothing against it. */
export type Word = FilterReply | null;

/** Why a filter could not examine a message. */
export type FailureReason =
  | 'unreachable'
  | 'timeout'
  | 'died' // it hung up in the middle
  | 'malformed' // what it said is not its protocol, or asks for what must not be
  | 'bounds' // more than is allowed
  | 'error' // it says itself that it failed
  | 'busy' // no connection became free in time
  | 'paused' // the breaker is open
  | 'aborted';

export type Findings = {
  readonly verdict: Verdict;
  /** There for reject and defer, and for them alone. */
  readonly reply?: FilterReply;
  readonly score?: number;
  /** The filter's own word for what it wants, or `too-large`: not examined, since larger than its contentBytesMax. */
  readonly action?: string;
  /** Of viruses, or symbols. */
  readonly names?: readonly string[];
  readonly headers: readonly HeaderChange[];
  readonly sender?: string;
  readonly recipients?: {
    readonly add: readonly string[];
    readonly remove: readonly string[];
  };
  /** Takes the place of all that follows the header section. */
  readonly body?: Buffer;
  /** It could not examine, or not to its end; the fail mode is in the verdict already. */
  readonly failure?: { readonly reason: FailureReason; readonly detail: string };
  /** The filter is on trial: this is what it would have had done. Nothing above asks for anything then. */
  readonly dryRun?: { readonly verdict: Verdict; readonly reply?: FilterReply; readonly changes: number };
};

export const ACCEPTED: Findings = { verdict: 'accept', headers: [] };

/** What an examination calls when it has ended; metrics and log lines are made of it. */
export type FilterEnd = {
  readonly filter: string;
  readonly findings: Findings;
  /** From its begin, and of that the time in which the filter was waited for. */
  readonly seconds: number;
  readonly filterSeconds: number;
  /** Recipients that it would not have, on trial or not. */
  readonly refused: number;
};

export type FilterHooks = {
  readonly ended: (end: FilterEnd) => void;
  /** The breaker has opened (messages are not examined for a while), or closed again. */
  readonly breaker: (filter: string, open: boolean) => void;
};

/** Thrown within filters/ for what a filter did; it never leaves this folder. */
export class FilterFailure extends Error {
  override readonly name = 'FilterFailure';
  readonly reason: FailureReason;

  constructor(reason: FailureReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

export const malformed = (detail: string): FilterFailure => new FilterFailure('malformed', detail);
