/**
 * What a spool was told and what it answered, and so what must be found in it later: whatever was promised is there,
 * whole, with the right states; whatever was not may be there, but whole; nothing twice.
 */
import assert from 'node:assert/strict';
import { idSource } from '../../../src/base/ids.ts';
import { destinationOf } from '../../../src/message/destination.ts';
import type { Envelope } from '../../../src/message/envelope.ts';
import type {
  Change,
  Draft,
  RecipientState,
  Spool,
  SpoolEvent,
  SpoolOptions,
  Stored,
} from '../../../src/spool/spool.ts';
import { SpoolFailure } from '../../../src/spool/spool.ts';

export const nextId = idSource('test00', 0);

export function envelopeOf(bytes: number, recipients = 1): Envelope {
  return {
    id: nextId(),
    origin: 'outside',
    acceptedMs: 1_700_000_000_000,
    sender: 'sender@example.org',
    smtpUtf8: false,
    recipients: Array.from({ length: recipients }, (_, at) => ({
      address: `rcpt${at}@example.com`,
      ...(at % 3 === 1 ? { route: `smtp://q${recipients % 4}.example:25` } : {}),
    })),
    content: { bytes, dotted: false, eightBit: true, endsInCrlf: true, headerBytes: Math.min(bytes, 10) },
    edits: [{ at: 0, drop: 0, insert: 'Received: from test\r\n' }],
  };
}

/** Bytes that differ at every place and for every seed. */
export function contentOf(bytes: number, seed: number): Buffer {
  const content = Buffer.alloc(bytes);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let at = 0; at < bytes; at++) {
    state = (state * 1664525 + 1013904223) >>> 0;
    content[at] = state >>> 24;
  }
  return content;
}

export async function readWhole(spool: Spool, message: Stored): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of spool.read(message)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export type Report = { readonly event: SpoolEvent; readonly fields: Readonly<Record<string, string | number>> };

export function optionsFor(directory: string, reports: Report[] = [], more: Partial<SpoolOptions> = {}): SpoolOptions {
  return {
    directory,
    shard: 0,
    workers: 1,
    segmentBytes: 128 << 10,
    memoryBytesMax: 1 << 20,
    checkpointEveryBytes: 32 << 10,
    companyMs: 0,
    report: (event, fields) => reports.push({ event, fields }),
    ...more,
  };
}

export async function writeAll(draft: Draft, content: Buffer, pieceBytes = 16 << 10): Promise<void> {
  for (let at = 0; at < content.length; at += pieceBytes)
    await draft.write(content, at, Math.min(at + pieceBytes, content.length));
}

export async function put(spool: Spool, content: Buffer, recipients = 1): Promise<Stored> {
  const draft = spool.begin(0);
  await writeAll(draft, content);
  return await draft.commit(envelopeOf(content.length, recipients));
}

export const delivered = (...recipients: number[]): Change[] =>
  recipients.map((recipient) => ({ recipient, state: { tag: 'delivered' } }));

/** One recipient's history: states issued, and how many of them (from the first) are known to be durable. */
type History = { issued: RecipientState[]; durable: number };
type Account = {
  envelope: Envelope;
  content: Buffer;
  committed: boolean;
  recipients: History[];
  /** Why it was refused, where it was. */
  refused: SpoolFailure['reason'] | null;
};

const FRESH: RecipientState = { tag: 'waiting', attempts: 0, nextMs: 0, site: '', detail: '', warned: false };

export class Ledger {
  readonly #accounts = new Map<string, Account>();

  /** Commits; resolves to the message, or to null where the spool refuses. */
  async commit(spool: Spool, content: Buffer, recipients: number): Promise<Stored | null> {
    const envelope = envelopeOf(content.length, recipients);
    const account: Account = {
      envelope,
      content,
      committed: false,
      recipients: envelope.recipients.map(() => ({ issued: [FRESH], durable: 1 })),
      refused: null,
    };
    this.#accounts.set(envelope.id, account);
    const draft = spool.begin(content.length % 3 === 0 ? 0 : content.length);
    await writeAll(draft, content);
    try {
      const stored = await draft.commit(envelope);
      account.committed = true;
      return stored;
    } catch (error) {
      assert.ok(error instanceof SpoolFailure, String((error as Error).stack));
      account.refused = error.reason;
      return null;
    }
  }

  /** Why the message that was given last was refused; null: it was not. */
  get lastRefusal(): SpoolFailure['reason'] | null {
    return [...this.#accounts.values()].at(-1)?.refused ?? null;
  }

  /** The same promises, to be held against another future. */
  fork(): Ledger {
    const twin = new Ledger();
    for (const [id, account] of this.#accounts) {
      const recipients = account.recipients.map(({ issued, durable }) => ({ issued: [...issued], durable }));
      twin.#accounts.set(id, { ...account, recipients });
    }
    return twin;
  }

  /** Marks; resolves to whether that is durable. */
  async mark(spool: Spool, message: Stored, changes: readonly Change[]): Promise<boolean> {
    const account = this.#accounts.get(message.envelope.id)!;
    const places = changes.map(({ recipient, state }) => {
      const history = account.recipients[recipient]!;
      history.issued.push(state);
      return { history, durable: history.issued.length };
    });
    try {
      await spool.mark(message.row, changes);
    } catch (error) {
      assert.ok(error instanceof SpoolFailure, String((error as Error).stack));
      return false;
    }
    for (const { history, durable } of places) history.durable = Math.max(history.durable, durable);
    return true;
  }

  /** Holds the spool against all that was promised. What it holds is then promised, too. */
  async check(spool: Spool): Promise<void> {
    const found = new Map<string, Stored>();
    for (const row of spool.index.rows()) {
      const message = await spool.wake(row);
      assert.ok(!found.has(message.envelope.id), 'no message is there twice');
      found.set(message.envelope.id, message);
    }
    for (const [id, message] of found) {
      const account = this.#accounts.get(id);
      assert.ok(account !== undefined, 'no message is there that nobody sent');
      // After 'broken' nobody knows; whoever was told 452 will send it again.
      assert.notEqual(account.refused, 'full', 'what was refused for want of space is not there');
      assert.deepEqual(message.envelope, account.envelope);
      assert.ok((await readWhole(spool, message)).equals(account.content), 'content is whole');
      account.committed = true;
      assert.ok(
        message.envelope.recipients.some((_, at) => message.state(at).tag === 'waiting'),
        'a live message waits for something',
      );
      for (const [at, recipient] of message.envelope.recipients.entries()) {
        assert.equal(spool.index.destination(message.row, at), destinationOf(recipient));
        this.#checkState(account, at, message.state(at));
      }
      spool.rest(message);
    }
    for (const [id, account] of this.#accounts) {
      if (!account.committed || found.has(id)) continue;
      for (const { issued } of account.recipients) {
        assert.notEqual(issued.at(-1)!.tag, 'waiting', `a message that still waits is live (${id})`);
      }
      // Once seen to be gone it must stay so.
      for (const history of account.recipients) history.durable = history.issued.length;
    }
  }

  #checkState({ recipients, envelope }: Account, at: number, state: RecipientState): void {
    const history = recipients[at]!;
    const { issued, durable } = history;
    const which = issued.findLastIndex((candidate) => JSON.stringify(candidate) === JSON.stringify(state));
    assert.ok(
      which >= durable - 1,
      `recipient ${at} of ${envelope.id} fell back: ${JSON.stringify({ state, issued, durable })}`,
    );
    history.issued = issued.slice(0, which + 1);
    history.durable = which + 1;
  }
}
