/** How a sink behaves, the same for all its connections: what it offers, refuses, delays and bounds. */
import type { SecureContext } from 'node:tls';
import type { Arrived } from './content_reader.ts';

export const EXTENSIONS = [
  'PIPELINING',
  'SIZE',
  '8BITMIME',
  'SMTPUTF8',
  'CHUNKING',
  'DSN',
  'ENHANCEDSTATUSCODES',
  'STARTTLS',
  'AUTH',
] as const;
export type Extension = (typeof EXTENSIONS)[number];

/** What can be refused. `data` is DATA, or a chunk of BDAT that is not the last. */
export const REFUSABLE = ['connect', 'hello', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'end'] as const;
/** What can be delayed. */
export const STAGES = [...REFUSABLE, 'rset', 'quit'] as const;
export type Refusable = (typeof REFUSABLE)[number];
export type Stage = (typeof STAGES)[number];

/** Refuses the given share (0 to 1) of what it is asked, evenly spread. */
export type Refusal = { readonly code: number; readonly share: number };
/** Milliseconds, or from the least to the most of them. */
export type Delay = number | readonly [leastMs: number, mostMs: number];

export type Delivered = Arrived & { readonly from: string; readonly to: readonly string[]; readonly content: Buffer };

export type Behaviour = {
  readonly hostname: string;
  readonly lmtp: boolean;
  readonly extensions: ReadonlySet<Extension>;
  readonly messageBytesMax: number;
  /** Looks at the SIZE of MAIL, too; without it only what came is measured. */
  readonly checksSize: boolean;
  readonly recipientsMax: number;
  readonly messagesPerConnectionMax: number;
  readonly connectionsMax: number;
  /** Of all connections: what comes then is refused. */
  readonly messagesMax: number;
  readonly delays: Readonly<Partial<Record<Stage, Delay>>> | undefined;
  readonly refuse: Readonly<Record<Refusable, Turns>>;
  readonly tls: SecureContext | undefined;
  readonly implicitTls: boolean;
  /** Where set, each message's envelope and content are kept until they are handed over here. */
  readonly onMessage: ((message: Delivered) => void) | undefined;
};

/** Which of a row of requests are refused; shared by all sessions of a sink. */
export class Turns {
  readonly #refusals: readonly { readonly code: number; readonly share: number; due: number }[];

  constructor(refusals: readonly Refusal[] = []) {
    this.#refusals = refusals.map((refusal) => ({ ...refusal, due: 0 }));
  }

  /** The code to refuse with, or 0. */
  next(): number {
    let code = 0;
    for (const refusal of this.#refusals) {
      refusal.due += refusal.share;
      if (code !== 0 || refusal.due < 0.999_999) continue;
      refusal.due -= 1;
      code = refusal.code;
    }
    return code;
  }
}

export function msOf(delay: Delay | undefined): number {
  if (delay === undefined) return 0;
  return typeof delay === 'number' ? delay : delay[0] + Math.random() * (delay[1] - delay[0]);
}
