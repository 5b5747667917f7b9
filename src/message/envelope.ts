/**
 * What the journal keeps beside a message's content: who sent it, to whom, and what was promised (RFC 5321 §2.3.1,
 * RFC 3461, RFC 6531). Plain values only: an envelope crosses the journal as one MessagePack map.
 */

export type Side = 'outside' | 'inside';

/** RFC 3461 §4.1. An absent NOTIFY means FAILURE, and DELAY at the server's choice. */
export type Notify = 'never' | readonly ('success' | 'failure' | 'delay')[];

export type Recipient = {
  /** The forward-path's mailbox as it is sent on: local part as received, domain in lower case. */
  readonly address: string;
  readonly notify?: Notify;
  /** RFC 3461 §4.2, `addr-type;xtext` as received. */
  readonly orcpt?: string;
  /** A rule's: its mail goes there instead of where the router would send it, whatever becomes of the rule. */
  readonly route?: string;
};

/** Content is immutable: a change is `drop` bytes taken out at byte `at`, and `insert` put there instead. */
export type Edit = { readonly at: number; readonly drop: number; readonly insert: string };

/** What the scanner found out about the content while it arrived. */
export type ContentFacts = {
  /** Bytes, dots unstuffed, line ends normalised, without our edits. */
  readonly bytes: number;
  /** A line starts with a dot, so that DATA (RFC 5321 §4.5.2) must stuff it. */
  readonly dotted: boolean;
  /** A byte above 127 occurs (RFC 6152). */
  readonly eightBit: boolean;
  /** The last line ends in CRLF; always so after DATA, not always after BDAT (RFC 3030 §2). */
  readonly endsInCrlf: boolean;
  /** Bytes up to and with the empty line that ends the header section; all of them where there is none. */
  readonly headerBytes: number;
};

export type Envelope = {
  readonly id: string;
  /** Where it came from; `local` for what Postern itself writes (DSNs). */
  readonly origin: Side | 'local';
  /** Milliseconds since 1970. */
  readonly acceptedMs: number;
  /** The reverse-path's mailbox; '' is the null sender. */
  readonly sender: string;
  /** The client asked for SMTPUTF8 (RFC 6531 §3.4), so the next hop must offer it, too. */
  readonly smtpUtf8: boolean;
  /** RFC 3461 §4.3, §4.4. */
  readonly ret?: 'full' | 'headers';
  readonly envid?: string;
  readonly recipients: readonly Recipient[];
  readonly content: ContentFacts;
  /** In order of `at`, not overlapping. */
  readonly edits: readonly Edit[];
};
