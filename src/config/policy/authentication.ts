/** The `authentication` part of the policy file: SPF, DKIM, ARC and DMARC of mail from outside. */
import { z } from 'zod';

const domain = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/, 'write a domain name, as example.org')
  .transform((text) => text.toLowerCase());

export const AUTHENTICATION = z.strictObject({
  check: z
    .boolean()
    .default(true)
    .describe('Authenticate mail from outside, and write Authentication-Results; false: not at all.'),
  privateClients: z
    .boolean()
    .default(false)
    .describe('Also that of clients with private or loopback addresses, about which SPF knows nothing.'),
  atMost: z
    .enum(['none', 'quarantine', 'reject'])
    .default('reject')
    .describe('The most that is done where DMARC fails; none watches only.'),
  exempt: z
    .array(domain)
    .max(10_000)
    .default([])
    .describe('Domains of authors that are let through although they fail.'),
  trustedSealers: z
    .array(domain)
    .max(1000)
    .default([])
    .describe('Domains that are believed to have authenticated before they forwarded (ARC).'),
});

export type AuthenticationSection = z.output<typeof AUTHENTICATION>;
