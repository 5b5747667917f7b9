/**
 * The one copy of a content that a lane patches its stamps into: messages of the same text share it, one at a time. It
 * is free again when the message that used it last has been answered.
 */
import { nowUs, patchStamp, STAMP_BYTES } from './stamp.ts';

/** Above it the stamp goes in a write of its own, and the content is sent as it is. */
const COPY_BYTES_MAX = 65_536;

export class StampedCopy {
  #of: Buffer | undefined;
  #bytes: Buffer = Buffer.alloc(0);

  /** All of `content` with number and time in its stamp; of a large one the stamp's line alone. */
  stamped(content: Buffer, number: number): Buffer {
    if (content.length > COPY_BYTES_MAX) {
      const stamp = Buffer.from(content.subarray(0, STAMP_BYTES));
      patchStamp(stamp, number, nowUs());
      return stamp;
    }
    if (this.#of !== content) {
      if (this.#bytes.length < content.length) this.#bytes = Buffer.allocUnsafeSlow(content.length);
      content.copy(this.#bytes);
      this.#of = content;
    }
    patchStamp(this.#bytes, number, nowUs());
    return this.#bytes.length === content.length ? this.#bytes : this.#bytes.subarray(0, content.length);
  }
}
