/** `greylist` of the policy file: who is asked to come again before his first message is taken. Absent: nobody. */
import { z } from 'zod';

export const greylistSection = z
  .strictObject({
    waitSeconds: z
      .number()
      .int()
      .min(1)
      .max(86_400)
      .default(300)
      .describe(
        'From the first try on; 300: whoever queues mail tries again within some minutes, whoever sprays does not.',
      ),
    retryHours: z
      .number()
      .int()
      .min(1)
      .max(168)
      .default(48)
      .describe('Who comes later than this waits anew; 48: slow queues try again after a day.'),
    keepDays: z
      .number()
      .int()
      .min(1)
      .max(365)
      .default(36)
      .describe('Who has waited need not again, so long after the last message; 36: monthly letters arrive at once.'),
    knownAfter: z
      .number()
      .int()
      .min(0)
      .max(60)
      .default(5)
      .describe('A network from which so many have waited well is known, and none of it waits any more; 0: never.'),
    v4Bits: z
      .number()
      .int()
      .min(8)
      .max(32)
      .default(24)
      .describe('Clients of one network are one; 24: pools of senders.'),
    v6Bits: z.number().int().min(16).max(128).default(64).describe('As v4Bits; 64: a subscriber.'),
    entriesMax: z
      .number()
      .int()
      .min(1024)
      .max(67_108_864)
      .default(1_048_576)
      .describe('Remembered at once, 8 bytes each; then those that wait longest are forgotten, and wait anew.'),
    welcome: z
      .number()
      .min(0)
      .max(1000)
      .default(1)
      .describe('A client with so much of dnswl.score does not wait; 0: it does.'),
    spfDomains: z
      .string()
      .optional()
      .describe('A list of domains (from `lists`) whose mail does not wait where SPF says pass.'),
  })
  .optional()
  .describe('Greylisting of outside clients by network, sender and recipient.');

export type GreylistSection = NonNullable<z.infer<typeof greylistSection>>;

/** The condition of the rule that makes them wait, as a rule of the file would have it. */
export function greylistCondition({ welcome, spfDomains }: GreylistSection): Readonly<Record<string, unknown>> {
  const exempt: object[] = [];
  if (welcome > 0) exempt.push({ 'dnswl.score': { atLeast: welcome } });
  if (spfDomains !== undefined) exempt.push({ spf: 'pass', 'from.domain': { in: spfDomains } });
  const waiting = { side: 'outside', 'grey.waiting': true };
  return exempt.length === 0 ? waiting : { ...waiting, not: { any: exempt } };
}
