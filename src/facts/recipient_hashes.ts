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

/** One word for people, or null: it went well. */
export type UploadFault = string | null;

export type Upload = {
  /** A fault ends the upload. */
  add(chunk: Uint8Array): UploadFault;
  commit(): Promise<UploadFault>;
  abort(): void;
};

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
  async load(): Promise<UploadFault> {
    try {
      const bytes = await readWholeFile(this.#disk, `${this.#folder}/${HASHES_FILE}`, bytesMax());
      if (bytes === null) return null;
      this.#inForce = await decode(bytes);
      return this.#inForce === null ? 'the pushed recipients are in a form that is not known here' : null;
    } catch (error) {
      return `the pushed recipients cannot be read (${codeOf(error)})`;
    }
  }

  /** An upload that is under way is given up: whoever begins anew knows better. A text: the fault. */
  beginUpload(salt: Uint8Array): Upload | string {
    if (salt.length < SALT_BYTES_MIN || salt.length > SALT_BYTES_MAX)
      return `the salt must have ${SALT_BYTES_MIN} to ${SALT_BYTES_MAX} bytes`;
    this.#upload?.abort();
    const upload = new HashUpload((keys) => this.#take(upload, new Uint8Array(salt), keys));
    this.#upload = upload;
    return upload;
  }

  /** One after the other: two at a time would write the same unfinished file. */
  #take(upload: HashUpload, salt: Uint8Array, keys: readonly Buffer[]): Promise<UploadFault> {
    this.#taken = this.#taken.then(() => this.#replace(upload, salt, keys));
    return this.#taken;
  }

  async #replace(upload: HashUpload, salt: Uint8Array, keys: readonly Buffer[]): Promise<UploadFault> {
    if (this.#upload !== upload) return 'another upload has begun since';
    try {
      await replaceFile(this.#disk, this.#folder, HASHES_FILE, [headerOf(salt), ...keys]);
    } catch (error) {
      return `the recipients cannot be written (${codeOf(error)})`;
    } finally {
      if (this.#upload === upload) this.#upload = null;
    }
    this.#inForce = { salt, memory: await memoryOf(keys) };
    this.#changed(this.#inForce);
    return null;
  }
}

class HashUpload implements Upload {
  readonly #take: (keys: readonly Buffer[]) => Promise<UploadFault>;
  readonly #blocks: Buffer[] = [];
  #used = BLOCK_KEYS;
  #count = 0;
  #rest = '';
  #fault: UploadFault = null;

  constructor(take: (keys: readonly Buffer[]) => Promise<UploadFault>) {
    this.#take = take;
  }

  add(chunk: Uint8Array): UploadFault {
    if (this.#fault !== null) return this.#fault;
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
    this.#fault = 'the upload is over';
    if (this.#count === 0) return 'there is no hash in it; that would refuse all mail';
    const last = this.#blocks.pop()!;
    return this.#take([...this.#blocks, last.subarray(0, this.#used * KEY_BYTES)]);
  }

  abort(): void {
    this.#fail('the upload was given up');
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

  #fail(fault: string): UploadFault {
    this.#fault ??= fault;
    this.#blocks.length = 0;
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
