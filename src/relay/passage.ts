/** What is to become of a message that may pass, and what filters have to say about that. */
import { stripParts } from '../facts/strip.ts';
import type { Consensus, Objection } from '../filters/panel.ts';
import type { EditorName } from '../message/edits.ts';
import type { Edit, Recipient, Side } from '../message/envelope.ts';
import { headerEdits } from '../message/header_changes.ts';
import type { Direction, Rewriting } from '../message/rewriting.ts';
import type { Refusal } from '../smtp/replies.ts';
import type { Transaction } from '../smtp/session.ts';
import type { ContentFindings } from './content_inspection.ts';
import type { Policy } from './policy.ts';
import type { RuleWishes } from './rule_wishes.ts';

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

/** What a rule, or else a filter, wants in place of delivery. */
export type Kept = 'discard' | 'hold' | null;

type Judged = {
  readonly policy: Policy;
  readonly side: Side;
  readonly wishes: RuleWishes;
  readonly kept: Kept;
};

export function passageOf(
  { policy, side, wishes, kept }: Judged,
  findings: ContentFindings | null,
  transaction: Transaction,
): Passage {
  const { rewriting, document } = policy;
  const direction = side === 'inside' ? 'outwards' : 'inwards';
  const { sender, recipients } = envelopeOf(transaction, wishes, findings?.consensus ?? null, rewriting, direction);
  const { fields } = wishes;
  const discard = kept === 'discard';
  const hold = kept === 'hold';
  if (findings === null) return { discard, hold, edits: {}, fields, sender, recipients, body: null, header: '' };
  const { consensus, section, results } = findings;
  const stripped = stripParts(findings.leaves, document.mime.strip, side, findings.header);
  const wanted = consensus?.body ?? null;
  // It stands behind the header section as it came, all of it; and nobody has looked for parts in it.
  const body = wanted !== null && section().complete ? wanted : null;
  const asWanted = body === wanted && stripped !== null && (body === null || stripped.edits.length === 0);
  return {
    discard,
    // Where parts could not all be taken out, or a filter's body not be put in, a person decides.
    hold: hold || (!asWanted && !discard),
    fields: `${results === null ? '' : results.field}${fields}`,
    edits: {
      authentication: results?.edits ?? [],
      strip: body === null ? (stripped?.edits ?? []) : [],
      firewall: policy.firewall(side).edits(findings.header, section),
      filters: consensus === null ? [] : headerEdits(section(), consensus.headers).edits,
      rewrite: rewriting?.edits(section(), direction) ?? [],
    },
    sender,
    recipients,
    body,
    header: findings.header,
  };
}

/** A filter's own code and words, and whose they are; who guesses addresses is counted as such. */
export function filterRefusal({ filter, reply: { code, enhanced, text } }: Objection): Refusal {
  const no = enhanced === '5.1.1' ? 'policyUnknown' : 'policyReject';
  return { key: code < 500 ? 'policyDefer' : no, detail: `${text} [${filter}]`, status: { code, enhanced } };
}

/** Whose reply it is where filters will not have the message; null: it may pass. */
export const objectionIn = ({ decided, reply }: Consensus): Objection | null =>
  decided === null || reply === undefined ? null : { filter: decided, reply };

/** Whom the message is from and for, and by which way, after filters and the table of addresses. */
function envelopeOf(
  transaction: Transaction,
  wishes: RuleWishes,
  consensus: Consensus | null,
  rewriting: Rewriting | null,
  direction: Direction,
): Pick<Passage, 'sender' | 'recipients'> {
  const own = wishes.ofEach(transaction.recipients);
  const sender = consensus?.sender ?? transaction.sender;
  const recipients = wishes.ofAll(consensus === null ? own : filtered(own, consensus));
  if (rewriting === null) return { sender, recipients };
  const mapped = (address: string): string => rewriting.address(address, direction) ?? address;
  return {
    sender: mapped(sender),
    recipients: recipients.map((each) => ({ ...each, address: mapped(each.address) })),
  };
}

function filtered(recipients: readonly Recipient[], { recipients: wanted }: Consensus): readonly Recipient[] {
  const { add = [], remove = [] } = wanted ?? {};
  const gone = new Set(remove);
  const stay = recipients.filter((each) => !gone.has(each.address));
  const known = new Set(stay.map((each) => each.address));
  const more = add.filter((address) => !known.has(address)).map((address): Recipient => ({ address }));
  return [...stay, ...more];
}
