/**
 * The fields of a header section as the most careful reader sees them: what signatures are verified over, and what is
 * looked for in From. On top of headers.ts, which splits lines and judges nothing:
 *
 *   From        a name that is folded before its colon (RFC 5322 §4.5) is a name: some mail readers show that From
 *    : a@b
 *   rubbish     a line that is no field belongs to the one above it: readers differ, and what is added to a field that
 *               is signed can only break the signature, while a line of its own would be seen and not be signed
 */
import type { Field, HeaderSection } from './headers.ts';
import { splitHeaders } from './headers.ts';

const FOLDED_NAME = /^([\x21-\x39\x3b-\x7e]{1,200})[ \t\r\n]*:/;

/** `whole`: all of `text` was read, by an empty line or to its end; else there are too many fields. */
export type Fields = { readonly fields: readonly Field[]; readonly whole: boolean };

/** `text` is the header section, one char per byte. Names are in lower case. */
export function readFields(text: string): Fields {
  const section: HeaderSection = splitHeaders(text);
  return { fields: joined(text, section), whole: section.complete || section.end === text.length };
}

/** Of a section that is split already. */
export function joined(text: string, section: HeaderSection): readonly Field[] {
  const fields: Field[] = [];
  for (const field of section.fields) {
    if (field.name !== '') {
      const { name, value, start, valueStart, end } = field;
      fields.push({ name: name.toLowerCase(), value, start, valueStart, end });
    } else {
      const match = FOLDED_NAME.exec(field.value);
      const above = fields.at(-1);
      if (match !== null) {
        fields.push({ ...field, name: match[1]!.toLowerCase(), value: field.value.slice(match[0].length) });
      } else if (above !== undefined) {
        const between = text.slice(above.start, field.start).endsWith('\r\n') ? '\r\n' : '\n';
        fields[fields.length - 1] = { ...above, value: above.value + between + field.value, end: field.end };
      } else fields.push(field);
    }
  }
  return fields;
}
