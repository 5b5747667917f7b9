/** What the edits of a message come to, as a person reads them: header fields that go, and those that come. */
import { Editor } from '../message/edits.ts';
import type { Envelope } from '../message/envelope.ts';
import { splitHeaders } from '../message/headers.ts';
import type { Passage } from './passage.ts';

export type Changes = {
  /** Whole fields, folded as they are, without the last line end. */
  readonly removed: readonly string[];
  readonly added: readonly string[];
  /** Bytes of the body that are taken out, and that come in their place; a filter may replace all of it. */
  readonly body: { readonly removed: number; readonly added: number } | 'replaced' | null;
  readonly sender: string;
  /** `route`: where a rule sends it; null: where the router does. */
  readonly recipients: readonly { readonly address: string; readonly route: string | null }[];
};

export function changesOf({ edits, sender, recipients }: Envelope, { header, body }: Passage): Changes {
  const inHeader = edits.filter(({ at, drop }) => at + drop <= header.length);
  const inBody = edits.filter(({ at, drop }) => at + drop > header.length);
  const before = Buffer.from(header, 'latin1');
  const editor = new Editor(inHeader, before.length);
  const after = Buffer.concat([...editor.apply(before), ...editor.end()]);
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const taken = { removed: 0, added: 0 };
  for (const { drop, insert } of inBody) {
    taken.removed += drop;
    taken.added += Buffer.byteLength(insert);
  }
  return {
    removed: without(old, now),
    added: without(now, old),
    body: body !== null ? 'replaced' : inBody.length > 0 ? taken : null,
    sender,
    recipients: recipients.map(({ address, route = null }) => ({ address, route })),
  };
}

function fieldsOf(bytes: Buffer): readonly string[] {
  const text = bytes.toString('utf8');
  return splitHeaders(text, Number.POSITIVE_INFINITY).fields.map(({ start, end }) => text.slice(start, end).trimEnd());
}

/** Those of `fields` that `others` does not have, as often as it does not. */
function without(fields: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Map<string, number>();
  for (const field of others) left.set(field, (left.get(field) ?? 0) + 1);
  return fields.filter((field) => {
    const count = left.get(field) ?? 0;
    left.set(field, count - 1);
    return count <= 0;
  });
}
