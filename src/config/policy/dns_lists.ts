/** `dnsLists` of the policy file: who is asked about clients, senders and HELO names, and what an answer is worth. */
import { z } from 'zod';

const LISTS_MAX = 32;

const zone = z
  .string()
  .regex(/^(?=.{1,190}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}$/i, 'write a domain name')
  .transform((text) => text.toLowerCase());

/** One octet: a number, or alternatives in brackets, as `[2;4;10-11]`. */
const OCTET = /^(?:\d{1,3}|\[\d{1,3}(?:-\d{1,3})?(?:;\d{1,3}(?:-\d{1,3})?)*\])$/;
const CODE_WORDS = 'write return codes as 127.0.0.2 or 127.0.0.[2;4;10-11]';

const code = z.string().transform((text, context): readonly (readonly Span[])[] => {
  const octets = text.split('.');
  const spans = octets.map((octet) => (OCTET.test(octet) ? octet.replace(/[[\]]/g, '').split(';').map(span) : []));
  const sound = spans.length === 4 && octets[0] === '127' && spans.every((each) => each.length > 0 && each.every(fits));
  if (!sound) context.addIssue({ code: 'custom', message: CODE_WORDS });
  return spans;
});

export type Span = { readonly from: number; readonly to: number };

function span(text: string): Span {
  const [from = '', to = from] = text.split('-');
  return { from: Number(from), to: Number(to) };
}

const fits = ({ from, to }: Span): boolean => from <= to && to <= 255;

const LIST = z.strictObject({
  zone: zone.describe('The list, as zen.spamhaus.org.'),
  of: z
    .enum(['address', 'sender', 'helo'])
    .default('address')
    .describe('What is looked up: the client, or the domain of the sender or of HELO (RHSBL).'),
  weight: z
    .number()
    .min(-100)
    .max(100)
    .refine((weight) => weight !== 0, 'a weight of 0 says nothing')
    .describe('Added to dnsbl.score; a list that welcomes has a negative one, which is added to dnswl.score.'),
  codes: z
    .array(code)
    .min(1)
    .max(16)
    .optional()
    .describe('Answers that count, as 127.0.0.[2;4;10-11]; by default any of 127.0.0.0/8.'),
  bits: z
    .number()
    .int()
    .min(1)
    .max(0xffffff)
    .optional()
    .describe('An answer counts if one of these bits of its last three octets is set.'),
});

export const dnsListsSection = z
  .array(LIST)
  .max(LISTS_MAX)
  .default([])
  .describe('DNS lists, block and welcome, asked all at once; none by default: whom to ask is yours to decide.');

export type DnsListText = z.infer<typeof LIST>;
