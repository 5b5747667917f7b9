/** `geoip` of the policy file: where clients are, by files in MaxMind's format. Absent: the facts are, too. */
import { z } from 'zod';

export const geoipSection = z
  .strictObject({
    country: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('A file with countries (GeoLite2-Country or -City), for client.country.'),
    asn: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('A file with autonomous systems (GeoLite2-ASN), for client.asn.'),
  })
  .refine(({ country, asn }) => country !== undefined || asn !== undefined, 'write country, asn or both')
  .optional()
  .describe('Files in MaxMind DB format, read at the start and with the policy file.');

export type GeoipSection = NonNullable<z.infer<typeof geoipSection>>;
