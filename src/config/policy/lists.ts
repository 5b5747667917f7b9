/** `lists` of the policy file: what is allowed or denied, here or in files; rules ask for them by name (`in: NAME`). */
import { z } from 'zod';

/** In the file, and once a shard in no memory at all: shared. 160 MB for all lists together. */
export const LIST_ENTRIES_MAX = 10_000_000;

const LIST = z
  .strictObject({
    entries: z
      .array(z.string().min(1).max(400))
      .max(10_000)
      .default([])
      .describe(
        'As lines of a file: an address, a network, a name, .name (it and all below), *.name, user@name, @name.',
      ),
    file: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('A file of lines, or a folder of such files; # begins a comment, expires=2027-01-31 ends an entry.'),
  })
  .refine(({ entries, file }) => entries.length > 0 || file !== undefined, 'write entries, or a file');

export const listsSection = z
  .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'name it in small letters, digits and hyphens'), LIST)
  .refine((lists) => Object.keys(lists).length <= 100, 'write at most 100 lists')
  .default({})
  .describe('Allow and deny lists by name, for `in` of rules.');

export type ListText = z.infer<typeof LIST>;
export type ListsSection = z.infer<typeof listsSection>;
