/** The `rewrite` part of the policy file: addresses that are others outside than inside. */
import { z } from 'zod';

const ADDRESS = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/;
const DOMAIN = /^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/;
const address = z.string().max(254).regex(ADDRESS, 'write a mail address, as bob@example.org');
const domain = z.string().max(253).regex(DOMAIN, 'write a domain name, as example.org');

export const REWRITE = z.strictObject({
  addresses: z
    .array(z.strictObject({ inside: address, outside: address }))
    .max(100_000)
    .default([])
    .describe('Addresses one by one; they go before domains.'),
  domains: z
    .array(z.strictObject({ inside: domain, outside: domain }))
    .max(10_000)
    .default([])
    .describe('Whole domains; the local part stays.'),
  masquerade: z
    .array(domain)
    .max(1000)
    .default([])
    .describe('On the way out each subdomain of these becomes the domain itself; there is no way back.'),
});

export type RewriteSection = z.output<typeof REWRITE>;
