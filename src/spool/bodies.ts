/**
 * The two bodies of records (MessagePack arrays of plain values, no shared structures, so that each record can be read
 * by itself).
 *
 *   message  [key, id, origin, acceptedMs, sender, smtpUtf8, ret, envid, recipients, content, edits, states, file]
 *     key          0: this record's own sequence; else the sequence of the record that this one is a copy of
 *     recipients   [[address, notify, orcpt] or, with a route of its own, [address, notify, orcpt, route], ...]
 *                  notify: null, 'never' or a list
 *     content      [bytes, dotted, eightBit, endsInCrlf, headerBytes]
 *     edits        [[at, drop, insert], ...]
 *     states       null: all wait for their first attempt; else one state per recipient
 *     file         null: content is in the record; else [name, bytes, crc]
 *   marks    [key, recipient, state, recipient, state, ...]
 *   state    1 delivered, 2 failed, [attempts, nextMs, detail, site, warned] waiting      nextMs: -1 while held
 */
import { Packr, RESET_BUFFER_MODE } from 'msgpackr';
import type { Edit, Envelope, Recipient } from '../message/envelope.ts';
import type { ContentFile } from './message.ts';
import type { Change, RecipientState } from './spool.ts';

const packr = new Packr({ useRecords: false, moreTypes: false });

/** Over what was packed before: otherwise every twenty messages take a new buffer. The result is a view of it. */
const pack = (body: unknown): Buffer => packr.pack(body, RESET_BUFFER_MODE);

const HELD = -1;

type PackedState = 1 | 2 | readonly [attempts: number, nextMs: number, detail: string, site: string, warned: boolean];

function packState(state: RecipientState): PackedState {
  if (state.tag !== 'waiting') return state.tag === 'delivered' ? 1 : 2;
  const nextMs = state.nextMs === Number.POSITIVE_INFINITY ? HELD : state.nextMs;
  return [state.attempts, nextMs, state.detail, state.site, state.warned];
}

function unpackState(packed: unknown): RecipientState {
  if (packed === 1) return { tag: 'delivered' };
  if (packed === 2) return { tag: 'failed' };
  if (!Array.isArray(packed) || packed.length !== 5) throw new TypeError('not a state');
  const [attempts, nextMs, detail, site, warned] = packed as [number, number, string, string, boolean];
  return {
    tag: 'waiting',
    attempts,
    nextMs: nextMs === HELD ? Number.POSITIVE_INFINITY : nextMs,
    detail,
    site,
    warned,
  };
}

export type MessageBody = {
  readonly key: number;
  readonly envelope: Envelope;
  /** Null: all wait for their first attempt. */
  readonly states: readonly RecipientState[] | null;
  readonly file: ContentFile | null;
};

/** The result is a view of the packer's buffer, and stands until the next call. */
export function packMessage({ key, envelope, states, file }: MessageBody): Buffer {
  const { content } = envelope;
  return pack([
    key,
    envelope.id,
    envelope.origin,
    envelope.acceptedMs,
    envelope.sender,
    envelope.smtpUtf8,
    envelope.ret ?? null,
    envelope.envid ?? null,
    envelope.recipients.map(packRecipient),
    [content.bytes, content.dotted, content.eightBit, content.endsInCrlf, content.headerBytes],
    envelope.edits.map((edit) => [edit.at, edit.drop, edit.insert]),
    states === null ? null : states.map(packState),
    file === null ? null : [file.name, file.bytes, file.crc],
  ]);
}

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

function packRecipient({ address, notify, orcpt, route }: Recipient): readonly unknown[] {
  const plain = [address, notify ?? null, orcpt ?? null];
  return route === undefined ? plain : [...plain, route];
}

function unpackRecipient(packed: unknown[]): Recipient {
  const [address, notify, orcpt, route] = packed as [string, Recipient['notify'] | null, string | null, string?];
  return {
    address,
    ...(notify === null || notify === undefined ? {} : { notify }),
    ...(orcpt === null ? {} : { orcpt }),
    ...(route === undefined ? {} : { route }),
  };
}

export type MarksBody = { readonly key: number; readonly changes: readonly Change[] };

/** A view of the packer's buffer, as above. */
export function packMarks({ key, changes }: MarksBody): Buffer {
  const packed: (number | PackedState)[] = [key];
  for (const { recipient, state } of changes) packed.push(recipient, packState(state));
  return pack(packed);
}

export function unpackMarks(meta: Buffer): MarksBody {
  const packed = packr.unpack(meta) as unknown[];
  if (!Array.isArray(packed) || packed.length % 2 !== 1) throw new TypeError('not marks');
  const changes: Change[] = [];
  for (let at = 1; at < packed.length; at += 2) {
    changes.push({ recipient: packed[at] as number, state: unpackState(packed[at + 1]) });
  }
  return { key: packed[0] as number, changes };
}
