/** The `headers` part of the policy file: what the header firewall does, for mail from each side. */
import { z } from 'zod';

const pattern = z
  .string()
  .regex(/^[\x21-\x39\x3b-\x7e]{1,100}$/, 'write the name of a header field, * and ? for what varies');
const host = z.string().regex(/^[\w.*?-]{1,255}$/, 'write a host name, * and ? for what varies');
const patterns = z.array(pattern).max(500);

/** What only an inside server may say: Exchange believes these, and mailboxes sort by what our filters say. */
const FROM_OUTSIDE = [
  'X-MS-Exchange-Organization-*',
  'X-MS-Exchange-CrossTenant-*',
  'X-MS-Exchange-Forest-*',
  'X-Postern-*',
  'X-Spam-Flag',
  'X-Spam-Status',
  'X-Spam-Level',
  'X-Spam-Score',
];

/** What is nobody else's business: the same, and where the sender sat. */
const FROM_INSIDE = [
  'X-MS-Exchange-Organization-*',
  'X-MS-Exchange-CrossTenant-*',
  'X-MS-Exchange-Forest-*',
  'X-Postern-*',
  'X-Originating-IP',
];

const side = (remove: readonly string[]) => {
  const schema = z.strictObject({
    remove: patterns
      .default([...remove])
      .describe('Fields that are taken out, by name or pattern; written, it takes the place of the default.'),
    add: patterns.default([]).describe('Further ones, beside the default.'),
    keep: patterns.default([]).describe('Names and patterns that stay, whatever the others say.'),
  });
  return schema;
};

const inside = side(FROM_INSIDE).extend({
  received: z
    .enum(['keep', 'mask', 'remove'])
    .default('keep')
    .describe(
      'Received fields that show inside hosts or addresses. Kept by default: they stop loops and find faults; ' +
        'mask leaves the field and hides these words in it; remove takes it out, and loops are noticed later.',
    ),
  hideNames: z
    .array(host)
    .max(200)
    .default([])
    .describe('Host names that mask and remove look for, as *.corp.example.'),
  hideNetworks: z
    .array(z.string())
    .max(1000)
    .default([])
    .describe('Networks that they look for, beside all that are not of the public Internet.'),
});

/** Keys are where the mail comes from. */
export const HEADERS = z.strictObject({
  outside: side(FROM_OUTSIDE).prefault({}),
  inside: inside.prefault({}),
});

export type HeadersSection = z.output<typeof HEADERS>;
