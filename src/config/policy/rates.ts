/** `limits` of the policy file: how much may come from whom, in a time; above it `rate.exceeded` names the limit. */
import { z } from 'zod';

const RATE_KEYS = [
  'client',
  'network',
  'sender',
  'sender-domain',
  'recipient',
  'recipient-domain',
  'identity',
] as const;
export type RateKey = (typeof RATE_KEYS)[number];

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
const FACTORS = { '': 1, K: 1024, M: 1_048_576, G: 1_073_741_824 } as const;
const AMOUNT = /^(\d{1,9})([KMG]?)$/;

export type Rate = { readonly amount: number; readonly seconds: number };

const rate = z.string().transform((text, context): Rate => {
  const found = /^(\d{1,9}[KMG]?)\/([smhd])$/.exec(text);
  const amount = found === null ? 0 : amountOf(found[1]!);
  const seconds = found === null ? 1 : SECONDS[found[2] as keyof typeof SECONDS];
  if (amount > 0) return { amount, seconds };
  context.addIssue({ code: 'custom', message: 'write an amount a time, as 100/h, 2/s, 500M/d' });
  return z.NEVER;
});

const amount = z.union(
  [z.number().int().min(1).max(Number.MAX_SAFE_INTEGER), z.string().regex(AMOUNT).transform(amountOf)],
  {
    error: 'write a number, or one of bytes as 20M',
  },
);

function amountOf(text: string): number {
  const [, digits, unit] = AMOUNT.exec(text)!;
  return Number(digits) * FACTORS[unit as keyof typeof FACTORS];
}

const LIMIT = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'name it in small letters, digits and hyphens')
      .describe('Stands in rate.exceeded.'),
    rate: rate.describe('As 100/h: s, m, h or d; bytes also as 500M/d. The allowance grows back at this rate, evenly.'),
    burst: amount.optional().describe('So much at once; by default as much as in one of its times.'),
    count: z.enum(['messages', 'recipients', 'bytes']).default('messages').describe('What is counted.'),
    by: z
      .array(z.enum(RATE_KEYS))
      .min(1)
      .max(RATE_KEYS.length)
      .describe('One allowance for each value of these, taken together; network is a /24 or /48.'),
    side: z.enum(['outside', 'inside', 'both']).default('outside').describe('Whose mail is counted.'),
  })
  .refine(({ rate: { amount, seconds }, count }) => count === 'bytes' || amount / seconds <= 10_000, {
    message: 'write at most 10000 a second: finer steps are not counted',
    path: ['rate'],
  })
  .refine(({ count, by }) => count !== 'bytes' || !by.some((key) => key.startsWith('recipient')), {
    message: 'bytes are counted once a message, not by recipient',
    path: ['by'],
  });

export const limitsSection = z
  .array(LIMIT)
  .max(100)
  .refine((limits) => new Set(limits.map(({ name }) => name)).size === limits.length, 'two limits have the same name')
  .default([])
  .describe('Token buckets, counted across all shards.');

export type LimitText = z.infer<typeof LIMIT>;
