/**
 * The architecture as data: a folder of src/ and its number. A file imports its own folder and lower numbers, never its
 * peers. `src/README.md` says what each folder is for.
 */
export const LAYERS: Readonly<Record<string, number>> = {
  'main.ts': 8,
  'postern.ts': 8,
  gate: 7,
  admin: 7,
  cli: 7,
  relay: 6,
  facts: 5,
  filters: 5,
  spool: 4,
  net: 4,
  scanner: 3,
  policy: 3,
  smtp: 2,
  message: 2,
  config: 1,
  telemetry: 1,
  base: 0,
};

/** Its types describe mail itself, so a folder with the same number may use them. */
export const SHARED_TYPES = 'src/message/envelope.ts';

/** Bytes in, values out: no module of Node, no clock, no waiting. */
export const PURE: readonly string[] = ['smtp', 'message', 'policy'];

/** `main.ts` for itself, else the folder; '' outside src/. */
export const folderOf = (path: string): string => /^src\/([^/]+)/.exec(path)?.[1] ?? '';
