/**
 * Addresses rewritten by a table, in both directions: mail that goes out shows the outside form of inside addresses,
 * mail that comes in has them back. In the envelope before routing, and in the header as edits.
 *
 *              inside                      outside
 *   address    alice@corp.local     ◄──►   alice.smith@example.org
 *   domain     @corp.local          ◄──►   @example.org
 *   masquerade @mail7.example.org    ──►   @example.org              outwards only: many become one
 *
 * An address goes before a domain, a domain before masquerading; what came out is not looked up again. Signatures are
 * verified over the content as it came, before the edits; whoever signs for us signs the outside form.
 */
import { addressPlaces } from './address_list.ts';
import type { Edit } from './envelope.ts';
import type { HeaderSection } from './headers.ts';

export type Direction = 'outwards' | 'inwards';
export type Pair = { readonly inside: string; readonly outside: string };

export type RewritingRules = {
  /** `local@domain`, ASCII. */
  readonly addresses: readonly Pair[];
  /** Without @. */
  readonly domains: readonly Pair[];
  /** Domains that stand for all of their subdomains on the way out. */
  readonly masquerade: readonly string[];
};

/** RFC 5322 §3.6.2, §3.6.3, §3.6.6 and what is made of them; in lower case. */
const FIELDS: ReadonlySet<string> = new Set(
  (
    'from sender reply-to to cc bcc resent-from resent-sender resent-reply-to resent-to resent-cc resent-bcc ' +
    'return-path disposition-notification-to errors-to'
  ).split(' '),
);

/** Addresses of a message beyond stay as they are: nobody writes so many, and each may be an edit in the journal. */
export const ADDRESSES_REWRITTEN_MAX = 5000;

export class Rewriting {
  readonly #addresses: Readonly<Record<Direction, ReadonlyMap<string, string>>>;
  readonly #domains: Readonly<Record<Direction, ReadonlyMap<string, string>>>;
  readonly #masquerade: ReadonlySet<string>;

  /** Sound by `clashes`. */
  constructor({ addresses, domains, masquerade }: RewritingRules) {
    this.#addresses = both(addresses);
    this.#domains = both(domains);
    this.#masquerade = new Set(masquerade.map((domain) => domain.toLowerCase()));
  }

  /** An address of the envelope; itself where the table has nothing about it. */
  address(address: string, direction: Direction): string {
    const at = address.lastIndexOf('@');
    if (at < 1) return address; // the null sender, Postmaster
    const [local, domain] = [address.slice(0, at), address.slice(at + 1)];
    const to = this.#rewritten(local, domain, direction);
    return to === null ? address : `${to.local}@${to.domain}`;
  }

  /** Of all addresses in the fields that have some. Sound, and in order. O(section). */
  edits({ fields }: HeaderSection, direction: Direction): readonly Edit[] {
    const edits: Edit[] = [];
    let left = ADDRESSES_REWRITTEN_MAX;
    for (const { name, value, valueStart } of fields) {
      if (left === 0 || !FIELDS.has(name.toLowerCase())) continue;
      const places = addressPlaces(value, left);
      left -= places.length;
      for (const { localStart, localEnd, domainStart, domainEnd } of places) {
        const local = value.slice(localStart, localEnd);
        const domain = value.slice(domainStart, domainEnd);
        const to = this.#rewritten(local, domain, direction);
        if (to === null) continue;
        if (to.local !== local) edits.push({ at: valueStart + localStart, drop: local.length, insert: to.local });
        if (to.domain !== domain) edits.push({ at: valueStart + domainStart, drop: domain.length, insert: to.domain });
      }
    }
    return edits;
  }

  #rewritten(local: string, domain: string, direction: Direction): { local: string; domain: string } | null {
    const lower = domain.toLowerCase();
    const whole = this.#addresses[direction].get(`${unquoted(local).toLowerCase()}@${lower}`);
    if (whole !== undefined) {
      const at = whole.lastIndexOf('@');
      return { local: whole.slice(0, at), domain: whole.slice(at + 1) };
    }
    const to = this.#domains[direction].get(lower) ?? (direction === 'outwards' ? this.#parentOf(lower) : undefined);
    return to === undefined ? null : { local, domain: to };
  }

  #parentOf(domain: string): string | undefined {
    for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1)) {
      const parent = domain.slice(dot + 1);
      if (this.#masquerade.has(parent)) return parent;
    }
    return undefined;
  }
}

const both = (pairs: readonly Pair[]) => ({
  outwards: new Map(pairs.map(({ inside, outside }) => [inside.toLowerCase(), outside])),
  inwards: new Map(pairs.map(({ inside, outside }) => [outside.toLowerCase(), inside])),
});

/** `"bob"@…` is bob. */
const unquoted = (local: string): string =>
  local.startsWith('"') && local.endsWith('"') && local.length > 1
    ? local.slice(1, -1).replace(/\\(.)/gs, '$1')
    : local;

/**
 * `twice`: an inside has two outsides, or the other way round, and mail would not find its way back; the table is not
 * to be used. `shadows`: by the row of its domain another inside address would have this outside form, too, and mail to
 * it goes to this row's; well if nobody has that address.
 */
export type Clash = {
  readonly kind: 'twice' | 'shadows';
  readonly at: readonly ['addresses' | 'domains', number];
  readonly address: string;
};

export function clashes({ addresses, domains }: RewritingRules): readonly Clash[] {
  const found = [...twice('addresses', addresses), ...twice('domains', domains)];
  const insides = new Set(addresses.map(({ inside }) => inside.toLowerCase()));
  const domainsIn = both(domains).inwards;
  for (const [index, { inside, outside }] of addresses.entries()) {
    const at = outside.lastIndexOf('@');
    const domain = domainsIn.get(outside.slice(at + 1).toLowerCase());
    const other = `${outside.slice(0, at)}@${domain ?? ''}`.toLowerCase();
    if (domain !== undefined && other !== inside.toLowerCase() && !insides.has(other))
      found.push({ kind: 'shadows', at: ['addresses', index], address: other });
  }
  return found;
}

function twice(kind: 'addresses' | 'domains', pairs: readonly Pair[]): Clash[] {
  const seen = { inside: new Set<string>(), outside: new Set<string>() };
  const found: Clash[] = [];
  for (const [index, pair] of pairs.entries()) {
    for (const side of ['inside', 'outside'] as const) {
      const address = pair[side].toLowerCase();
      if (seen[side].has(address)) found.push({ kind: 'twice', at: [kind, index], address });
      seen[side].add(address);
    }
  }
  return found;
}
