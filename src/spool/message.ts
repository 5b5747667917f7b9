/**
 * A message in the journal, and the two bodies of records that speak of it (MessagePack arrays of plain values, no
 * shared structures, so that each record can be read by itself).
 *
 *   message  [key, id, origin, acceptedMs, sender, smtpUtf8, ret, envid, recipients, content, edits, states, file]
 *     key          0: this record's own sequence; else the sequence of the record that this one is a copy of
 *     recipients   [[address, notify, orcpt], ...]      notify: null, 'never' or a list
 *     content      [bytes, dotted, eightBit, endsInCrlf, headerBytes]
 *     edits        [[at, drop, insert], ...]
 *     states       null: all wait for their first attempt; else one state per recipient
 *     file         null: content is in the record; else [name, bytes, crc]
 *   marks    [key, recipient, state, recipient, state, ...]
 *   state    1 delivered, 2 failed, [attempts, nextMs, detail] waiting
 */
import { Packr } from 'msgpackr';
import { assert } from '../base/assert.ts';
import type { Edit, Envelope, Recipient } from '../message/envelope.ts';
import type { Segment } from './segment.ts';
import type { Change, RecipientState, Stored } from './spool.ts';

/** Large content: a file in the content folder. Its bytes and CRC are those of the whole. */
export type ContentFile = { readonly name: string; readonly bytes: number; readonly crc: number };

/** Where a message's record is. `contentAt` is the offset of inline content in the segment. */
export type Place = { readonly segment: Segment; readonly frameBytes: number; readonly contentAt: number };

const DELIVERED: RecipientState = { tag: 'delivered' };
const FAILED: RecipientState = { tag: 'failed' };
const FRESH: RecipientState = { tag: 'waiting', attempts: 0, nextMs: 0, detail: '' };

export class Message implements Stored {
  readonly envelope: Envelope;
  readonly states: RecipientState[];
  /** Names the message in marks: the sequence of its first record. 0 until it has one. */
  key = 0;
  content: Buffer | null = null;
  /** What `content` counts for in the memory budget: the whole of its buffer. */
  heldBytes = 0;
  readonly file: ContentFile | null;
  /** CRC-32 of inline content; 0 for a file. */
  readonly contentCrc: number;
  /** Null until durable. */
  place: Place | null = null;
  /** Recipients that are not final. */
  waiting: number;

  constructor(envelope: Envelope, states: RecipientState[] | null, contentCrc: number, file: ContentFile | null) {
    this.envelope = envelope;
    this.states = states ?? envelope.recipients.map(() => FRESH);
    this.contentCrc = contentCrc;
    this.file = file;
    this.waiting = 0;
    for (const state of this.states) if (state.tag === 'waiting') this.waiting++;
  }

  apply(changes: readonly Change[]): void {
    for (const { recipient, state } of changes) {
      const before = this.states[recipient];
      assert(before !== undefined, 'a mark names a recipient of the message');
      // Final is final: a late outcome of a second attempt changes nothing.
      if (before.tag !== 'waiting') continue;
      this.states[recipient] = state;
      if (state.tag !== 'waiting') this.waiting--;
    }
  }
}

const packr = new Packr({ useRecords: false, moreTypes: false });

type PackedState = 1 | 2 | readonly [attempts: number, nextMs: number, detail: string];

const packState = (state: RecipientState): PackedState => {
  if (state.tag === 'waiting') return [state.attempts, state.nextMs, state.detail];
  return state.tag === 'delivered' ? 1 : 2;
};

function unpackState(packed: unknown): RecipientState {
  if (packed === 1) return DELIVERED;
  if (packed === 2) return FAILED;
  if (!Array.isArray(packed)) throw new TypeError('not a state');
  const [attempts, nextMs, detail] = packed as [number, number, string];
  return { tag: 'waiting', attempts, nextMs, detail };
}

/** The result is a view of the packer's buffer: copy it before the next call. */
export function packMessage(message: Message): Buffer {
  const { envelope, states, file } = message;
  const { content } = envelope;
  return packr.pack([
    message.key,
    envelope.id,
    envelope.origin,
    envelope.acceptedMs,
    envelope.sender,
    envelope.smtpUtf8,
    envelope.ret ?? null,
    envelope.envid ?? null,
    envelope.recipients.map((to) => [to.address, to.notify ?? null, to.orcpt ?? null]),
    [content.bytes, content.dotted, content.eightBit, content.endsInCrlf, content.headerBytes],
    envelope.edits.map((edit) => [edit.at, edit.drop, edit.insert]),
    states.every((state) => state === FRESH) ? null : states.map(packState),
    file === null ? null : [file.name, file.bytes, file.crc],
  ]);
}

export type MessageBody = {
  readonly key: number;
  readonly envelope: Envelope;
  readonly states: RecipientState[] | null;
  readonly file: ContentFile | null;
};

/** Throws where the body is not a message: its checksum held, so whoever wrote it was not us. */
export function unpackMessage(meta: Buffer): MessageBody {
  const packed = packr.unpack(meta) as unknown[];
  if (!Array.isArray(packed) || packed.length !== 13) throw new TypeError('not a message');
  const [key, id, origin, acceptedMs, sender, smtpUtf8, ret, envid, recipients, content, edits, states, file] = packed;
  const [bytes, dotted, eightBit, endsInCrlf, headerBytes] = content as [number, boolean, boolean, boolean, number];
  const envelope: Envelope = {
    id: id as string,
    origin: origin as Envelope['origin'],
    acceptedMs: acceptedMs as number,
    sender: sender as string,
    smtpUtf8: smtpUtf8 as boolean,
    ...(ret === null ? {} : { ret: ret as 'full' | 'headers' }),
    ...(envid === null ? {} : { envid: envid as string }),
    recipients: (recipients as unknown[][]).map(unpackRecipient),
    content: { bytes, dotted, eightBit, endsInCrlf, headerBytes },
    edits: (edits as [number, number, string][]).map(([at, drop, insert]): Edit => ({ at, drop, insert })),
  };
  const list = file as [string, number, number] | null;
  return {
    key: key as number,
    envelope,
    states: states === null ? null : (states as unknown[]).map(unpackState),
    file: list === null ? null : { name: list[0], bytes: list[1], crc: list[2] },
  };
}

function unpackRecipient(packed: unknown[]): Recipient {
  const [address, notify, orcpt] = packed as [string, Recipient['notify'] | null, string | null];
  return {
    address,
    ...(notify === null || notify === undefined ? {} : { notify }),
    ...(orcpt === null ? {} : { orcpt }),
  };
}

/** The states that `recipients` of the message have now. A view of the packer's buffer, as above. */
export function packMarks(message: Message, recipients: Iterable<number>): Buffer {
  const packed: (number | PackedState)[] = [message.key];
  for (const recipient of recipients) packed.push(recipient, packState(message.states[recipient]!));
  return packr.pack(packed);
}

export type MarksBody = { readonly key: number; readonly changes: readonly Change[] };

export function unpackMarks(meta: Buffer): MarksBody {
  const packed = packr.unpack(meta) as unknown[];
  if (!Array.isArray(packed) || packed.length % 2 !== 1) throw new TypeError('not marks');
  const changes: Change[] = [];
  for (let at = 1; at < packed.length; at += 2) {
    changes.push({ recipient: packed[at] as number, state: unpackState(packed[at + 1]) });
  }
  return { key: packed[0] as number, changes };
}
