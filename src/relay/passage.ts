/** What is to become of a message that may pass, and what filters have to say about that. */
import type { Consensus } from '../filters/panel.ts';
import type { EditorName } from '../message/edits.ts';
import type { Edit, Recipient } from '../message/envelope.ts';
import type { Direction, Rewriting } from '../message/rewriting.ts';
import type { Refusal } from '../smtp/replies.ts';
import { REPLIES } from '../smtp/replies.ts';
import type { Transaction } from '../smtp/session.ts';

/** What the rules, and who looked at its content, want of a message that may pass. */
export type Passage = {
  readonly discard: boolean;
  readonly hold: boolean;
  /** Of the content as it came, but for our trace fields. */
  readonly edits: Readonly<Partial<Record<EditorName, readonly Edit[]>>>;
  /** For the top: our Authentication-Results, and tags. */
  readonly fields: string;
  readonly sender: string;
  readonly recipients: readonly Recipient[];
  /** Takes the place of all behind the header section, which is here, one char per byte. */
  readonly body: Buffer | null;
  readonly header: string;
};

/**
 * Also where a filter refuses some of the recipients: nobody could be told afterwards, so the message is refused as a
 * whole while its sender still listens.
 */
export function filterRefusal({ verdict, decided, reply, recipients }: Consensus): Refusal | null {
  const [one] = recipients?.refused ?? [];
  if (verdict === 'accept' && one !== undefined)
    return { key: one.reply.code >= 500 ? 'policyReject' : 'policyDefer', detail: `${one.address}: ${one.reply.text}` };
  if (verdict !== 'reject' && verdict !== 'defer') return null;
  const detail = `${reply?.text ?? REPLIES.filterRejected[2]} [${decided ?? 'filter'}]`;
  return { key: verdict === 'reject' ? 'policyReject' : 'policyDefer', detail };
}

/** Whom the message is from and for, after filters and the table of addresses. */
export function envelopeOf(
  transaction: Transaction,
  consensus: Consensus | null,
  rewriting: Rewriting | null,
  direction: Direction,
): Pick<Passage, 'sender' | 'recipients'> {
  const { add = [], remove = [] } = consensus?.recipients ?? {};
  const gone = new Set(remove);
  const stay = transaction.recipients.filter((each) => !gone.has(each.address));
  const known = new Set(stay.map((each) => each.address));
  const more = add.filter((address) => !known.has(address)).map((address): Recipient => ({ address }));
  const mapped = (address: string): string => rewriting?.address(address, direction) ?? address;
  return {
    sender: mapped(consensus?.sender ?? transaction.sender),
    recipients: [...stay, ...more].map((each) => ({ ...each, address: mapped(each.address) })),
  };
}
