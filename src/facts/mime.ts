/**
 * What rules may ask of a message's parts: names, extensions and types, depth, number and faults; and where the parts
 * are, for those that are to be taken out. Looks on while the message streams by; the bytes that are relayed are those
 * of the content, whatever is made of them here. Archives are not unpacked.
 *
 *   write ─► mime_scan.ts: delimiters, headers ─► mime_names.ts: type, names ─► end: facts, leaves
 */
import { LIMITS } from '../config/limits.ts';
import type { Facts } from '../policy/facts.ts';
import type { PartHeader } from './mime_names.ts';
import { readPartHeader } from './mime_names.ts';
import type { MimeFault, Span } from './mime_scan.ts';
import { MimeScan } from './mime_scan.ts';

/** A part without parts, and where it is in the content. */
export type Leaf = Span & {
  /** 0: the message itself. */
  readonly index: number;
  readonly type: string;
  readonly names: readonly string[];
  readonly extensions: readonly string[];
  readonly faults: readonly MimeFault[];
};

export type MimeFindings = { readonly facts: Facts; readonly leaves: readonly Leaf[] };

/** One message; holds its parts' names and places, and one header. */
export class MimeExamination {
  readonly #scan: MimeScan;
  readonly #headers: PartHeader[] = [];
  readonly #leaves: Leaf[] = [];
  readonly #faults = new Set<MimeFault>();
  readonly #names: string[] = [];
  readonly #extensions = new Set<string>();
  readonly #types = new Set<string>();
  #depth = 0;

  constructor() {
    this.#scan = new MimeScan({
      onHeader: (_, header, depth) => this.#header(header, depth),
      onEnd: (index, span) => void this.#leaves.push({ ...this.#headers[index]!, ...span, index }),
      onFault: (fault) => void this.#faults.add(fault),
    });
  }

  /** chunk[from, to) of the content as it will be in the journal, in order. Never behind. */
  write(chunk: Uint8Array, from: number, to: number): void {
    this.#scan.write(chunk, from, to);
  }

  /** Once, behind the last byte. */
  end(): MimeFindings {
    this.#scan.end();
    const facts: Facts = {
      'mime.names': this.#names,
      'mime.extensions': [...this.#extensions],
      'mime.types': [...this.#types],
      'mime.depth': this.#depth,
      'mime.parts': this.#headers.length,
      'mime.faults': [...this.#faults],
    };
    return { facts, leaves: this.#leaves };
  }

  #header(header: string, depth: number): PartHeader {
    const read = readPartHeader(header);
    this.#headers.push(read);
    this.#depth = Math.max(this.#depth, depth);
    this.#types.add(read.type);
    for (const fault of read.faults) this.#faults.add(fault);
    for (const extension of read.extensions) this.#extensions.add(extension);
    for (const name of read.names) {
      if (this.#names.length < LIMITS.mimeNamesMax) this.#names.push(name);
      else this.#faults.add('too-many-names');
    }
    return read;
  }
}
