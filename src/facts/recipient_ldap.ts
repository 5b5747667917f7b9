/**
 * A directory asked over LDAP: is there an entry, below `base`, of which an attribute equals the address? A few
 * connections, bound once each, one question at a time on each; one that fails is closed, and the next question opens
 * another. Addresses go as values of a filter in BER: nothing in them can be taken for syntax.
 */

import type * as Ldapts from 'ldapts';
import { lazily } from '../base/lazy.ts';
import type { LdapText } from '../config/policy/recipients.ts';
import type { Dns } from '../net/dns.ts';
import { connectBy, lookupBy } from '../net/lookup.ts';
import type { Directory, Knowledge } from './recipients.ts';

const LDAPTS = lazily<typeof Ldapts>('ldapts');

/** There are more entries than the one that we asked for (RFC 4511 §4.1.9): so there is one. */
const SIZE_LIMIT_EXCEEDED = 4;
const LATE: Knowledge = { trouble: 'no answer in time' };

export class LdapDirectory implements Directory {
  readonly #settings: LdapText;
  readonly #dns: Dns;
  readonly #idle: Ldapts.Client[] = [];
  readonly #waiting: (() => void)[] = [];
  #open = 0;
  #closed = false;

  constructor(settings: LdapText, dns: Dns) {
    this.#settings = settings;
    this.#dns = dns;
  }

  async knows(address: string): Promise<Knowledge> {
    const { promise: late, resolve } = Promise.withResolvers<Knowledge>();
    const given = { up: false };
    const timer = setTimeout(() => {
      given.up = true;
      resolve(LATE);
    }, this.#settings.timeoutMs);
    const knowledge = await Promise.race([this.#ask(address, given), late]);
    clearTimeout(timer);
    return knowledge;
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#idle.splice(0)) unbind(client);
  }

  async #ask(address: string, given: { readonly up: boolean }): Promise<Knowledge> {
    if (this.#open >= this.#settings.connectionsMax) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#open++;
    try {
      return given.up ? LATE : await this.#search(address);
    } finally {
      const next = this.#waiting.shift(); // takes over our place
      if (next === undefined) this.#open--;
      else next();
    }
  }

  async #search(address: string): Promise<Knowledge> {
    const kept = this.#idle.pop();
    // The server closes connections that are old: that says nothing about the next one.
    for (const client of kept === undefined ? [null] : [kept, null]) {
      const outcome = await this.#searchBy(client, address);
      if (outcome !== 'spent') return outcome;
    }
    return { trouble: 'the directory hangs up' };
  }

  async #searchBy(kept: Ldapts.Client | null, address: string): Promise<Knowledge | 'spent'> {
    if (kept !== null && !kept.isConnected) return 'spent';
    let client: Ldapts.Client | null = kept;
    try {
      client ??= await this.#connect();
      const { searchEntries } = await client.search(this.#settings.base, {
        scope: 'sub',
        filter: filterOf(this.#settings, address),
        attributes: ['1.1'], // RFC 4511 §4.5.1.8: none
        sizeLimit: 1,
        timeLimit: Math.ceil(this.#settings.timeoutMs / 1000),
      });
      this.#keep(client);
      return { known: searchEntries.length > 0 };
    } catch (error) {
      if (error instanceof LDAPTS().ResultCodeError && client !== null) {
        this.#keep(client);
        if (error.code === SIZE_LIMIT_EXCEEDED) return { known: true };
        return { trouble: `the directory says ${error.name} (${error.code})` };
      }
      if (client !== null) unbind(client);
      if (kept !== null) return 'spent';
      const { code, name } = error as NodeJS.ErrnoException;
      return { trouble: `the directory cannot be asked (${code ?? name})` };
    }
  }

  async #connect(): Promise<Ldapts.Client> {
    const { url, ca, startTls, bindDn, password, timeoutMs } = this.#settings;
    const trust = ca === undefined ? {} : { ca };
    const client = new (LDAPTS().Client)({
      url,
      timeout: timeoutMs,
      connectTimeout: timeoutMs,
      createConnection: connectBy(this.#dns) as never, // of net.connect's many forms this is the one that is used
      // With TLS options it would speak TLS at once, whatever the URL says.
      ...(url.startsWith('ldaps:') ? { tlsOptions: { ...trust, lookup: lookupBy(this.#dns) } as object } : {}),
    });
    try {
      if (startTls) await client.startTLS({ ...trust, host: hostOf(url) });
      await client.bind(bindDn, password);
    } catch (error) {
      unbind(client);
      throw error;
    }
    return client;
  }

  #keep(client: Ldapts.Client): void {
    if (this.#closed) unbind(client);
    else this.#idle.push(client);
  }
}

/** Without the brackets of an IPv6 address: the certificate is checked against it. */
const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$/g, '');

const unbind = (client: Ldapts.Client): void => {
  client.unbind().catch(() => {});
};

function filterOf({ match, objectClass }: LdapText, address: string): Ldapts.AndFilter | Ldapts.OrFilter {
  const filters = match.map(
    ({ attribute, prefix }) => new (LDAPTS().EqualityFilter)({ attribute, value: prefix + address }),
  );
  const any = new (LDAPTS().OrFilter)({ filters });
  if (objectClass === undefined) return any;
  return new (LDAPTS().AndFilter)({
    filters: [new (LDAPTS().EqualityFilter)({ attribute: 'objectClass', value: objectClass }), any],
  });
}
