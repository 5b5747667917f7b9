/**
 * The header firewall: fields that must not pass in this direction, and what is hidden in those that may. Pure, as
 * edits over the header section of the content as it came; signatures are verified before, and over all of it.
 *
 *   X-MS-Exchange-Organization-SCL: -1            removed: its name is like one of the patterns
 *   Received: from pc7.corp.local ([10.1.2.3])    masked:  from hidden.invalid ([0.0.0.0])
 *       by mail.example.org; Tue, 24 Nov …                   by mail.example.org; Tue, 24 Nov …
 *
 * What lies behind the end of `section` has not been seen: where it is not complete the caller refuses the message, or
 * lets pass what it may hold.
 */
import { isLike } from '../base/glob.ts';
import type { Edit } from './envelope.ts';
import type { Field, HeaderSection } from './headers.ts';

export type FirewallRules = {
  /** Names and globs, in any case. */
  readonly remove: readonly string[];
  /** Names and globs that stay all the same. */
  readonly keep: readonly string[];
  /** Received fields that show the inside: stay, lose its names and addresses, or go. */
  readonly received: 'keep' | 'mask' | 'remove';
  /** Globs of host names that are not to be seen. */
  readonly hideNames: readonly string[];
  /** The address is not to be seen; asked for what may be an address, and false for what is none. */
  readonly isHidden: (address: string) => boolean;
};

export class Firewall {
  readonly #remove: Names;
  readonly #keep: Names;
  readonly #rules: FirewallRules;
  readonly #hideNames: readonly string[];
  /** Of a section, that it may hold something to take out or to hide. */
  readonly #suspect: RegExp;

  constructor(rules: FirewallRules) {
    this.#remove = new Names(rules.remove);
    this.#keep = new Names(rules.keep);
    this.#rules = rules;
    this.#hideNames = rules.hideNames.map((name) => name.toLowerCase());
    this.#suspect = lineBeginningWith([...rules.remove, ...(rules.received === 'keep' ? [] : TRACES)]);
  }

  /** Sound, and in order. O(section × patterns). `header` is split only where a line of it begins like a name. */
  edits(header: string, section: () => HeaderSection): readonly Edit[] {
    if (!this.#suspect.test(header)) return NONE;
    const edits: Edit[] = [];
    for (const field of section().fields) {
      const name = field.name.toLowerCase();
      if (this.#remove.have(name) && !this.#keep.have(name))
        edits.push({ at: field.start, drop: field.end - field.start, insert: '' });
      else if (TRACES.has(name) && this.#rules.received !== 'keep') edits.push(...this.#hidden(field));
    }
    return edits;
  }

  #hidden(field: Field): Edit[] {
    const edits: Edit[] = [];
    for (const match of field.value.matchAll(WORD)) {
      const mask = this.#maskOf(match[0]);
      if (mask !== null) edits.push({ at: field.valueStart + match.index, drop: match[0].length, insert: mask });
    }
    if (edits.length === 0 || this.#rules.received === 'mask') return edits;
    return [{ at: field.start, drop: field.end - field.start, insert: '' }];
  }

  /** What stands in place of a word that shows the inside, or null. */
  #maskOf(word: string): string | null {
    const tag = /^ipv6:/i.exec(word)?.[0] ?? '';
    const address = word.slice(tag.length);
    if (QUADS.test(address)) return this.#rules.isHidden(address) ? '0.0.0.0' : null;
    if (SEXTETS.test(address)) return this.#rules.isHidden(address) ? `${tag}::` : null;
    const name = word.toLowerCase().replace(/[.:-]+$/, '');
    return this.#hideNames.some((pattern) => isLike(pattern, name)) ? 'hidden.invalid' : null;
  }
}

/** Of names and globs, what stands before the first that varies. Most mail has no such line. */
function lineBeginningWith(names: readonly string[]): RegExp {
  const beginnings = names.map((name) => RegExp.escape(name.split(/[*?]/, 1)[0]!));
  return new RegExp(`^(?:${beginnings.join('|')})`, 'im');
}

/** A set of names and globs. */
class Names {
  readonly #names: ReadonlySet<string>;
  readonly #globs: readonly string[];

  constructor(names: readonly string[]) {
    const lower = names.map((name) => name.toLowerCase());
    this.#names = new Set(lower.filter((name) => !/[*?]/.test(name)));
    this.#globs = lower.filter((name) => /[*?]/.test(name));
  }

  /** `name` in lower case; '' is a line that is no field. */
  have(name: string): boolean {
    return name !== '' && (this.#names.has(name) || this.#globs.some((glob) => isLike(glob, name)));
  }
}

const NONE: readonly Edit[] = [];
const TRACES: ReadonlySet<string> = new Set(['received', 'x-received']);
/** Names, addresses, and much else. */
const WORD = /[\w.:-]+/g;
const QUADS = /^\d{1,3}(?:\.\d{1,3}){3}$/;
/** IPv6, but no time of day. */
const SEXTETS = /^(?=[0-9a-fA-F:.]{2,45}$)(?:.*::.*|(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4})$/;
