/**
 * From the last byte of a message to our 250, one call a step. What comes before (bytes to content) is arrival.ts,
 * what comes after (journal to their 250) is outbound.ts; who reads these three knows the way of a message.
 */
import type { TLSSocket } from 'node:tls';
import { whenKnown } from '../base/answers.ts';
import { monotonicMs, wallMs } from '../base/clock.ts';
import { isAscii } from '../base/text.ts';
import { composeEdits } from '../message/edits.ts';
import type { ContentFacts, Edit, Envelope, Side } from '../message/envelope.ts';
import type { Via } from '../message/received.ts';
import { receivedField } from '../message/received.ts';
import { judgeContent } from '../policy/content.ts';
import type { Hello, Transaction } from '../smtp/session.ts';
import type { Draft } from '../spool/spool.ts';
import type { Arrival } from './arrival.ts';
import type { Refused } from './because.ts';
import type { Caller } from './front_door.ts';
import type { Inspection } from './inspection.ts';
import type { Passage } from './passage.ts';
import type { Relay } from './relay.ts';

/** How the message came, for its Received field and its log line. */
export type Origin = {
  readonly session: string;
  readonly side: Side;
  readonly via: Via;
};

/** `secure`: of the connection that the message came over, with its client or with who speaks for it. */
export function viaOf({ address, name }: Caller, hello: Hello | null, secure: TLSSocket | null): Via {
  return {
    address,
    helo: hello?.client ?? '',
    ...(name === null ? {} : { reverse: name }),
    extended: hello?.verb === 'EHLO',
    tls: secure === null ? null : { protocol: secure.getProtocol() ?? '', cipher: secure.getCipher()?.name ?? '' },
  };
}

export type Acceptance = { readonly id: string } | Refused;

/** A message that may pass, in the form in which it goes to the disk. */
export type Sealed = { readonly draft: Draft; readonly envelope: Envelope; readonly passage: Passage };

/** Resolves when the message is on disk, or refused and gone. Never rejects for what the client or the disk did. */
export async function acceptMessage(
  relay: Relay,
  origin: Origin,
  transaction: Transaction,
  arrival: Arrival,
  inspection: Inspection,
): Promise<Acceptance> {
  const startMs = monotonicMs();
  const sealing = sealMessage(relay, origin, transaction, arrival, inspection);
  const sealed = sealing instanceof Promise ? await sealing : sealing;
  if ('key' in sealed) return sealed;
  const { draft, envelope, passage } = sealed;
  if (passage.discard || envelope.recipients.length === 0) {
    draft.discard();
    relay.logger.log('discarded', { id: envelope.id, session: origin.session, from: envelope.sender });
    return { id: envelope.id };
  }
  try {
    // 250 means on disk: nothing above this line promises anything.
    const stored = await draft.commit(envelope, passage.hold ? 'held' : 'due');
    if (passage.hold) relay.spool.rest(stored);
    else relay.outbound.enqueue(stored);
  } catch (error) {
    return { key: relay.spoolFailed(error) === 'full' ? 'spoolFull' : 'shardBroken' };
  }
  relay.logAccepted(origin, envelope, monotonicMs() - startMs);
  return { id: envelope.id };
}

/** All that comes before the disk: the verdict over the content, and the envelope. A refused one is gone. */
export function sealMessage(
  relay: Relay,
  origin: Origin,
  transaction: Transaction,
  arrival: Arrival,
  inspection: Inspection,
): Sealed | Refused | Promise<Sealed | Refused> {
  const refusal = judgeContent(arrival.toJudge, relay.contentRules);
  const found = { bytes: arrival.facts.bytes, recipients: transaction.recipients.length };
  const judged = refusal === null ? inspection.content(found, transaction) : { key: refusal };
  return whenKnown(judged, (passage): Sealed | Refused => {
    if ('key' in passage) {
      arrival.discard();
      return passage;
    }
    const { draft, content } =
      passage.body === null ? { draft: arrival.draft, content: arrival.facts } : replaced(relay, arrival, passage);
    return { draft, passage, envelope: sealEnvelope(relay, origin, transaction, content, passage) };
  });
}

/** A filter has another body: the header section as it came, and that. Edits lie in the header section only. */
function replaced(relay: Relay, arrival: Arrival, { header, body }: Passage) {
  arrival.draft.discard();
  const bytes = Buffer.concat([Buffer.from(header, 'latin1'), body!]);
  const draft = relay.spool.begin(bytes.length);
  draft.write(bytes, 0, bytes.length);
  const content: ContentFacts = {
    bytes: bytes.length,
    dotted: bytes[0] === DOT || bytes.includes('\n.'),
    eightBit: bytes.some((byte) => byte > 127),
    endsInCrlf: bytes.length === 0 || bytes.subarray(-2).toString('latin1') === '\r\n',
    headerBytes: header.length,
  };
  return { draft, content };
}

const DOT = 0x2e;

function sealEnvelope(
  relay: Relay,
  origin: Origin,
  transaction: Transaction,
  content: ContentFacts,
  passage: Passage,
): Envelope {
  const id = relay.nextId();
  const acceptedMs = wallMs();
  const recipients = relay.completed(passage.recipients);
  const received = receivedField({
    via: origin.via,
    by: relay.config.hostname,
    id,
    onlyRecipient: recipients.length === 1 ? recipients[0]!.address : null,
    smtpUtf8: transaction.smtpUtf8,
    timeMs: acceptedMs,
  });
  const edits = composeEdits({ trace: [{ at: 0, drop: 0, insert: received + passage.fields }], ...passage.edits });
  return {
    id,
    origin: origin.side,
    acceptedMs,
    sender: passage.sender,
    smtpUtf8: transaction.smtpUtf8,
    ...(transaction.ret === undefined ? {} : { ret: transaction.ret }),
    ...(transaction.envid === undefined ? {} : { envid: transaction.envid }),
    recipients,
    content: withInsertions(content, edits),
    edits,
  };
}

/** What is inserted is sent like the rest of it: its dots are stuffed, and its bytes are what they are. */
function withInsertions(content: ContentFacts, edits: readonly Edit[]): ContentFacts {
  const dotted = content.dotted || edits.some(({ insert }) => insert.startsWith('.') || insert.includes('\n.'));
  const eightBit = content.eightBit || edits.some(({ insert }) => !isAscii(insert));
  return dotted === content.dotted && eightBit === content.eightBit ? content : { ...content, dotted, eightBit };
}
