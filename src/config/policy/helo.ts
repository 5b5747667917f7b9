/** `helo` of the policy file: how closely we look at what clients call themselves. */
import { z } from 'zod';

export const heloSection = z
  .strictObject({
    resolve: z
      .boolean()
      .default(false)
      .describe(
        'A name without address and MX is a fault, too (unknown); off: it costs look-ups, and many honest ones fail.',
      ),
    ours: z
      .array(z.string().min(1).max(255))
      .max(1000)
      .default([])
      .describe(
        'Names that nobody but us may use, beside POSTERN_HOSTNAME and the local domains; .name: and all below.',
      ),
  })
  .prefault({})
  .describe('Sanity of HELO and EHLO, for helo.faults.');

export type HeloSection = z.infer<typeof heloSection>;
