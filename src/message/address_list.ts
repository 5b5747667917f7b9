/**
 * Where the addresses are in the value of a field like To (RFC 5322 §3.4): their places only, so that whoever changes
 * one leaves every other byte as it is: names, comments, folds, encoded words, groups.
 *
 *   "Smith, Bob" <bob@b.example>, friends: ann@a.example (Ann), <"c d"@c.example>;
 *                 └─┘ └───────┘            └─┘ └───────┘         └───┘ └───────┘  local, domain
 *
 * Tolerant: strangers wrote it. What cannot be read is passed over to the next separator. An address in a display name
 * or in a comment is none.
 */

export type AddressPlace = {
  /** Offsets in the value; a quoted local part is with its quotes. */
  readonly localStart: number;
  readonly localEnd: number;
  readonly domainStart: number;
  readonly domainEnd: number;
};

type Token = { readonly tag: 'word' | 'mark'; readonly start: number; readonly end: number };

/** At most `addressesMax` of them, in order. O(value). */
export function addressPlaces(value: string, addressesMax: number): readonly AddressPlace[] {
  const places: AddressPlace[] = [];
  const tokens = new Tokens(value);
  /** The last tokens of this mailbox, as far as an address could be made of them. */
  let words: Token[] = [];
  let found: AddressPlace | null = null;
  let angle: 'before' | 'within' | 'after' = 'before';
  const mailboxEnds = (): void => {
    if (found !== null) places.push(found);
    [found, angle, words] = [null, 'before', []];
  };
  for (let token = tokens.next(); token !== null && places.length < addressesMax; token = tokens.next()) {
    const mark = token.tag === 'mark' ? value[token.start] : '';
    if (mark === ';' || (mark === ',' && angle !== 'within')) mailboxEnds();
    else if (mark === ':' && angle === 'before')
      [found, words] = [null, []]; // the name of a group was before it
    else if (mark === '<') [found, angle, words] = [null, 'within', []];
    else if (mark === '>') angle = 'after';
    else if (mark === ',' || mark === ':')
      [found, words] = [null, []]; // a source route (RFC 5322 §4.4)
    else if (angle !== 'after') {
      words = [...words.slice(-3), token];
      found = addressOf(value, words) ?? found;
    }
  }
  if (places.length < addressesMax) mailboxEnds();
  return places;
}

/** The last three tokens, where they are local part, @ and domain. */
function addressOf(value: string, words: readonly Token[]): AddressPlace | null {
  const [local, at, domain] = words.slice(-3);
  if (local === undefined || at === undefined || domain === undefined) return null;
  if (local.tag !== 'word' || at.tag !== 'mark' || value[at.start] !== '@' || domain.tag !== 'word') return null;
  // Dots with blanks around them (RFC 5322 §4.4, obs-local-part): this is but the end of a local part.
  const before = words.length > 3 ? words[0]! : null;
  const endsInDot = before?.tag === 'word' && before.end > 0 && value[before.end - 1] === '.';
  if (endsInDot || value[local.start] === '.' || value[domain.start] === '"') return null;
  return { localStart: local.start, localEnd: local.end, domainStart: domain.start, domainEnd: domain.end };
}

/** Words (atoms with their dots, quoted strings, domain literals) and marks; blanks and comments are passed over. */
class Tokens {
  readonly #value: string;
  #at = 0;

  constructor(value: string) {
    this.#value = value;
  }

  next(): Token | null {
    const value = this.#value;
    for (let char = value[this.#at]; char !== undefined; char = value[this.#at]) {
      const start = this.#at;
      if (char === ' ' || char === '\t' || char === '\r' || char === '\n') this.#at++;
      else if (char === '(') this.#comment();
      else {
        if (char === '"') this.#at = this.#closing('"');
        else if (char === '[') this.#at = this.#closing(']');
        else if (MARKS.includes(char)) this.#at++;
        else this.#atom();
        return { tag: MARKS.includes(char) ? 'mark' : 'word', start, end: this.#at };
      }
    }
    return null;
  }

  #atom(): void {
    ATOM.lastIndex = this.#at;
    ATOM.test(this.#value);
    this.#at = Math.max(this.#at + 1, ATOM.lastIndex);
  }

  /** Behind the closing char, backslashes respected; the end of the value where there is none. */
  #closing(close: string): number {
    for (let at = this.#at + 1; at < this.#value.length; at++) {
      if (this.#value[at] === '\\') at++;
      else if (this.#value[at] === close) return at + 1;
    }
    return this.#value.length;
  }

  /** RFC 5322 §3.2.2: they nest. */
  #comment(): void {
    let depth = 0;
    for (; this.#at < this.#value.length; this.#at++) {
      const char = this.#value[this.#at];
      if (char === '\\') this.#at++;
      else if (char === '(') depth++;
      else if (char === ')' && --depth === 0) {
        this.#at++;
        return;
      }
    }
  }
}

const MARKS = '@<>,;:)]\\';
const ATOM = /[^\s()<>[\]:;@\\,"]+/y;
