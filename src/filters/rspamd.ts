/** rspamd: POST /checkv2, the message as the body, what is known of it in headers. Its answer: rspamd_answer.ts. */
import type { FilterConfigOf } from '../config/filters.ts';
import type { BodyBudget } from './changes.ts';
import { Changes } from './changes.ts';
import type { FilteredEnvelope, Findings } from './filter.ts';
import { FilterFailure } from './filter.ts';
import { HttpClient } from './http.ts';
import type { Protocol, Subject } from './protocol.ts';
import { findingsOf } from './rspamd_answer.ts';
import type { FilterNet } from './wire.ts';

export class Rspamd implements Protocol {
  readonly #client: HttpClient;
  readonly #budget: BodyBudget;
  readonly #password: string | undefined;

  constructor(config: FilterConfigOf<'rspamd'>, net: FilterNet, budget: BodyBudget) {
    this.#client = new HttpClient(config, net);
    this.#budget = budget;
    this.#password = config.password;
  }

  async examine(subject: Subject): Promise<Findings> {
    const { status, answer } = await this.#client.post(subject, this.#headers(subject.envelope), null);
    if (status !== 200) throw new FilterFailure('error', `status ${status}`);
    return findingsOf(answer, new Changes(this.#budget));
  }

  #headers(envelope: FilteredEnvelope): string[] {
    const { client, tls, user, recipients } = envelope;
    const pairs: [string, string | null | undefined][] = [
      ['Content-Type', 'message/rfc822'],
      ['Password', this.#password],
      ['IP', client.address],
      ['Hostname', client.name],
      ['Helo', envelope.helo],
      ['From', envelope.sender === '' ? '<>' : envelope.sender],
      ...recipients.map((address): [string, string] => ['Rcpt', address]),
      ['Deliver-To', recipients.length === 1 ? recipients[0] : null],
      ['User', user],
      ['Queue-Id', envelope.id],
      ['MTA-Name', envelope.hostname],
      ['TLS-Version', tls?.version],
      ['TLS-Cipher', tls?.cipher],
    ];
    return pairs.flatMap(([name, value]) =>
      value === null || value === undefined || value === '' ? [] : [name, value],
    );
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
