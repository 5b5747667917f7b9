/**
 * What rules want of one transaction's message beside letting it pass: header fields, and other servers. At rcpt a
 * route is of one recipient; at headers and data it is of all of them, those that a filter has added as well, and goes
 * before: a later stage knows more.
 */
import type { Recipient } from '../message/envelope.ts';
import type { Stage } from '../policy/facts.ts';
import type { Verdict } from '../policy/rules.ts';

export class RuleWishes {
  /** For the top of the message. */
  fields = '';
  /** Whom the rules of rcpt are asked about. */
  about: Recipient | null = null;
  #own: Map<Recipient, string> | null = null;
  #all: string | null = null;

  /** What the rules of a stage have said. */
  note(stage: Stage, { tags, route }: Verdict): void {
    for (const { header, value } of tags) this.fields += `${header}: ${value}\r\n`;
    if (route === null) return;
    if (stage !== 'rcpt') {
      this.#all = route;
      return;
    }
    this.#own ??= new Map();
    this.#own.set(this.about!, route);
  }

  /** The transaction's recipients, the same ones that `about` was set to, with their own routes. */
  ofEach(recipients: readonly Recipient[]): readonly Recipient[] {
    const own = this.#own;
    return own === null ? recipients : recipients.map((each) => sent(each, own.get(each)));
  }

  /** Any recipients, with the route of the message. */
  ofAll(recipients: readonly Recipient[]): readonly Recipient[] {
    const route = this.#all;
    return route === null ? recipients : recipients.map((each) => sent(each, route));
  }
}

const sent = (recipient: Recipient, route: string | undefined): Recipient =>
  route === undefined ? recipient : { ...recipient, route };
