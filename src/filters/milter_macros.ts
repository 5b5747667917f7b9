/**
 * Macros: what a milter is told beside the arguments of a command, by Sendmail's names. Without a value none is sent.
 * Where a filter has not named those it wants, it gets what Postfix sends by default, and the client's.
 */
import { parsePath, printMailbox } from '../smtp/address.ts';
import type { FilteredEnvelope } from './filter.ts';
import type { MacroLists, MacroStage } from './milter_options.ts';
import type { Command } from './milter_packets.ts';
import { macroPacket } from './milter_packets.ts';

const DEFAULTS: Record<MacroStage, readonly string[]> = {
  connect: ['j', '{daemon_name}', 'v', '_', '{client_addr}', '{client_name}', '{client_port}', '{client_ptr}'],
  helo: ['{tls_version}', '{cipher}', '{cipher_bits}'],
  mail: ['i', '{auth_type}', '{auth_authen}', '{mail_addr}', '{mail_host}', '{mail_mailer}'],
  rcpt: ['{rcpt_addr}', '{rcpt_host}', '{rcpt_mailer}'],
  data: ['i'],
  endOfHeaders: ['i'],
  endOfBody: ['i'],
};

type Values = Readonly<Record<string, string | null>>;

export class Macros {
  readonly #session: Values;
  readonly #lists: MacroLists;
  /** Accepted so far. */
  recipients = 0;

  constructor(envelope: FilteredEnvelope, daemonName: string, lists: MacroLists) {
    this.#session = sessionValues(envelope, daemonName);
    this.#lists = lists;
  }

  /** The packet that stands before the command, or null where there is nothing to tell. */
  before(stage: MacroStage & Command, recipient: string | null = null): Buffer | null {
    const own: Values = {
      ...(recipient === null ? {} : mailboxValues('rcpt', recipient)),
      '{nrcpts}': String(this.recipients),
    };
    const macros: [string, string][] = [];
    for (const name of this.#lists.get(stage) ?? DEFAULTS[stage]) {
      const value = own[name] ?? this.#session[name] ?? null;
      if (value !== null) macros.push([name, value]);
    }
    return macros.length === 0 ? null : macroPacket(stage, macros);
  }
}

/** The name where it is confirmed, else the address in brackets, as Sendmail writes it. */
export const clientName = ({ client }: FilteredEnvelope): string => client.name ?? `[${client.address}]`;

const known = (number: number): string | null => (number === 0 ? null : String(number));

function sessionValues(envelope: FilteredEnvelope, daemonName: string): Values {
  const { client, tls, user } = envelope;
  return {
    ...mailboxValues('mail', envelope.sender),
    j: envelope.hostname,
    i: envelope.id,
    v: 'Postern',
    _: `${clientName(envelope)} [${client.address}]`,
    '{daemon_name}': daemonName,
    '{client_addr}': client.address,
    '{client_port}': known(client.port),
    '{client_name}': clientName(envelope),
    '{client_ptr}': client.pointer ?? 'unknown',
    '{client_resolve}': client.name !== null ? 'OK' : client.pointer === null ? 'FAIL' : 'FORGED',
    '{tls_version}': tls?.version ?? null,
    '{cipher}': tls?.cipher ?? null,
    '{cipher_bits}': known(tls?.bits ?? 0),
    '{auth_authen}': user,
    '{auth_type}': user === null ? null : 'PLAIN',
  };
}

function mailboxValues(which: 'mail' | 'rcpt', address: string): Values {
  const mailbox = parsePath(`<${address}>`)?.mailbox ?? null;
  return {
    [`{${which}_addr}`]: mailbox === null ? address : printMailbox(mailbox),
    [`{${which}_host}`]: mailbox?.domain ?? null,
    [`{${which}_mailer}`]: 'smtp',
  };
}
