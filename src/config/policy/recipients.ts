/** `recipients` of the policy file: who says which addresses the inside has. Absent: nobody, and all are taken. */
import { z } from 'zod';
import { canonicalAddress } from '../parsers.ts';

const common = {
  onFailure: z
    .enum(['defer', 'accept'])
    .default('defer')
    .describe(
      'Where the source cannot tell: 450 for now, or the recipient is taken; an accepted unknown one bounces later.',
    ),
  separator: z
    .string()
    .regex(/^[+\-=_.]$/, 'write one of + - = _ .')
    .optional()
    .describe('user+detail is asked for as user, too.'),
  domains: z
    .array(z.string().toLowerCase())
    .max(10_000)
    .optional()
    .describe('Only recipients of these domains are asked for; by default all that come in.'),
};

const asked = {
  ...common,
  timeoutMs: z
    .number()
    .int()
    .min(100)
    .max(60_000)
    .default(5000)
    .describe('Then it counts as failed; 5 s: a client waits minutes, and our own gatherer 10 s.'),
  knownSeconds: z
    .number()
    .int()
    .min(0)
    .max(604_800)
    .default(3600)
    .describe('A known recipient is not asked for again so long.'),
  unknownSeconds: z
    .number()
    .int()
    .min(0)
    .max(86_400)
    .default(120)
    .describe('An unknown one; short, for somebody may just be making it.'),
  connectionsMax: z.number().int().min(1).max(64).default(4).describe('Of each shard; further questions wait for one.'),
};

const host = z.string().refine((text) => canonicalAddress(text) !== null, 'write an address');

const ca = z
  .string()
  .max(65_536)
  .includes('-----BEGIN CERTIFICATE-----', { error: 'write certificates as PEM' })
  .optional()
  .describe("PEM of who may sign the server's certificate; by default the well-known ones. It is always checked.");

const FILE = z.strictObject({
  source: z.literal('file').describe('A file or folder here.'),
  path: z
    .string()
    .min(1)
    .max(4096)
    .describe('A file of addresses, one a line, or a folder of such; @domain for all of one.'),
  ...common,
});

const HASHES = z.strictObject({
  source: z
    .literal('hashes')
    .describe(
      'Pushed from inside as salted SHA-256 hashes: PUT /api/recipients (README, Recipients, pushed from inside).',
    ),
  ...common,
});

const CALLOUT = z.strictObject({
  source: z.literal('callout').describe('MAIL and RCPT to an inside server, which is then told RSET.'),
  host: host.optional().describe('Its address; by default the hosts of POSTERN_INSIDE_ROUTE.'),
  port: z.number().int().min(1).max(65_535).default(25).describe('With host.'),
  tls: z.enum(['may', 'require', 'never']).default('may').describe('As POSTERN_INSIDE_TLS, with host.'),
  ...asked,
});

const HTTP = z.strictObject({
  source: z
    .literal('http')
    .describe('GET URL?address=…: 200 or 204 known, 404 or 410 unknown, anything else a failure.'),
  url: z.url({ protocol: /^https?$/, error: 'write http:// or https://' }).describe('May have a query of its own.'),
  ca,
  token: z
    .string()
    .regex(/^[\x21-\x7e]{1,1024}$/)
    .optional()
    .describe('Sent as Authorization: Bearer.'),
  ...asked,
});

const LDAP = z.strictObject({
  source: z.literal('ldap').describe('A directory is searched.'),
  url: z.url({ protocol: /^ldaps?$/, error: 'write ldap://host or ldaps://host' }).describe('Host and port.'),
  ca,
  startTls: z.boolean().default(false).describe('With ldap://: in clear only until STARTTLS.'),
  bindDn: z.string().max(1024).default('').describe('Empty: anonymous.'),
  password: z.string().max(1024).default('').describe('Of bindDn; goes in clear without TLS.'),
  base: z.string().min(1).max(1024).describe('Where the search begins; all below it is searched.'),
  match: z
    .array(
      z.strictObject({
        attribute: z
          .string()
          .regex(/^[A-Za-z][A-Za-z0-9;.-]{0,127}$/, 'write the name of an attribute')
          .describe('As mail.'),
        prefix: z
          .string()
          .regex(/^[A-Za-z0-9:]{0,32}$/)
          .default('')
          .describe("Before the address in the value, as smtp: in Active Directory's proxyAddresses."),
      }),
    )
    .min(1)
    .max(8)
    .default([{ attribute: 'mail', prefix: '' }])
    .describe('Known if one of these equals the address.'),
  objectClass: z
    .string()
    .regex(/^[A-Za-z0-9.-]{1,128}$/)
    .optional()
    .describe('Only entries of this class.'),
  ...asked,
});

export const recipientsSection = z
  .discriminatedUnion('source', [FILE, HASHES, CALLOUT, HTTP, LDAP], {
    error: 'source is one of file, hashes, callout, http, ldap',
  })
  .optional()
  .describe('Which recipients are known; others get 550 5.1.1.');

export type RecipientsSection = NonNullable<z.infer<typeof recipientsSection>>;
export type CalloutText = Extract<RecipientsSection, { source: 'callout' }>;
export type HttpText = Extract<RecipientsSection, { source: 'http' }>;
export type LdapText = Extract<RecipientsSection, { source: 'ldap' }>;
