/** The `mime` part of the policy file: parts that are taken out of messages, with a notice in their place. */
import { z } from 'zod';

const glob = z.string().min(1).max(200);
const list = z.array(glob).max(1000);

const STRIP = z
  .strictObject({
    id: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,62})$/, 'write small letters, digits and hyphens, 63 at most')
      .describe('Stands in the notice, the log and the metrics.'),
    side: z.enum(['outside', 'inside', 'both']).default('both').describe('Where the mail comes from.'),
    extensions: list.optional().describe('Last extensions, without the dot, as exe or js*.'),
    types: list.optional().describe('Media types, as application/x-msdownload or video/*.'),
    names: list.optional().describe('File names, as *.pdf.exe.'),
    faults: list.optional().describe('Faults of the part, as name-direction.'),
    notice: z
      .string()
      .regex(/^[\x20-\x7e\n]{1,1000}$/, 'write printable ASCII, 1,000 characters at most')
      .default('An attachment was removed from this message, since it may do harm.')
      .describe('What stands in the place of the part.'),
  })
  .refine(
    ({ extensions, types, names, faults }) => extensions ?? types ?? names ?? faults,
    'write extensions, types, names or faults',
  );

export const MIME = z.strictObject({
  strip: z
    .array(STRIP)
    .max(100)
    .default([])
    .describe('Each takes out the parts that are like one of what it lists; in any case, * and ? for what varies.'),
});

export type MimeSection = z.output<typeof MIME>;
export type StripRule = MimeSection['strip'][number];
