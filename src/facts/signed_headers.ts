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
  // Most values have words with one SP between them: replacing each by itself costs more than all the rest.
  const text = /\t| {2}/.test(unfolded) ? unfolded.replace(/[ \t]+/g, ' ') : unfolded;
  const from = text.startsWith(' ') ? 1 : 0;
  const to = text.length > from && text.endsWith(' ') ? text.length - 1 : text.length;
  return `${name}:${text.slice(from, to)}`;
};

/** Fields of one name: the lowest one, and the lowest that a signature has not taken, or -1. */
type Chain = { lowest: number; left: number };

export class SignedHeaders {
  readonly #text: string;
  readonly #fields: readonly Field[];
  /** By name; null until a signature holds so far that it is needed. */
  #chains: Map<string, Chain> | null = null;
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
    this.#chains ??= this.#linked();
    for (const chain of this.#chains.values()) chain.left = chain.lowest;
    let text = '';
    for (const name of names) {
      const chain = this.#chains.get(name);
      if (chain === undefined || chain.left === -1) continue;
      const at = chain.left;
      chain.left = this.#above[at]!;
      text += this.#canonical(at, canonicalisation);
    }
    if (canonicalisation === 'relaxed') return text + relaxedField(own.name, withoutSignature(own.value));
    const raw = this.#raw(own);
    const colon = raw.indexOf(':') + 1;
    return text + raw.slice(0, colon) + withoutSignature(raw.slice(colon).replace(/\r\n$/, ''));
  }

  #linked(): Map<string, Chain> {
    const chains = new Map<string, Chain>();
    for (const [at, { name }] of this.#fields.entries()) {
      const chain = chains.get(name);
      this.#above.push(chain?.lowest ?? -1);
      if (chain === undefined) chains.set(name, { lowest: at, left: at });
      else chain.lowest = at;
    }
    return chains;
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
