/**
 * Mail whose authenticity can be verified: some made-up senders, each with a domain of its own that publishes SPF, a
 * DKIM key and a DMARC policy in `zone`, and their messages, signed once (RSA-2048, relaxed/relaxed). They share one
 * key pair; who verifies cannot know that. The stamp goes above the signature, which does not cover it, so that one
 * signed text serves any number of messages: each is verified anew.
 */
import { generateKeyPairSync } from 'node:crypto';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';
import type { Records, Zone } from './dns_server.ts';
import { plainText } from './messages.ts';
import type { Letter } from './outgoing.ts';
import { STAMP_BYTES } from './stamp.ts';

const SELECTOR = 'bench';
/** Everything on this machine. */
const SPF = 'v=spf1 ip4:127.0.0.0/8 -all';
const DMARC = 'v=DMARC1; p=reject';

export class SignedMail {
  readonly zone: Zone;
  readonly #domains: readonly string[];
  readonly #privateKey: string;

  constructor(senders: number) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = `v=DKIM1; k=rsa; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
    this.#privateKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    this.#domains = Array.from({ length: senders }, (_, index) => `signed${index}.example`);
    this.zone = Object.fromEntries(this.#domains.flatMap((domain) => recordsOf(domain, key)));
  }

  /** One of each sender, of `bytes` bytes with its stamp; the signature comes on top of that. */
  letters(bytes: number): Promise<Letter[]> {
    return Promise.all(
      this.#domains.map((domain) => {
        const from = `bench@${domain}`;
        return this.#signed(domain, { from, text: plainText(bytes - STAMP_BYTES, from) });
      }),
    );
  }

  /** Of the first sender, with this body. */
  letter(body: string): Promise<Letter> {
    const [domain = ''] = this.#domains;
    const from = `bench@${domain}`;
    const head = `From: Bench <${from}>\r\nSubject: a letter\r\nMessage-ID: <letter@${domain}>\r\n\r\n`;
    return this.#signed(domain, { from, text: Buffer.from(head + body, 'latin1') });
  }

  async #signed(domain: string, { from, text }: Letter): Promise<Letter> {
    const { signatures } = await dkimSign(text, {
      signatureData: [{ signingDomain: domain, selector: SELECTOR, privateKey: this.#privateKey }],
    } as unknown as Parameters<typeof dkimSign>[1]);
    return { from, text: Buffer.concat([Buffer.from(signatures, 'latin1'), text]) };
  }
}

const recordsOf = (domain: string, key: string): [string, Records][] => [
  [domain, { TXT: [SPF] }],
  [`${SELECTOR}._domainkey.${domain}`, { TXT: [key] }],
  [`_dmarc.${domain}`, { TXT: [DMARC] }],
];
