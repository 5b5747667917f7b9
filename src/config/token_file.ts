/**
 * The token that opens the door for pushes, read from the file that POSTERN_ADMIN_TOKEN_FILE names: a line of its own,
 * long enough that nobody guesses it. Only its SHA-256 is kept, so that it stands in no dump of memory.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { variableOf } from './options.ts';

const CHARS_MIN = 32; // 128 bits in hex
const FILE_BYTES_MAX = 4096;
/** RFC 6750 §2.1, b64token. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

export class AdminToken {
  readonly #digest: Buffer;

  constructor(digest: Buffer) {
    this.#digest = digest;
  }

  /** In the same time for every token of one length, right or wrong. */
  matches(offered: string): boolean {
    return timingSafeEqual(digestOf(offered), this.#digest);
  }
}

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Null where no file is configured. Faults name the file, and never what stands in it. */
export function loadAdminToken(
  file: string,
): { readonly token: AdminToken | null } | { readonly faults: readonly string[] } {
  if (file === '') return { token: null };
  const wrong = (words: string) => ({ faults: [`${variableOf('adminTokenFile')}=${JSON.stringify(file)}: ${words}`] });
  let text: string;
  try {
    const entry = statSync(file);
    if (!entry.isFile() || entry.size > FILE_BYTES_MAX)
      return wrong('is no file of a line; write a file with the token alone');
    text = readFileSync(file, 'latin1').trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    return wrong(`cannot be read (${code}); write a file that Postern may read`);
  }
  if (text.length < CHARS_MIN)
    return wrong(`its token is too short; write at least ${CHARS_MIN} characters, as openssl rand -hex 32 gives them`);
  if (!TOKEN.test(text)) return wrong('its token may have letters, digits and ._~+/- only, and = at its end');
  return { token: new AdminToken(digestOf(text)) };
}
