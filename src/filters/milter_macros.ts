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

/** What a value is taken from. */
type Told = {
  readonly envelope: FilteredEnvelope;
  readonly daemonName: string;
  readonly recipient: string | null;
  /** Recipients that were accepted so far. */
  readonly recipients: number;
};

/** The name where it is confirmed, else the address in brackets, as Sendmail writes it. */
export const clientName = ({ client }: FilteredEnvelope): string => client.name ?? `[${client.address}]`;

const known = (number: number): string | null => (number === 0 ? null : String(number));
const mailboxOf = (address: string) => parsePath(`<${address}>`)?.mailbox ?? null;

/** RFC 5321 §4.1.2, without quotes that it does not need. */
function plain(address: string): string {
  const mailbox = mailboxOf(address);
  return mailbox === null ? address : printMailbox(mailbox);
}

/** Null: nothing is told. */
type Value = (told: Told) => string | null;

const VALUES: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['j', ({ envelope }) => envelope.hostname],
  ['i', ({ envelope }) => envelope.id],
  ['v', () => 'Postern'],
  ['_', ({ envelope }) => `${clientName(envelope)} [${envelope.client.address}]`],
  ['{daemon_name}', ({ daemonName }) => daemonName],
  ['{client_addr}', ({ envelope }) => envelope.client.address],
  ['{client_port}', ({ envelope }) => known(envelope.client.port)],
  ['{client_name}', ({ envelope }) => clientName(envelope)],
  ['{client_ptr}', ({ envelope }) => envelope.client.pointer ?? 'unknown'],
  ['{client_resolve}', ({ envelope: { client } }) => resolved(client)],
  ['{tls_version}', ({ envelope }) => envelope.tls?.version ?? null],
  ['{cipher}', ({ envelope }) => envelope.tls?.cipher ?? null],
  ['{cipher_bits}', ({ envelope }) => known(envelope.tls?.bits ?? 0)],
  ['{auth_authen}', ({ envelope }) => envelope.user],
  ['{auth_type}', ({ envelope }) => (envelope.user === null ? null : 'PLAIN')],
  ['{mail_addr}', ({ envelope }) => plain(envelope.sender)],
  ['{mail_host}', ({ envelope }) => mailboxOf(envelope.sender)?.domain ?? null],
  ['{mail_mailer}', () => 'smtp'],
  ['{rcpt_addr}', ({ recipient }) => (recipient === null ? null : plain(recipient))],
  ['{rcpt_host}', ({ recipient }) => (recipient === null ? null : (mailboxOf(recipient)?.domain ?? null))],
  ['{rcpt_mailer}', ({ recipient }) => (recipient === null ? null : 'smtp')],
  ['{nrcpts}', ({ recipients }) => String(recipients)],
]);

const resolved = ({ name, pointer }: FilteredEnvelope['client']): string =>
  name !== null ? 'OK' : pointer === null ? 'FAIL' : 'FORGED';

export class Macros {
  readonly #envelope: FilteredEnvelope;
  readonly #daemonName: string;
  readonly #lists: MacroLists;
  /** Accepted so far. */
  recipients = 0;

  constructor(envelope: FilteredEnvelope, daemonName: string, lists: MacroLists) {
    this.#envelope = envelope;
    this.#daemonName = daemonName;
    this.#lists = lists;
  }

  /** The packet that stands before the command, or null where there is nothing to tell. */
  before(stage: MacroStage & Command, recipient: string | null = null): Buffer | null {
    const told = { envelope: this.#envelope, daemonName: this.#daemonName, recipient, recipients: this.recipients };
    const macros: string[] = [];
    for (const name of this.#lists.get(stage) ?? DEFAULTS[stage]) {
      const value = VALUES.get(name)?.(told) ?? null;
      if (value !== null) macros.push(name, value);
    }
    return macros.length === 0 ? null : macroPacket(stage, macros);
  }
}
