/**
 * Parts taken out of a message, with a notice in their place, as edits over the content.
 *
 *   --b                                                  --b
 *   Content-Type: application/x-msdownload; name=a.exe   Content-Type: text/plain; charset=us-ascii
 *   Content-Transfer-Encoding: base64             ─►     X-Postern-Removed: executables
 *
 *   TVqQAAMAAAAEAAAA…                                    An attachment was removed …
 *   --b--                                                --b--
 *
 * Where the message itself is the part, its fields stay but for those that describe the content. Signatures are
 * verified over the content as it came; what goes on has another body, and no signature of others holds for it.
 */
import { isLike } from '../base/glob.ts';
import { LIMITS } from '../config/limits.ts';
import type { StripRule } from '../config/policy/mime.ts';
import type { Edit, Side } from '../message/envelope.ts';
import { splitHeaders } from '../message/headers.ts';
import type { Leaf } from './mime.ts';

export type Stripped = {
  readonly edits: readonly Edit[];
  /** One a part: the rule's id, and the part's name, or its type where it has none. */
  readonly parts: readonly { readonly rule: string; readonly part: string }[];
};

/**
 * Null: too many parts are to be taken out, or the message's own header is not all in `header`; hold it. `header` is
 * the header section of the content, one char per byte.
 */
export function stripParts(
  leaves: readonly Leaf[],
  rules: readonly StripRule[],
  side: Side,
  header: string,
): Stripped | null {
  const edits: Edit[] = [];
  const parts: { rule: string; part: string }[] = [];
  const inForce = rules.filter((rule) => rule.side === 'both' || rule.side === side);
  for (const leaf of inForce.length === 0 ? [] : leaves) {
    const rule = inForce.find((each) => names(each, leaf));
    if (rule === undefined) continue;
    if (parts.length === LIMITS.strippedPartsMax) return null;
    parts.push({ rule: rule.id, part: leaf.names[0] ?? leaf.type });
    if (leaf.index > 0)
      edits.push({ at: leaf.start, drop: leaf.end - leaf.start, insert: `${fields(rule)}\r\n${body(rule, leaf)}` });
    else {
      const own = ownEdits(leaf, rule, header);
      if (own === null) return null;
      edits.push(...own);
    }
  }
  return { edits: edits.sort((a, b) => a.at - b.at), parts };
}

function names({ extensions, types, names, faults }: StripRule, leaf: Leaf): boolean {
  const any = (globs: readonly string[] | undefined, values: readonly string[]): boolean =>
    globs?.some((glob) => values.some((value) => isLike(glob.toLowerCase(), value.toLowerCase()))) ?? false;
  return (
    any(extensions, leaf.extensions) || any(types, [leaf.type]) || any(names, leaf.names) || any(faults, leaf.faults)
  );
}

const fields = ({ id }: StripRule): string =>
  `Content-Type: text/plain; charset=us-ascii\r\nX-Postern-Removed: ${id}\r\n`;

/** Its last line is ended where no delimiter does it: what follows must not become part of it. */
const body = ({ notice }: StripRule, { delimited }: Leaf): string =>
  notice.replace(/\n/g, '\r\n') + (delimited ? '' : '\r\n');

/** Fields that say what the body is. */
const DESCRIBING = /^content-(?!language$)/i;

/** The message is the part. */
function ownEdits(leaf: Leaf, rule: StripRule, header: string): Edit[] | null {
  const { bodyStart, end } = leaf;
  const section = splitHeaders(header, Number.POSITIVE_INFINITY);
  if (!section.complete || section.end !== bodyStart) return null;
  const described = section.fields.filter(({ name }) => DESCRIBING.test(name));
  const dropped = described.map(({ start, end: fieldEnd }) => ({ at: start, drop: fieldEnd - start, insert: '' }));
  const last = section.fields.at(-1)?.end ?? 0;
  return [
    ...dropped,
    { at: last, drop: 0, insert: fields(rule) },
    { at: bodyStart, drop: end - bodyStart, insert: body(rule, leaf) },
  ];
}
