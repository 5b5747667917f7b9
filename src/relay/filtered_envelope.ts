/** The envelope as content filters are told of it. */
import type { TLSSocket } from 'node:tls';
import type { Subject } from '../facts/source.ts';
import type { FilteredEnvelope } from '../filters/filter.ts';
import type { OpenEnvelope } from '../filters/panel.ts';
import type { Facts } from '../policy/facts.ts';
import type { MailCommand } from '../smtp/command.ts';
import type { Hello } from '../smtp/session.ts';

/** What is known at MAIL of who says it. */
export type Told = {
  readonly command: MailCommand;
  readonly hello: Hello | null;
  readonly tls: FilteredEnvelope['tls'];
};

/** Node does not tell the bits, but the names of all ciphers in use do. */
export function filteredTls(secure: TLSSocket | null): FilteredEnvelope['tls'] {
  if (secure === null) return null;
  const cipher = secure.getCipher()?.name ?? '';
  const bits = /CHACHA20|AES_?256/.test(cipher) ? 256 : /AES_?128/.test(cipher) ? 128 : 0;
  return { version: secure.getProtocol() ?? '', cipher, bits };
}

export function filteredEnvelope(
  { side, address, identity }: Subject,
  known: Facts,
  { command: { sender, smtpUtf8 }, hello, tls }: Told,
  ours: { readonly id: string; readonly hostname: string },
): OpenEnvelope {
  const pointer = known['client.name'] ?? null;
  return {
    ...ours,
    side,
    client: { address, port: 0, name: known['client.confirmed'] === true ? pointer : null, pointer },
    helo: hello?.client ?? '',
    extended: hello?.verb === 'EHLO',
    tls,
    user: identity ?? null,
    sender,
    smtpUtf8,
  };
}
