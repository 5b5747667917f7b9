/**
 * Recipients pushed from inside as salted hashes, so that the DMZ holds no list of addresses and needs no way in: a
 * hash is SHA-256 of the salt and the address in lower case (UTF-8), of which 64 bits are kept.
 *
 *   upload: begin(salt) ─► add(lines of 64 hex digits, cut anywhere)… ─► commit: on disk, then in force for all shards
 *                                                                   └─► abort, or a fault: what was before stays
 *
 *   file: "PHSH", bytes of the salt (1 byte each), the salt, then 8 bytes a hash (spool/whole_file.ts)
 *
 * The salt is a secret of the inside, at least 16 bytes: without it a stolen file says nothing about an address that is
 * not guessed in full. Two of ten million addresses share 64 bits with a chance of one in 370,000; then an unknown
 * address is taken for a known one, and bounces later.
 */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { assert } from '../base/assert.ts';
import { wallMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Disk } from '../spool/disk.ts';
import { codeOf } from '../spool/disk.ts';
import { readWholeFile, replaceFile } from '../spool/whole_file.ts';
import { KeySet, keySetMemory } from './key_set.ts';
import type { Directory, Knowledge } from './recipients.ts';

/** For the shards; null until something has been pushed. */
export type HashesInForce = { readonly salt: Uint8Array; readonly memory: SharedArrayBuffer } | null;

export const HASHES_FILE = 'recipient-hashes';
const MAGIC = Buffer.from('PHSH');
const SALT_BYTES_MIN = 16;
const SALT_BYTES_MAX = 64;
const KEY_BYTES = 8;
const HEX_DIGITS = 64;
const HEX_LINE = /^[0-9a-f]{64}$/;
const BLOCK_KEYS = 8192;

/** What a shard asks. */
export class HashedDirectory implements Directory {
  readonly #salt: Uint8Array | null;
  readonly #set: KeySet | null;

  constructor(inForce: HashesInForce) {
    this.#salt = inForce?.salt ?? null;
    this.#set = inForce === null ? null : new KeySet(inForce.memory);
  }

  /** `@example.org` stands for all addresses of the domain. */
  knows(text: string): Knowledge {
    const [salt, set] = [this.#salt, this.#set];
    if (salt === null || set === null) return { trouble: 'no recipients have been pushed yet' };
    const has = (part: string): boolean => {
      const digest = createHash('sha256').update(salt).update(part, 'utf8').digest();
      return set.hasKey(digest.readUInt32LE(0), digest.readUInt32LE(4), wallMs() / 1000);
    };
    const address = text.toLowerCase();
    return { known: has(address) || has(address.slice(address.lastIndexOf('@'))) };
  }
}

/** Null: it went well. Of whoever pushes, of our disk, or nobody's: who begins anew knows better. */
export type UploadFault = { readonly whose: 'theirs' | 'ours' | 'overtaken'; readonly detail: string } | null;

export type Upload = {
  /** Hashes so far. */
  readonly count: number;
  /** A fault ends the upload. */
  add(chunk: Uint8Array): UploadFault;
  commit(): Promise<UploadFault>;
  abort(): void;
};

/** As many lines as there may be, with CRLF. */
export const UPLOAD_BYTES_MAX = LIMITS.recipientHashesMax * (64 + 2);

/** Of hex digits; or null. */
export const parseSalt = (hex: string): Buffer | null =>
  /^(?:[0-9a-f]{2})*$/i.test(hex) && hex.length >= 2 * SALT_BYTES_MIN && hex.length <= 2 * SALT_BYTES_MAX
    ? Buffer.from(hex, 'hex')
    : null;

/** On the main thread. One upload at a time; `changed` gets each new set, to be given to the shards. */
export class PushedHashes {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #changed: (inForce: HashesInForce) => void;
  #inForce: HashesInForce = null;
  #upload: HashUpload | null = null;
  #taken: Promise<UploadFault> = Promise.resolve(null);

  constructor(disk: Disk, folder: string, changed: (inForce: HashesInForce) => void) {
    this.#disk = disk;
    this.#folder = folder;
    this.#changed = changed;
  }

  get inForce(): HashesInForce {
    return this.#inForce;
  }

  /** What the last process kept. The fault in one line, or null; then nobody is known until the next push. */
  async load(): Promise<string | null> {
    try {
      const bytes = await readWholeFile(this.#disk, `${this.#folder}/${HASHES_FILE}`, bytesMax());
      if (bytes === null) return null;
      this.#inForce = await decode(bytes);
      return this.#inForce === null ? 'the pushed recipients are in a form that is not known here' : null;
    } catch (error) {
      return `the pushed recipients cannot be read (${codeOf(error)})`;
    }
  }

  /**
   * `salt` is parseSalt's. An upload that is under way is given up, and its hashes forgotten, though its end may wait
   * for the disk: so two sets at most are in memory, the one that is being written and the last one begun.
   */
  beginUpload(salt: Uint8Array): Upload {
    assert(salt.length >= SALT_BYTES_MIN && salt.length <= SALT_BYTES_MAX, 'a salt is neither short nor long');
    this.#upload?.overtake();
    const upload = new HashUpload(() => this.#take(upload, new Uint8Array(salt)));
    this.#upload = upload;
    return upload;
  }

  /** One after the other: two at a time would write the same unfinished file. */
  #take(upload: HashUpload, salt: Uint8Array): Promise<UploadFault> {
    this.#taken = this.#taken.then(() => this.#replace(upload, salt));
    return this.#taken;
  }

  async #replace(upload: HashUpload, salt: Uint8Array): Promise<UploadFault> {
    if (this.#upload !== upload) return OVERTAKEN;
    const keys = upload.takeKeys();
    try {
      await replaceFile(this.#disk, this.#folder, HASHES_FILE, [headerOf(salt), ...keys]);
    } catch (error) {
      return { whose: 'ours', detail: `the recipients cannot be written (${codeOf(error)})` };
    } finally {
      if (this.#upload === upload) this.#upload = null;
    }
    this.#inForce = { salt, memory: await memoryOf(keys) };
    this.#changed(this.#inForce);
    return null;
  }
}

const OVERTAKEN: UploadFault = { whose: 'overtaken', detail: 'another upload has begun since' };

class HashUpload implements Upload {
  readonly #take: () => Promise<UploadFault>;
  #blocks: Buffer[] = [];
  #used = BLOCK_KEYS;
  #count = 0;
  #bytes = 0;
  #rest = '';
  #fault: UploadFault = null;

  constructor(take: () => Promise<UploadFault>) {
    this.#take = take;
  }

  get count(): number {
    return this.#count;
  }

  add(chunk: Uint8Array): UploadFault {
    if (this.#fault !== null) return this.#fault;
    this.#bytes += chunk.length;
    if (this.#bytes > UPLOAD_BYTES_MAX) return this.#fail(`more than ${UPLOAD_BYTES_MAX} bytes`);
    const lines = (this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1')).split(
      '\n',
    );
    this.#rest = lines.pop()!;
    if (this.#rest.length > HEX_DIGITS + 1) return this.#fail(`line ${this.#count + lines.length + 1} is too long`);
    for (const line of lines) {
      const fault = this.#line(line);
      if (fault !== null) return fault;
    }
    return null;
  }

  async commit(): Promise<UploadFault> {
    const fault = this.#fault ?? (this.#rest === '' ? null : this.#line(this.#rest));
    if (fault !== null) return fault;
    if (this.#count === 0) return this.#fail('there is no hash in it; that would refuse all mail');
    this.#fault = { whose: 'theirs', detail: 'the upload is over' };
    return this.#take();
  }

  abort(): void {
    this.#fail('the upload was given up');
  }

  overtake(): void {
    this.#end(OVERTAKEN);
  }

  /** All of them, once; they are no more of this upload. */
  takeKeys(): readonly Buffer[] {
    const blocks = this.#blocks;
    this.#blocks = [];
    return blocks.with(-1, blocks.at(-1)!.subarray(0, this.#used * KEY_BYTES));
  }

  #line(text: string): UploadFault {
    const line = text.trim().toLowerCase();
    if (line === '') return null;
    if (!HEX_LINE.test(line)) return this.#fail(`after ${this.#count} hashes: not 64 hex digits`);
    if (this.#count === LIMITS.recipientHashesMax) return this.#fail(`more than ${LIMITS.recipientHashesMax} hashes`);
    if (this.#used === BLOCK_KEYS) {
      this.#blocks.push(Buffer.alloc(BLOCK_KEYS * KEY_BYTES));
      this.#used = 0;
    }
    this.#blocks.at(-1)!.write(line.slice(0, KEY_BYTES * 2), this.#used++ * KEY_BYTES, 'hex');
    this.#count++;
    return null;
  }

  #fail(detail: string): UploadFault {
    return this.#end({ whose: 'theirs', detail });
  }

  #end(fault: UploadFault): UploadFault {
    this.#fault ??= fault;
    this.#blocks = [];
    return this.#fault;
  }
}

const bytesMax = (): number => MAGIC.length + 1 + SALT_BYTES_MAX + LIMITS.recipientHashesMax * KEY_BYTES;

const headerOf = (salt: Uint8Array): Buffer => Buffer.concat([MAGIC, Buffer.from([salt.length]), salt]);

async function decode(bytes: Buffer): Promise<HashesInForce> {
  const saltBytes = bytes[MAGIC.length] ?? 0;
  const keysAt = MAGIC.length + 1 + saltBytes;
  const sound = bytes.subarray(0, MAGIC.length).equals(MAGIC) && saltBytes >= SALT_BYTES_MIN && bytes.length >= keysAt;
  if (!sound || (bytes.length - keysAt) % KEY_BYTES !== 0) return null;
  const salt = new Uint8Array(bytes.subarray(MAGIC.length + 1, keysAt));
  return { salt, memory: await memoryOf([bytes.subarray(keysAt)]) };
}

/** The gate stands on this thread: a turn for everybody else after some thousand keys (2 ms). */
async function memoryOf(blocks: readonly Buffer[]): Promise<SharedArrayBuffer> {
  const memory = keySetMemory(blocks.reduce((sum, block) => sum + block.length / KEY_BYTES, 0));
  const set = new KeySet(memory);
  for (const block of blocks) {
    for (let at = 0; at < block.length; at += KEY_BYTES) {
      set.addKey(block.readUInt32LE(at), block.readUInt32LE(at + 4));
      if (at % (BLOCK_KEYS * KEY_BYTES) === 0) await turn();
    }
  }
  return memory;
}
