/** A spool that keeps everything in memory: isolates the relay from the disk, and fails when a test says so. */
import type { Envelope } from '../../src/message/envelope.ts';
import type { Change, Draft, RecipientState, Spool, Stored } from '../../src/spool/spool.ts';
import { SpoolFailure } from '../../src/spool/spool.ts';

type Kept = { envelope: Envelope; states: RecipientState[]; content: Buffer | null; bytes: Buffer };

export class MemorySpool implements Spool {
  readonly live = new Set<Stored>();
  readonly stats = { syncs: 0, records: 0, segments: 1, bytesOnDisk: 0, bytesInMemory: 0, broken: false };
  /** Drafts begun and neither committed nor discarded. */
  open = 0;
  failWith: SpoolFailure['reason'] | null = null;

  begin(): Draft {
    const parts: Buffer[] = [];
    let state: 'open' | 'over' = 'open';
    const over = () => {
      if (state === 'open') this.open--;
      state = 'over';
    };
    this.open++;
    const spool = this;
    return {
      get bytes() {
        return parts.reduce((sum, part) => sum + part.length, 0);
      },
      write(chunk, from, to) {
        parts.push(Buffer.from(chunk.subarray(from, to)));
        return undefined;
      },
      writeText(text) {
        parts.push(Buffer.from(text, 'latin1'));
      },
      async commit(envelope) {
        over();
        if (spool.failWith !== null) throw new SpoolFailure(spool.failWith, 'as the test said');
        const bytes = Buffer.concat(parts);
        const waiting: RecipientState = { tag: 'waiting', attempts: 0, nextMs: 0, detail: '' };
        const kept: Kept = { envelope, states: envelope.recipients.map(() => waiting), content: bytes, bytes };
        spool.live.add(kept);
        return kept;
      },
      discard: over,
    };
  }

  async *read(message: Stored): AsyncIterable<Buffer> {
    yield (message as Kept).bytes;
  }

  release(message: Stored): void {
    (message as Kept).content = null;
  }

  async mark(message: Stored, changes: readonly Change[]): Promise<void> {
    const { states } = message as Kept;
    for (const { recipient, state } of changes) states[recipient] = state;
    if (states.every(({ tag }) => tag !== 'waiting')) this.live.delete(message);
  }

  async close(): Promise<void> {}
}
