/**
 * Mail that looks like mail: deterministic, so that any message can be made again from seed and number and compared
 * byte by byte. Every text ends with CRLF and has no bare CR or LF; a stamp's line is put before it (stamp.ts).
 */
import { base64, paragraph, quotedPrintable, type Random, random, words } from './text.ts';

export type SampleKind =
  | 'short text'
  | 'long text'
  | 'dots'
  | 'long lines'
  | '8-bit'
  | 'alternative'
  | 'attachment'
  | 'large attachment'
  | 'nested'
  | 'no body';

export type Sample = {
  readonly kind: SampleKind;
  readonly from: string;
  readonly to: readonly string[];
  /** Holds bytes above 127: sent with BODY=8BITMIME. */
  readonly eightBit: boolean;
  readonly text: Buffer;
};

export type Correspondents = {
  readonly senderDomains: readonly string[];
  readonly recipientDomains: readonly string[];
};

/** Of a hundred messages: mostly text and HTML, a few attachments, and what breaks careless relays. */
const KINDS: readonly (readonly [kind: SampleKind, share: number])[] = [
  ['short text', 22],
  ['long text', 12],
  ['dots', 12],
  ['long lines', 8],
  ['8-bit', 12],
  ['alternative', 16],
  ['attachment', 10],
  ['nested', 4],
  ['no body', 2],
  ['large attachment', 2],
];
const RECIPIENTS = [1, 1, 1, 1, 1, 1, 2, 2, 3, 5];
/** Of one message. */
export const SAMPLE_RECIPIENTS_MAX = Math.max(...RECIPIENTS);
const DATE = 'Tue, 24 Nov 2026 09:30:00 +0100';

/** Header and body of `bytes` bytes in all: one text part of 76-column lines. */
export function plainText(bytes: number, from = 'bench@source.example'): Buffer {
  const header =
    `From: Bench <${from}>\r\nTo: Sink <user0@example.org>\r\nSubject: load\r\n` +
    `Date: ${DATE}\r\nMessage-ID: <load@source.example>\r\nMIME-Version: 1.0\r\n` +
    'Content-Type: text/plain; charset=us-ascii\r\n\r\n';
  const line = `${'The quick brown fox jumps over the lazy dog and files its report. '.padEnd(76, '0123456789')}\r\n`;
  const bodyBytes = bytes - header.length;
  if (bodyBytes < 2) throw new Error(`a message of ${bytes} bytes has no room for its header`);
  const body = Buffer.alloc(bodyBytes, line);
  // The cut may leave half a line end: the last three bytes are set so that none is bare.
  body.write('0\r\n'.slice(bodyBytes === 2 ? 1 : 0), Math.max(0, bodyBytes - 3), 'latin1');
  if (body[bodyBytes - 4] === 13) body[bodyBytes - 4] = 48;
  return Buffer.concat([Buffer.from(header, 'latin1'), body]);
}

/** Message `number` of the series `seed`. */
export function sample(seed: number, number: number, who: Correspondents): Sample {
  const chance = chanceOf(seed, number);
  const kind = kindOf(number);
  const { from, to } = envelope(chance, number, who);
  const { header, body } = content(kind, chance, number);
  const subject =
    kind === '8-bit' ? '=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_M=C3=BCnchen?=' : words(chance, 3 + chance.below(6));
  const head = [
    `From: ${words(chance, 2)} <${from}>`,
    `To: ${to.map((one) => `<${one}>`).join(',\r\n\t')}`,
    `Subject: ${subject}`,
    `Date: ${DATE}`,
    `Message-ID: <${seed}.${number}@${who.senderDomains[0]}>`,
    'MIME-Version: 1.0',
    ...header,
  ].join('\r\n');
  const text = Buffer.from(body === undefined ? `${head}\r\n` : `${head}\r\n\r\n${body}`, 'utf8');
  return { kind, from, to, eightBit: text.some((byte) => byte > 127), text };
}

/** Who gets message `number` of the series `seed`: in a moment, since the text is not made. */
export const recipientsOf = (seed: number, number: number, who: Correspondents): readonly string[] =>
  envelope(chanceOf(seed, number), number, who).to;

const chanceOf = (seed: number, number: number): Random => random(seed * 1_000_003 + number);

/** The first that is drawn. */
function envelope(chance: Random, number: number, who: Correspondents): Pick<Sample, 'from' | 'to'> {
  return { from: address(chance, who.senderDomains, number), to: recipients(chance, who.recipientDomains) };
}

/** Kinds are dealt out in a fixed order that spreads them over any hundred numbers. */
function kindOf(number: number): SampleKind {
  let slot = (number * 37) % 100;
  for (const [kind, share] of KINDS) {
    slot -= share;
    if (slot < 0) return kind;
  }
  return 'short text';
}

function recipients(chance: Random, domains: readonly string[]): string[] {
  const count = RECIPIENTS[chance.below(RECIPIENTS.length)] ?? 1;
  const to = new Set<string>();
  for (let i = 0; to.size < count; i++) to.add(address(chance, domains, i));
  return [...to];
}

function address(chance: Random, domains: readonly string[], number: number): string {
  const locals = [`${chance.word()}.${chance.word()}`, `${chance.word()}+tag${number}`, `"${chance.word()} ${number}"`];
  // A quoted local part now and then: legal since 1982, and still a trap.
  const local = locals[chance.below(20) === 0 ? 2 : chance.below(2)];
  return `${local}@${domains[chance.below(domains.length)]}`;
}

type Content = { readonly header: readonly string[]; readonly body: string | undefined };

function content(kind: SampleKind, chance: Random, number: number): Content {
  switch (kind) {
    case 'short text':
      return plain(paragraph(chance, 20 + chance.below(60)));
    case 'long text':
      return plain(
        Array.from({ length: 20 + chance.below(60) }, () => paragraph(chance, 60 + chance.below(80))).join('\r\n'),
      );
    case 'dots':
      return plain(dots(chance));
    case 'long lines':
      // 998 is the longest that RFC 5322 allows; the others must pass all the same.
      return plain(
        `${'x'.repeat(998)}\r\n${chance.word().repeat(900)}\r\n${'.'.repeat(1_000)}\r\n${'y'.repeat(70_000)}\r\n`,
      );
    case '8-bit':
      return {
        header: ['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 8bit'],
        body: `Grüße aus München, 東京 und Αθήνα — №${number} 🚪\r\n.ß\r\n${paragraph(chance, 80)}naïve café\r\n`,
      };
    case 'alternative':
      return alternative(chance, number);
    case 'attachment':
      return attachment(chance, number, 10_000 + chance.below(120_000));
    case 'large attachment':
      return attachment(chance, number, 300_000 + chance.below(450_000));
    case 'nested':
      return nested(chance, number);
    case 'no body':
      return { header: ['X-Empty: yes'], body: number % 2 === 0 ? '' : undefined };
  }
}

const plain = (body: string): Content => ({ header: ['Content-Type: text/plain; charset=us-ascii'], body });

function dots(chance: Random): string {
  const lines = ['.', '..', '...', '.leading', ' .', '. ', '.\t', '', '.', '.QUIT', 'QUIT', 'RSET', '', '..', '.'];
  const text = Array.from({ length: 10 + chance.below(40) }, () => lines[chance.below(lines.length)]);
  return `.\r\n..\r\n${text.join('\r\n')}\r\n.\r\n`;
}

function alternative(chance: Random, number: number): Content {
  const boundary = `=_alt_${number}_${chance.word()}`;
  const text = paragraph(chance, 120);
  const html = `<!doctype html><html><body><p style="margin:0">${text.replaceAll('\r\n', '<br>')}=é</p></body></html>`;
  return {
    header: [`Content-Type: multipart/alternative;\r\n boundary="${boundary}"`],
    body:
      `--${boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n${text}\r\n` +
      `--${boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n` +
      `${quotedPrintable(html)}\r\n--${boundary}--\r\n`,
  };
}

function attachment(chance: Random, number: number, bytes: number): Content {
  const boundary = `----=_Part_${number}_${chance.word()}`;
  return {
    header: [`Content-Type: multipart/mixed; boundary="${boundary}"`],
    body:
      `This is a multi-part message in MIME format.\r\n--${boundary}\r\nContent-Type: text/plain\r\n\r\n` +
      `${paragraph(chance, 40)}\r\n--${boundary}\r\n` +
      `Content-Type: application/octet-stream; name="report-${number}.bin"\r\nContent-Transfer-Encoding: base64\r\n` +
      `Content-Disposition: attachment\r\n\r\n${base64(chance, bytes)}--${boundary}--\r\n`,
  };
}

/** A forwarded message that carries a message, with a stamp look-alike in it that is not one. */
function nested(chance: Random, number: number): Content {
  const boundary = `nest${number}`;
  const inner = attachment(chance, number + 1, 4_000);
  return {
    header: [`Content-Type: multipart/mixed; boundary=${boundary}`],
    body:
      `--${boundary}\r\nContent-Type: message/rfc822\r\n\r\nX-Bench-Stamp: not a stamp\r\nSubject: inner\r\n` +
      `${inner.header.join('\r\n')}\r\n\r\n${inner.body}\r\n--${boundary}--\r\n`,
  };
}
