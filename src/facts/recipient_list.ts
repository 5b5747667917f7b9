/** Recipients from a file, or a folder of files, read as lists are (list_loading.ts): one address a line, `@domain`. */
import { wallMs } from '../base/clock.ts';
import { KeySet } from './key_set.ts';
import { hasValue } from './list_entry.ts';
import type { Directory, Knowledge } from './recipients.ts';

export class ListedDirectory implements Directory {
  readonly #set: KeySet;

  /** `memory` is what `loadList` gave. */
  constructor(memory: SharedArrayBuffer) {
    this.#set = new KeySet(memory);
  }

  knows(address: string): Knowledge {
    return { known: hasValue(this.#set, address, wallMs() / 1000) };
  }
}
