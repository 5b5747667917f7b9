/**
 * The JSON of our own filter protocol: what a hook is sent beside the message, and what it may answer. These schemas
 * are the documentation: `postern config schema` prints them, filters/README.md tells the rest.
 */
import { z } from 'zod';

const reply = z.strictObject({
  code: z.int().min(400).max(559).describe('4yz for defer, 5yz for reject').optional(),
  enhanced: z
    .string()
    .regex(/^[45]\.\d{1,3}\.\d{1,3}$/)
    .describe('enhanced status code of the same class (RFC 3463)')
    .optional(),
  text: z.string().max(1000).describe('words for the client: one line of printable ASCII').optional(),
});

const name = z.string().max(76).describe('a field name');
const value = z.string().max(65_536).describe('without the blank behind the colon; a line end only before a blank');
const nth = z.int().min(-1000).max(1000).describe('which field of that name: 1 is the first, -1 the last').default(1);

const headerChange = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('add'), name, value, at: z.enum(['top', 'end']).default('end') }),
  z.strictObject({ do: z.literal('change'), name, nth, value }),
  z.strictObject({ do: z.literal('remove'), name, nth: z.union([z.literal('all'), nth]).default('all') }),
]);

const addresses = z.array(z.string().max(320)).max(1000);

export const hookAnswerSchema = z
  .strictObject({
    verdict: z.enum(['accept', 'reject', 'defer', 'discard', 'hold']),
    reply: reply.describe('only with reject and defer').optional(),
    score: z.number().describe('the fact spam.score').optional(),
    action: z.string().max(64).describe('your own word for it; in the log, and a fact').optional(),
    names: z.array(z.string().max(256)).max(1000).describe('viruses or rules that were found').optional(),
    headers: z.array(headerChange).max(500).describe('in order').optional(),
    sender: z.string().max(320).describe('a new envelope sender; "" is the null sender').optional(),
    recipients: z.strictObject({ add: addresses.optional(), remove: addresses.optional() }).optional(),
    body: z.base64().describe('takes the place of all that follows the header section').optional(),
  })
  .meta({ title: 'Answer of a filter hook' });
export type HookAnswer = z.infer<typeof hookAnswerSchema>;

export const hookRequestSchema = z
  .strictObject({
    version: z.literal(1),
    filter: z.string().describe('its name in the policy file'),
    side: z.enum(['outside', 'inside']).describe('where the client is'),
    id: z.string(),
    hostname: z.string().describe('ours'),
    client: z.strictObject({
      address: z.string(),
      port: z.int(),
      name: z.string().nullable().describe('its reverse name, confirmed by the address of that name'),
      pointer: z.string().nullable().describe('its reverse name, confirmed or not'),
    }),
    helo: z.string(),
    extended: z.boolean().describe('EHLO, not HELO'),
    tls: z.strictObject({ version: z.string(), cipher: z.string(), bits: z.int() }).nullable(),
    user: z.string().nullable().describe('the identity that AUTH has proved'),
    sender: z.string().describe('"" is the null sender'),
    recipients: z.array(z.string()),
    smtpUtf8: z.boolean(),
  })
  .meta({ title: 'Part "request" of what a filter hook is sent' });
export type HookRequest = z.infer<typeof hookRequestSchema>;

/** For `postern config schema`. */
export const hookSchemas = () => ({
  request: z.toJSONSchema(hookRequestSchema),
  answer: z.toJSONSchema(hookAnswerSchema, { io: 'input' }),
});
