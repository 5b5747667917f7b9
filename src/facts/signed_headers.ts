/**
 * The bytes that a signature of header fields is made over (RFC 6376 §3.4.1, §3.4.2, §3.7, §5.4.2), and that ARC
 * seals are (RFC 8617 §5.1.1). Pure; text is one char per byte. Each field is canonicalised once, whatever the number
 * of signatures.
 */
import type { Field } from '../message/headers.ts';
import type { Canonicalisation } from '../scanner/body_hasher.ts';
import { withoutSignature } from './tags.ts';

/** Name in lower case, no blanks round the colon, lines unfolded, runs of blanks one SP, none at the end. */
export const relaxedField = (name: string, value: string): string => {
  const unfolded = value.includes('\n') ? value.replace(/\r?\n/g, '') : value;
  return `${name}:${unfolded.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '')}`;
};

export class SignedHeaders {
  readonly #text: string;
  readonly #fields: readonly Field[];
  /** By name, the lowest one of the section; null until a signature holds so far that it is needed. */
  #lowest: Map<string, number> | null = null;
  /** Of each field, the next one of its name above it, or -1. */
  readonly #above: number[] = [];
  readonly #relaxed: string[] = [];

  constructor(text: string, fields: readonly Field[]) {
    this.#text = text;
    this.#fields = fields;
  }

  /**
   * The fields that `names` lists, each name taking the lowest one left, and nothing where none is left: so a name
   * that is listed once more than it occurs keeps others from being added; then the signature's own field without b=.
   */
  signed(names: readonly string[], own: Field, canonicalisation: Canonicalisation): string {
    this.#lowest ??= this.#linked();
    const left = new Map(this.#lowest);
    let text = '';
    for (const name of names) {
      const at = left.get(name) ?? -1;
      if (at === -1) continue;
      left.set(name, this.#above[at]!);
      text += this.#canonical(at, canonicalisation);
    }
    if (canonicalisation === 'relaxed') return text + relaxedField(own.name, withoutSignature(own.value));
    const raw = this.#raw(own);
    const colon = raw.indexOf(':') + 1;
    return text + raw.slice(0, colon) + withoutSignature(raw.slice(colon).replace(/\r\n$/, ''));
  }

  #linked(): Map<string, number> {
    const lowest = new Map<string, number>();
    this.#fields.forEach(({ name }, at) => {
      this.#above.push(lowest.get(name) ?? -1);
      lowest.set(name, at);
    });
    return lowest;
  }

  #canonical(at: number, canonicalisation: Canonicalisation): string {
    const field = this.#fields[at]!;
    if (canonicalisation === 'simple') return this.#raw(field);
    this.#relaxed[at] ??= `${relaxedField(field.name, field.value)}\r\n`;
    return this.#relaxed[at];
  }

  #raw(field: Field): string {
    const text = this.#text.slice(field.start, field.end);
    return text.endsWith('\r\n') ? text : `${text}\r\n`;
  }
}
